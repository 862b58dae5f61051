"""A bag onto the live page, in the order it was recorded."""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.samples import to_float
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.drawing.live_page import LivePage
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    COMPRESSED_IMAGE,
    DETECTIONS,
    IMAGE,
    NUMBER,
    decode_detections,
    decode_picture,
    decode_sound,
    decode_spectrogram,
    stamp_ns,
)
from avdet_ros.rig import MICROPHONES

PICTURE_NAMES = ('overlay', 'image', 'image_raw', 'image_rect', 'image_color')
"""Last names of topics taken for the camera's picture, the preferred first."""

OTHER_CAMERAS = ('depth', 'thermal', 'infra')
"""Words in the names of pictures that are shown only when there is no other."""

LEVEL_SAMPLES = 4410
"""Samples between points of the level plots: a tenth of a second."""

NUMBERS = ('features_ms', 'inference_ms', 'tracker_ms', 'latency_ms')
"""Of the nodes' debug topics; `avdet bag process`, which does not run live, has none."""

_BOXES = ('detections', 'tracks', 'truth')


def picture_topic(bag: Bag) -> str | None:
    """The topic to show as the picture, None if there is none."""
    kinds = (IMAGE, COMPRESSED_IMAGE)
    found = []
    for topic in bag.topics.values():
        last = topic.name.removesuffix('/compressed').rsplit('/', 1)[-1]
        if last in PICTURE_NAMES and topic.msgtype in kinds and topic.count:
            other = any(word in topic.name.lower() for word in OTHER_CAMERAS)
            found.append((other, PICTURE_NAMES.index(last), topic.name))
    return min(found)[2] if found else None


class RollingLevels:
    """The sound's picture where no spectrograms were recorded, twice a second."""

    def __init__(self) -> None:
        """Empty."""
        self._front_end = FrontEnd()
        self._newest = np.zeros((0, MICROPHONES), np.float32)
        self._new = 0

    def add(self, block: np.ndarray) -> np.ndarray | None:
        """Take (n, 8) samples; gives (8, n_mels, frames) levels when it is time again."""
        newest = np.concatenate([self._newest, to_float(block)])
        self._newest = newest[-self._front_end.samples :]
        self._new += len(block)
        if len(self._newest) < self._front_end.samples or self._new < self._front_end.samples // 2:
            return None
        self._new = 0
        return self._front_end.log_mel(np.ascontiguousarray(self._newest.T))


def show_bag(bag: Bag, page: LivePage, image: str | None = None) -> dict[str, int]:
    """Show all of a bag that the page has a place for.

    Args:
        bag: the recording.
        page: where to.
        image: topic of the picture; None looks for one.

    Returns:
        Messages shown, by topic.

    Raises:
        AvdetError: the bag has nothing to show, or a message is damaged.
    """
    if image:
        bag.require(image, IMAGE, COMPRESSED_IMAGE)
    pictures = image or picture_topic(bag)
    roles = {pictures: 'picture'} if pictures else {}
    for topic in bag.topics.values():
        last = topic.name.rsplit('/', 1)[-1]
        kind = DETECTIONS if last in _BOXES else IMAGE
        if last in (*_BOXES, 'audio', 'spectrogram') and topic.msgtype == kind:
            roles.setdefault(topic.name, last)
        elif last in NUMBERS and topic.msgtype == NUMBER:
            roles[topic.name] = last
    if not roles:
        raise AvdetError(
            f'bag {bag.path}: expected pictures, sound, detections or tracks, '
            f'found only {", ".join(sorted(bag.topics)) or "no topics"}'
        )
    shown: dict[str, int] = dict.fromkeys(roles, 0)
    pending: list[np.ndarray] = []
    newest_ns = 0
    second = None if 'spectrogram' in roles.values() else RollingLevels()
    for message in bag.messages(roles):
        decoded = decode(message)
        role, where = roles[message.topic], f'bag {bag.path}: {message.topic}'
        shown[message.topic] += 1
        if role in NUMBERS:  # which have no stamp of their own
            page.at(newest_ns or message.stamp_ns)
            page.number(role.removesuffix('_ms'), decoded.data)
            continue
        at_ns = stamp_ns(decoded)
        newest_ns = max(newest_ns, at_ns)
        page.at(at_ns)
        if role == 'picture':
            page.picture(decode_picture(decoded, where))
        elif role == 'spectrogram':
            page.sound(decode_spectrogram(decoded, where))
        elif role in _BOXES:
            found, ids = decode_detections(decoded)
            page.boxes(role, found.boxes_px, found.scores, ids)
        else:
            pending.append(decode_sound(decoded, where))
            if sum(map(len, pending)) >= LEVEL_SAMPLES:
                block = np.concatenate(pending)
                pending.clear()
                page.levels(block)
                if second is not None and (features := second.add(block)) is not None:
                    page.sound(features)
    page.close()
    return shown
