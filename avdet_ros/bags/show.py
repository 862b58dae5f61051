"""Show a bag on the live page, in the order of recording."""

from __future__ import annotations

from typing import Any

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.samples import to_float
from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag, BagMessage, decode
from avdet_ros.drawing.live_page import LivePage
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    COMPRESSED_IMAGE,
    DETECTIONS,
    GROUND_TRACKS,
    IMAGE,
    NUMBER,
    POINTS,
    decode_detections,
    decode_ground,
    decode_picture,
    decode_sound,
    decode_spectrogram,
    stamp_ns,
)
from avdet_ros.messages.hidden_points import hidden_lines
from avdet_ros.rig import MICROPHONES

PICTURE_NAMES = ('overlay', 'image', 'image_raw', 'image_rect', 'image_color')
"""Last parts of topic names that may be the camera's picture, in order of preference."""

OTHER_CAMERAS = ('depth', 'thermal', 'infra')
"""Words in topic names of pictures that are shown only if there is no other picture."""

LEVEL_SAMPLES = 4410
"""Samples per point of the level plots: a tenth of a second."""

NUMBERS = ('features_ms', 'inference_ms', 'tracker_ms', 'latency_ms')
"""Names of the nodes' debug topics; `avdet bag process` does not run live and writes none."""

_BOXES = ('detections', 'tracks', 'truth')
_KINDS = {
    **dict.fromkeys(_BOXES, DETECTIONS),
    'tracks_3d': GROUND_TRACKS,
    'hidden': POINTS,
    'audio': IMAGE,
    'spectrogram': IMAGE,
}


def picture_topic(bag: Bag) -> str | None:
    """Return the topic to show as the picture, or None."""
    kinds = (IMAGE, COMPRESSED_IMAGE)
    found = []
    for topic in bag.topics.values():
        last = topic.name.removesuffix('/compressed').rsplit('/', 1)[-1]
        if last in PICTURE_NAMES and topic.msgtype in kinds and topic.count:
            other = any(word in topic.name.lower() for word in OTHER_CAMERAS)
            found.append((other, PICTURE_NAMES.index(last), topic.name))
    return min(found)[2] if found else None


class RollingLevels:
    """Compute a spectrogram twice a second from sound, for bags without recorded spectrograms."""

    def __init__(self) -> None:
        """Start without samples."""
        self._front_end = FrontEnd()
        self._newest = np.zeros((0, MICROPHONES), np.float32)
        self._new = 0

    def add(self, block: np.ndarray) -> np.ndarray | None:
        """Add (n, 8) samples; return (8, n_mels, frames) levels when due, else None."""
        newest = np.concatenate([self._newest, to_float(block)])
        self._newest = newest[-self._front_end.samples :]
        self._new += len(block)
        if len(self._newest) < self._front_end.samples or self._new < self._front_end.samples // 2:
            return None
        self._new = 0
        return self._front_end.log_mel(np.ascontiguousarray(self._newest.T))


def show_bag(bag: Bag, page: LivePage, image: str | None = None) -> dict[str, int]:
    """Show everything in a bag that the page can display; damaged messages are left out.

    Args:
        bag: the recording.
        page: the live page.
        image: topic of the picture; None looks for one.

    Returns:
        Number of messages shown by topic.

    Raises:
        AvdetError: the bag has nothing to show, or nothing in it can be read.
    """
    if image:
        bag.require(image, IMAGE, COMPRESSED_IMAGE)
    pictures = image or picture_topic(bag)
    roles = {pictures: 'picture'} if pictures else {}
    for topic in bag.topics.values():
        last = topic.name.rsplit('/', 1)[-1]
        if topic.msgtype == _KINDS.get(last):
            roles.setdefault(topic.name, last)
        elif last in NUMBERS and topic.msgtype == NUMBER:
            roles[topic.name] = last
    if not roles:
        raise AvdetError(
            f'bag {bag.path}: expected pictures, sound, detections or tracks, '
            f'found only {", ".join(sorted(bag.topics)) or "no topics"}'
        )
    left_out = {topic: LeftOut(f'bag {bag.path}: {topic}') for topic in roles}
    painter = _MessagePainter(page, 'spectrogram' not in roles.values())
    for message in bag.messages(roles):
        counts = left_out[message.topic]
        try:
            painter.message(roles[message.topic], message, counts.where)
            counts.good += 1
        except AvdetError as error:
            text = str(error)
            counts.add(text if text.startswith('bag ') else f'bag {bag.path}: {text}')
    page.close()
    if not any(counts.good for counts in left_out.values()):
        for counts in left_out.values():
            counts.check()
    return {topic: counts.good for topic, counts in left_out.items()}


class _MessagePainter:
    """Shows messages on the page one by one."""

    def __init__(self, page: LivePage, sound_picture: bool) -> None:
        self._page = page
        self._pending: list[np.ndarray] = []
        self._newest_ns = 0
        self._second = RollingLevels() if sound_picture else None

    def message(self, role: str, message: BagMessage, where: str) -> None:
        """Show a message.

        Raises:
            AvdetError: the message is damaged, or is not what its topic's name implies.
        """
        decoded: Any = decode(message)
        page = self._page
        if role in NUMBERS:  # these have no stamp of their own
            page.at(self._newest_ns or message.stamp_ns)
            page.number(role.removesuffix('_ms'), decoded.data)
            return
        at_ns = stamp_ns(decoded)
        if at_ns <= 0:
            raise AvdetError(f'{where}: expected stamps in the headers, found {at_ns}')
        if role == 'picture':
            picture = decode_picture(decoded, where)
            self._set_time(at_ns)
            page.picture(picture)
        elif role == 'spectrogram':
            features = decode_spectrogram(decoded, where)
            self._set_time(at_ns)
            page.sound(features)
        elif role in _BOXES:
            found, ids = decode_detections(decoded)
            self._set_time(at_ns)
            page.boxes(role, found.boxes_px, found.scores, ids)
        elif role == 'tracks_3d':
            vehicles = decode_ground(decoded)
            self._set_time(at_ns)
            page.ground(at_ns * 1e-9, vehicles)
        elif role == 'hidden':
            lines = hidden_lines(decoded)
            self._set_time(at_ns)
            page.hidden(*lines)
        else:
            self._sound(decode_sound(decoded, where), at_ns)

    def _set_time(self, at_ns: int) -> None:
        self._newest_ns = max(self._newest_ns, at_ns)
        self._page.at(at_ns)

    def _sound(self, samples: np.ndarray, at_ns: int) -> None:
        self._set_time(at_ns)
        self._pending.append(samples)
        if sum(map(len, self._pending)) < LEVEL_SAMPLES:
            return
        block = np.concatenate(self._pending)
        self._pending.clear()
        self._page.levels(block)
        if self._second is not None and (features := self._second.add(block)) is not None:
            self._page.sound(features)
