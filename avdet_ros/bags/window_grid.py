"""Where the windows of a drive lay, from those that were recorded.

A live capture ends windows on multiples of the front end's hop_length, counted from its first
sample. A recorder that came later knows neither that sample nor by how much less than such a step
each window ended before its time; both show in the windows' own places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

LOOKED_AT = 256
"""Windows that are looked at: enough to tell the rounding of 0.1 s and 0.05 s to the last one."""

SPREAD = 1 / 8
"""Of the grid: windows whose middle half lies on it to within this lie on it. Stamps follow an
estimated clock, which settles in a drive's first seconds; off the grid it would be a half."""


@dataclass(frozen=True)
class WindowGrid:
    """Arguments of `avdet_ros.audio.window.WindowBuffer` that lay windows where a drive's were.

    Attributes:
        first_sample: the sample that the buffer's stream must begin with.
        grid_samples: windows start on multiples of it, counted from there.
        phase: see `WindowBuffer`.
    """

    first_sample: int
    grid_samples: int
    phase: float


def usual_hop_s(stamps_ns: Sequence[int], grid_s: float) -> float | None:
    """The hop that windows with these stamps were made with; None where it cannot be told.

    Steps differ by one point of the grid, a stream's first window ends up to another one late, and
    windows that were dropped make steps a whole number of hops. What is left is rounded to a whole
    number of milliseconds, or of windows a second.

    Args:
        stamps_ns: of windows, in order.
        grid_s: from one point of the grid to the next.
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
    """The grid that windows lay on.

    Args:
        starts: numbers of the recorded windows' first samples, ascending, counted from the first
            sample there is; at least one. They may be off by some samples.
        hop_samples: from window to window, on average.
        grid_samples: the front end's hop_length.

    Returns:
        The grid, from the first window on whose sound is there; of single samples, from the first
        window's, where the windows do not lie on the coarser one.
    """
    places = np.asarray(starts, np.int64)
    off = _offset(places, grid_samples)
    if off is None:
        return WindowGrid(int(places[0]) % round(hop_samples), 1, 0.0)
    numbers = np.round((places - off) / grid_samples).astype(np.int64)
    hop = max(hop_samples / grid_samples, 1.0)
    since = numbers - numbers[-1]
    # Window m starts at floor(phase + m hop): each one says where the phase may be.
    room = since - np.round(since / hop) * hop
    room = room[1:] if len(room) > 1 else room  # a drive's very first window ends late
    low, high = room.max(), room.min() + 1
    phase = float(numbers[-1] + (low + high) / 2)
    # Whole hops before it, as long as the sound of a window is there.
    before = math.floor((phase - (off < 0)) / hop)
    while math.floor(phase - before * hop) * grid_samples + off < 0:
        before -= 1
    phase -= before * hop
    first = math.floor(phase)
    return WindowGrid(first * grid_samples + off, grid_samples, phase - first)


def _offset(places: np.ndarray, grid_samples: int) -> int | None:
    """What the places leave over the grid, half a step down to half up; None if no one number."""
    turns = np.exp(2j * np.pi * places / grid_samples)
    middle = float(np.angle(turns.mean())) * grid_samples / (2 * np.pi)
    apart = (places - middle + grid_samples / 2) % grid_samples - grid_samples / 2
    if np.subtract(*np.percentile(apart, [75, 25])) > SPREAD * grid_samples:
        return None
    return round(middle + float(np.median(apart)))
