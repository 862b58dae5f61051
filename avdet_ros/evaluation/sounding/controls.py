"""Controls: sound that is wrong on purpose. A selector that scores the same has not listened.

Each gives sound to frames whose boxes stay as they are. With another moment's sound of the same
drive average precision falls to what traffic alone tells, not to chance; with the channels
exchanged left and right it falls, and comes back when the boxes are exchanged too; without
coherences the direction is gone and the level stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avdet_ros.dataset.layout import FrameId
from avdet_ros.evaluation.sounding.boxes import drive_numbers
from avdet_ros.rig import MICROPHONES

APART_S = 4.0
"""Another moment is at least so far away, where the drive is long enough: the same vehicle sounds
much the same a second later."""


def other_moment(frames: Sequence[FrameId]) -> np.ndarray:
    """(F,) int64, for each frame another one of its drive, half the drive away.

    A drive's only frame keeps its own sound.
    """
    return _within(frames)


def other_drive(frames: Sequence[FrameId]) -> np.ndarray:
    """(F,) int64, for each frame one of the next drive, at the same part of it.

    Where there is one drive alone there is no other: the frames keep their sound.
    """
    numbers = drive_numbers(frames)
    members = [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
    swapped = np.arange(len(frames))
    for number, own in enumerate(members):
        others = members[(number + 1) % len(members)]
        swapped[own] = others[np.arange(len(own)) * len(others) // len(own)]
    return swapped


def far_apart(frames: Sequence[FrameId], swapped: np.ndarray) -> np.ndarray:
    """(F,) bool, frames whose new sound is of another drive or at least `APART_S` away."""
    stamp = np.array([frame.stamp_ns for frame in frames], np.float64) * 1e-9
    numbers = drive_numbers(frames)
    apart = np.abs(stamp - stamp[swapped]) >= APART_S
    return (numbers != numbers[swapped]) | apart


def _within(frames: Sequence[FrameId]) -> np.ndarray:
    numbers = drive_numbers(frames)
    swapped = np.arange(len(frames))
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        swapped[own] = np.roll(own, len(own) // 2)
    return swapped


def without_coherences(features: np.ndarray) -> np.ndarray:
    """(..., 32, n_mels, T) features that come from nowhere: levels stay."""
    changed = np.array(features)
    changed[..., MICROPHONES:, :, :] = 0
    return changed


def mirrored(features: np.ndarray, channels: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Features of the sound with left and right exchanged.

    Args:
        features: (..., 32, n_mels, T).
        channels: (32,) where each channel comes from, of `training.data.mirror.Mirror`.
        signs: (32,) 1 or -1.
    """
    turned = np.take(features, channels, axis=-3)
    return turned * np.asarray(signs, features.dtype)[:, None, None]


def mirrored_boxes(boxes_px: np.ndarray, width_px: int) -> np.ndarray:
    """(N, 4) boxes with left and right exchanged."""
    boxes = np.asarray(boxes_px)
    return np.stack(
        [width_px - boxes[:, 2], boxes[:, 1], width_px - boxes[:, 0], boxes[:, 3]], axis=1
    )
