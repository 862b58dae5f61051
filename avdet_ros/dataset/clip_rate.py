"""True sample rate of clips, estimated from the overlap of clips of neighbouring frames.

Two clips a tenth of a second apart share nine tenths of their sound. The position of the shared
part in each clip reveals how many samples a tenth of a second has, whatever rate the files name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.errors import AvdetError

PAIRS = 4
"""Number of neighbouring pairs that are compared."""

LARGEST_STEP_S = 0.5
"""Largest distance of neighbours: clips further apart share too little."""

SAME = 0.8
"""Minimum correlation of the part that both clips share."""


def clip_rate(root: Path, frames: Sequence[layout.FrameId]) -> float | None:
    """Estimate the sample rate of a drive's clips from their overlap.

    Args:
        root: the data set's folder.
        frames: frames of one drive, in order of time.

    Returns:
        The median over some pairs, samples per second; None if fewer than two pairs yield one.
    """
    near = [
        (a, b) for a, b in pairwise(frames) if 0 < b.stamp_ns - a.stamp_ns <= LARGEST_STEP_S * 1e9
    ]
    rates = []
    for index in evenly_spaced(len(near), PAIRS):
        first, second = near[index]
        try:
            clips = layout.read_sound(root, first), layout.read_sound(root, second)
        except AvdetError:  # reported elsewhere
            continue
        step_s = (second.stamp_ns - first.stamp_ns) * 1e-9
        loudest = int(np.argmax(np.abs(clips[0]).sum(axis=1)))
        shift = shared_shift(clips[0][loudest], clips[1][loudest])
        if shift:
            rates.append(shift / step_s)
    return float(np.median(rates)) if len(rates) > 1 else None


def shared_shift(first: np.ndarray, second: np.ndarray) -> int | None:
    """Find by how many samples a clip begins later than another that it overlaps.

    Args:
        first: (n,) float32, the earlier clip.
        second: (n,) float32, the later clip.

    Returns:
        Samples, at least 1; None if the two share nothing.
    """
    count = len(first)
    spectrum = np.fft.rfft(first, 2 * count) * np.conj(np.fft.rfft(second, 2 * count))
    # Phases alone: engine sound is periodic, but the shared part matches at all frequencies.
    phases = spectrum / np.maximum(np.abs(spectrum), 1e-12 + 1e-9 * np.abs(spectrum).max())
    correlation = np.fft.irfft(phases)[1 : int(0.9 * count)]
    shift = int(np.argmax(correlation)) + 1
    a, b = first[shift:].astype(np.float64), second[: count - shift].astype(np.float64)
    power = np.sqrt((a @ a) * (b @ b))
    return shift if power > 0 and a @ b > SAME * power else None
