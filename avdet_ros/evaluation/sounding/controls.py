"""Controls: deliberately wrong sound. A selector that scores the same does not use the sound.

Each control replaces the sound of frames whose boxes stay as they are. With the sound of another
moment of the same drive, average precision falls to what the traffic alone reveals, not to chance.
With left and right channels exchanged it falls, and recovers when the boxes are mirrored too.
Without coherences the direction is lost and the level stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avdet_ros.dataset.layout import FrameId
from avdet_ros.evaluation.sounding.boxes import drive_numbers
from avdet_ros.rig import MICROPHONES

APART_S = 4.0
"""Minimum time to another moment, where the drive is long enough: a second later, the same vehicle
sounds much the same."""


def other_moment(frames: Sequence[FrameId]) -> np.ndarray:
    """Return for each frame another frame of its drive, half the drive away, (F,) int64.

    A drive's only frame keeps its own sound.
    """
    return _within(frames)


def other_drive(frames: Sequence[FrameId]) -> np.ndarray:
    """Return for each frame one of the next drive, at the same relative place, (F,) int64.

    If there is only one drive, the frames keep their sound.
    """
    numbers = drive_numbers(frames)
    members = [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
    swapped = np.arange(len(frames))
    for number, indices in enumerate(members):
        others = members[(number + 1) % len(members)]
        swapped[indices] = others[np.arange(len(indices)) * len(others) // len(indices)]
    return swapped


def far_apart(frames: Sequence[FrameId], swapped: np.ndarray) -> np.ndarray:
    """Mark frames, (F,) bool, whose new sound is `APART_S` or more away or of another drive."""
    stamp = np.array([frame.stamp_ns for frame in frames], np.float64) * 1e-9
    numbers = drive_numbers(frames)
    apart = np.abs(stamp - stamp[swapped]) >= APART_S
    return (numbers != numbers[swapped]) | apart


def _within(frames: Sequence[FrameId]) -> np.ndarray:
    numbers = drive_numbers(frames)
    swapped = np.arange(len(frames))
    for number in np.unique(numbers):
        indices = np.flatnonzero(numbers == number)
        swapped[indices] = np.roll(indices, len(indices) // 2)
    return swapped


def without_coherences(features: np.ndarray) -> np.ndarray:
    """Remove all directions from (..., 32, n_mels, T) features; levels stay."""
    changed = np.array(features)
    changed[..., MICROPHONES:, :, :] = 0
    return changed


def mirrored(features: np.ndarray, channels: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Exchange left and right in features.

    Args:
        features: (..., 32, n_mels, T).
        channels: (32,) source of each channel, from `training.data.mirror.Mirror`.
        signs: (32,) 1 or -1.
    """
    turned = np.take(features, channels, axis=-3)
    return turned * np.asarray(signs, features.dtype)[:, None, None]


def mirrored_boxes(boxes_px: np.ndarray, width_px: int) -> np.ndarray:
    """Exchange left and right in (N, 4) boxes."""
    boxes = np.asarray(boxes_px)
    return np.stack(
        [width_px - boxes[:, 2], boxes[:, 1], width_px - boxes[:, 0], boxes[:, 3]], axis=1
    )
