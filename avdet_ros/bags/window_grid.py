"""Infer the grid of a drive's windows from the recorded ones.

A live capture ends windows on multiples of the front end's hop_length, counted from its first
sample. A recorder that started later knows neither that sample nor by how much (less than one
such step) each window ended early. Both follow from the positions of the recorded windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

LOOKED_AT = 256
"""Number of windows examined: enough to resolve the rounding of hops of 0.1 s and 0.05 s."""

SPREAD = 1 / 8
"""Maximum interquartile range of the windows' offsets from the grid, in grid steps. Stamps follow
an estimated clock, which settles in a drive's first seconds; off the grid it would be a half."""


@dataclass(frozen=True)
class WindowGrid:
    """Arguments of `avdet_ros.audio.window.WindowBuffer` that reproduce a drive's windows.

    Attributes:
        first_sample: the sample at which the buffer's stream must begin.
        grid_samples: windows start on multiples of this, counted from `first_sample`.
        phase: see `WindowBuffer`.
    """

    first_sample: int
    grid_samples: int
    phase: float


def usual_hop_s(stamps_ns: Sequence[int], grid_s: float) -> float | None:
    """Return the hop of windows with these stamps; None if it cannot be determined.

    Steps vary by one grid point, a stream's first window ends up to another one late, and dropped
    windows make a step several hops long. The mean is rounded to a whole number of milliseconds
    or of windows per second.

    Args:
        stamps_ns: stamps of windows, in order.
        grid_s: time between grid points.
    """
    steps_s = np.diff(np.asarray(stamps_ns, np.int64)) * 1e-9
    steps_s = steps_s[steps_s > 0]
    if len(steps_s) < 2:
        return None
    one_s = steps_s[steps_s < 1.5 * np.median(steps_s)].mean()
    hops = np.maximum(np.round(steps_s / one_s), 1).sum()
    mean_s, error_s = float(steps_s.sum() / hops), 2 * grid_s / float(hops)
    for hop_s in (round(mean_s, 3), 1 / max(round(1 / mean_s), 1)):
        if abs(hop_s - mean_s) <= error_s:
            return hop_s
    return mean_s


def find_grid(starts: Sequence[int], hop_samples: float, grid_samples: int) -> WindowGrid:
    """Find the grid of recorded windows.

    Args:
        starts: first samples of the recorded windows, ascending, counted from the first recorded
            sample; at least one. They may be off by some samples.
        hop_samples: average number of samples from window to window.
        grid_samples: the front end's hop_length.

    Returns:
        The grid, from the first window with complete sound; a grid of single samples, from the
        first window's, if the windows do not lie on the coarser one.
    """
    places = np.asarray(starts, np.int64)
    off = _offset(places, grid_samples)
    if off is None:
        return WindowGrid(int(places[0]) % round(hop_samples), 1, 0.0)
    numbers = np.round((places - off) / grid_samples).astype(np.int64)
    hop = max(hop_samples / grid_samples, 1.0)
    since = numbers - numbers[-1]
    # Window m starts at floor(phase + m hop), so each window bounds the phase.
    room = since - np.round(since / hop) * hop
    room = room[1:] if len(room) > 1 else room  # the first window of a drive ends late
    low, high = room.max(), room.min() + 1
    phase = float(numbers[-1] + (low + high) / 2)
    # Go back by whole hops as long as the window's sound was recorded.
    before = math.floor((phase - (off < 0)) / hop)
    while math.floor(phase - before * hop) * grid_samples + off < 0:
        before -= 1
    phase -= before * hop
    first = math.floor(phase)
    return WindowGrid(first * grid_samples + off, grid_samples, phase - first)


def _offset(places: np.ndarray, grid_samples: int) -> int | None:
    """Return the common offset from the grid, within half a step; None if there is none."""
    turns = np.exp(2j * np.pi * places / grid_samples)
    middle = float(np.angle(turns.mean())) * grid_samples / (2 * np.pi)
    apart = (places - middle + grid_samples / 2) % grid_samples - grid_samples / 2
    if np.subtract(*np.percentile(apart, [75, 25])) > SPREAD * grid_samples:
        return None
    return round(middle + float(np.median(apart)))
