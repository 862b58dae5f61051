"""Select and decode the pictures of a bag that become frames; unreadable ones are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from avdet_ros.bags.drive_sound import DriveSound
from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_picture, stamp_ns

CLOCKS_S = 0.5
"""Maximum difference between the clocks of two topics, measured against receive times."""


def picture_stamps(
    bag: Bag, topic: str, audio: str, sound: DriveSound, left_out: LeftOut
) -> list[int]:
    """Return the sorted stamps of a topic's pictures; they must be on the sound's clock.

    Args:
        bag: the recording.
        topic: of the pictures.
        audio: topic of the sound.
        sound: sound of the drive.
        left_out: counts messages that are damaged or have no stamp.

    Raises:
        AvdetError: no picture has a stamp, or the stamps are on another clock.
    """
    stamps, clock = [], []
    unset = ''
    for message in bag.messages([topic]):
        try:
            now = stamp_ns(decode(message))
        except AvdetError as error:
            left_out.add(f'bag {bag.path}: {error}')
            continue
        if now <= 0:
            unset = (
                f'bag {bag.path}: {topic}: expected stamps in the headers, found {now}; '
                f'set them in the driver, since receive times are late by an unknown amount'
            )
            left_out.add(unset)
            continue
        stamps.append(now)
        clock.append(message.stamp_ns - now)
    if len(stamps) < left_out.bad:
        raise AvdetError(unset or left_out.reasons[0])
    apart_s = (np.median(clock) - np.median(sound.clock_ns)) * 1e-9 if clock else 0.0
    if abs(apart_s) > CLOCKS_S:
        raise AvdetError(
            f'bag {bag.path}: {topic} and {audio}: expected stamps of one clock, found clocks '
            f'that disagree by {abs(apart_s):.3f} s; synchronise them (PTP, chrony)'
        )
    return sorted(stamps)


def choose(stamps: Sequence[int], rate_hz: float) -> list[int]:
    """Choose stamps at least one frame period apart, as close to the rate as possible."""
    step_ns = 1e9 / rate_hz
    chosen: list[int] = []
    due = -np.inf
    for now in stamps:
        if now >= due - 1e6:  # cameras jitter by less than a millisecond
            chosen.append(now)
            due = max(due + step_ns, now + step_ns / 2) if len(chosen) > 1 else now + step_ns
    return chosen


def nearest(
    ids: Sequence[layout.FrameId], stamps: Sequence[int], apart_s: float
) -> dict[int, list[layout.FrameId]]:
    """Map the stamp of each picture to the frames for which it is the nearest within `apart_s`."""
    frames_by_stamp: dict[int, list[layout.FrameId]] = {}
    times = np.array(stamps, np.int64)
    for frame in ids:
        if len(times):
            near = int(times[np.argmin(np.abs(times - frame.stamp_ns))])
            if abs(near - frame.stamp_ns) <= apart_s * 1e9:
                frames_by_stamp.setdefault(near, []).append(frame)
    return frames_by_stamp


def pictures(
    bag: Bag,
    topic: str,
    wanted: dict[int, list[layout.FrameId]],
    left_out: LeftOut,
    fit: Callable[[np.ndarray], np.ndarray] = lambda image: image,
) -> Iterator[tuple[layout.FrameId, np.ndarray]]:
    """Yield frames with their pictures, in the order of the bag.

    Args:
        bag: the recording.
        topic: of the pictures.
        wanted: result of `nearest`.
        left_out: counts pictures that cannot be decoded or fitted.
        fit: converts a picture for the data set, or raises AvdetError.
    """
    open_frames = dict(wanted)
    for message in bag.messages([topic]):
        try:
            decoded = decode(message)
            stamp = stamp_ns(decoded)
            if stamp not in open_frames:
                continue
            image = fit(decode_picture(decoded, f'bag {bag.path}: {topic}'))
        except AvdetError as error:
            text = str(error)
            left_out.add(text if text.startswith('bag ') else f'bag {bag.path}: {topic}: {text}')
            continue
        left_out.good += 1
        for frame in open_frames.pop(stamp):
            yield frame, image


def exactly(
    undistort: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
    where: str,
    has_info: bool,
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that refuses pictures not of the rig's size, which boxes refer to."""

    def check(image: np.ndarray) -> np.ndarray:
        if image.shape[1::-1] != size:
            source = 'its camera_info' if has_info else 'the rig file (there is no camera_info)'
            raise AvdetError(
                f'{where}: expected pictures of {size[0]} x {size[1]} as {source} says, '
                f'found {image.shape[1]} x {image.shape[0]}'
            )
        if image.dtype != np.uint8:
            raise AvdetError(f'{where}: expected 8 bits a channel, found {image.dtype}')
        return undistort(image)

    return check
