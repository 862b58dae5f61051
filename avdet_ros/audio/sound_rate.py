"""Measure the real sample rate of stamped sound from the stamps of many blocks.

No block of sound carries its sample rate. A 48 kHz recording read as one of 44.1 kHz has shifted
frequencies and stretched times, and nothing else reveals the error. Drivers' stamps are rounded,
late by some milliseconds, equal for several blocks that arrived together, or occasionally 0. A
single pair of stamps is of little use, so the rate is the slope of a line through several seconds
of stamps. Its standard error is estimated from the same stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE_TOLERANCE = 0.01
"""Largest relative difference from the rig's rate; beyond it, the sound has another rate."""

MEASURE_S = 30.0
"""Length of a recording's beginning over which its rate is measured."""

WATCH_S = 4.0
"""Length of a stream's newest sound over which its rate is measured."""

SURE_S = 5.0
"""Time after which a different rate cannot be a temporary error of the stamps."""

_ARRIVAL_BINS = 11
_ARRIVAL_TOLERANCE = 0.03
_FEWEST_BLOCKS = 5
_LEAST_S = 1.0
_STEP_S = 0.25
_SIGMAS = 3.0
_MANY_GAPS = 0.08


@dataclass(frozen=True)
class MeasuredRate:
    """A measured sample rate.

    Attributes:
        hz: samples per second.
        error: its relative standard error.
    """

    hz: float
    error: float

    def is_other(self, sample_rate_hz: float) -> bool:
        """Return whether this is certainly not the given rate."""
        off = abs(self.hz / sample_rate_hz - 1)
        return off > max(RATE_TOLERANCE, _SIGMAS * self.error)

    def is_certainly(self, sample_rate_hz: float) -> bool:
        """Return whether this is the given rate and the stamps are good enough to tell."""
        return _SIGMAS * self.error < 2 * RATE_TOLERANCE and not self.is_other(sample_rate_hz)


def measure_rate(stamps_ns: Sequence[int], counts: Sequence[int]) -> MeasuredRate | None:
    """Measure the sample rate of blocks of sound.

    Gaps from lost samples, stamps of 0, and stamps that jump or go backwards are ignored.

    Args:
        stamps_ns: (B,) time of each block's first sample.
        counts: (B,) number of samples of each block.

    Returns:
        The rate; None if there are too few blocks or stamps.
    """
    stamps, lengths = np.asarray(stamps_ns, np.int64), np.asarray(counts, np.int64)
    stamped = stamps > 0
    starts = (np.cumsum(lengths) - lengths)[stamped]
    steps_s, steps = np.diff(stamps[stamped]) * 1e-9, np.diff(starts)
    usable = steps > 0
    steps_s, steps = steps_s[usable], steps[usable]
    if len(steps) + 1 < _FEWEST_BLOCKS:
        return None
    each_s = steps_s / steps
    usual = float(np.median(each_s))
    spread = 1.4826 * float(np.median(np.abs(each_s - usual)))
    grain_s = np.gcd.reduce(np.diff(stamps[stamped])) * 1e-9  # stamps are rounded to this
    tolerance_s = max(0.75 * abs(usual), _SIGMAS * spread, 1.1 * grain_s / float(np.median(steps)))
    simultaneous = steps_s == 0
    if np.mean(simultaneous) > 0.05 and (each_s > 0).any():  # several blocks share a stamp
        tolerance_s = max(tolerance_s, 1.5 * float(np.median(each_s[each_s > 0])))
    near = np.abs(each_s - usual) <= tolerance_s
    found = _line(steps_s[near], steps[near])
    if found is not None and np.mean(~near) > _MANY_GAPS:
        # With so many, these may not be gaps but stamps that are coarser than a block.
        all_kept = _line(steps_s[forward := steps_s >= 0], steps[forward])
        if all_kept is not None:
            deviation = 1.05 * abs(found.hz / all_kept.hz - 1) / _SIGMAS
            return MeasuredRate(found.hz, max(found.error, deviation))
    return found


def _line(steps_s: np.ndarray, samples: np.ndarray) -> MeasuredRate | None:
    """Estimate the rate from steps of time and samples, by slopes over half of the steps."""
    if len(steps_s) + 1 < _FEWEST_BLOCKS or not steps_s.sum() > 0:
        return None
    times = np.concatenate([[0.0], np.cumsum(steps_s)])
    places = np.concatenate([[0.0], np.cumsum(samples)])
    half = len(times) // 2
    lengths = places[half:] - places[:-half]
    slopes = np.sort((times[half:] - times[:-half]) / lengths)
    slopes = slopes[len(slopes) // 10 : len(slopes) - len(slopes) // 10]
    slope = float(slopes.mean())
    if slope <= 0:
        return None
    scatter = 1.4826 * float(np.median(np.abs(slopes - np.median(slopes))))
    # The steps show the error of a single stamp even if the slopes happen to agree.
    grain = float(np.abs(steps_s - samples * slope).max()) / float(np.median(lengths))
    return MeasuredRate(1 / slope, max(scatter, grain) / slope / len(slopes) ** 0.5)


class RateWatch:
    """Monitors the rate of a stream of stamped sound.

    Attributes:
        other_hz: rate of the newest sound if it is not the expected one, else None.
        other_s: seconds of sound since the rate has differed; 0 while it is the expected one.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Start monitoring; `sample_rate_hz` is the expected rate."""
        self._rate = sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Start again, for a stream that was restarted."""
        self._blocks: deque[tuple[int, int]] = deque()
        self._sample_count = self._since_look = 0
        self.other_hz: float | None = None
        self.other_s = 0.0

    def add(self, stamp_ns: int, count: int) -> bool:
        """Add a block; return whether the sound has the expected rate, as far as known.

        Args:
            stamp_ns: time of its first sample.
            count: number of its samples.
        """
        self._blocks.append((stamp_ns, count))
        self._sample_count += count
        self._since_look += count
        while len(self._blocks) > _FEWEST_BLOCKS and (
            self._sample_count - self._blocks[0][1] > WATCH_S * self._rate
        ):
            self._sample_count -= self._blocks.popleft()[1]
        if self.other_hz is not None:
            self.other_s += count / self._rate
        if (
            self._sample_count >= _LEAST_S * self._rate
            and self._since_look >= _STEP_S * self._rate
        ):
            self._since_look = 0
            measured = measure_rate(*zip(*self._blocks, strict=True))
            other = measured is not None and measured.is_other(self._rate)
            self.other_hz = measured.hz if measured is not None and other else None
            self.other_s = self.other_s if other else 0.0
        return self.other_hz is None


class ArrivalRate:
    """Measures the rate at which a device delivers samples, from its blocks' arrival times.

    Blocks arrive in bunches, but never early, so only the promptest block of each second is used,
    as in `avdet_ros.audio.dropouts`.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Start measuring; `sample_rate_hz` is the expected rate."""
        self._rate = sample_rate_hz
        self._samples = 0
        self._bins: deque[tuple[int, float, bool]] = deque(maxlen=_ARRIVAL_BINS)

    def add(self, arrival_s: float, count: int, overflow: bool) -> None:
        """Add a block.

        Args:
            arrival_s: arrival time, on any steady clock.
            count: number of its samples.
            overflow: whether the device reported lost samples.
        """
        self._samples += count
        second, edge_s = int(arrival_s), arrival_s - self._samples / self._rate
        if self._bins and self._bins[-1][0] == second:
            _, before_s, flag = self._bins.pop()
            edge_s, overflow = min(edge_s, before_s), overflow or flag
        self._bins.append((second, edge_s, overflow))

    @property
    def other_hz(self) -> float | None:
        """The rate; None if it is the expected one, samples were lost, or it is not yet known."""
        if len(self._bins) < _ARRIVAL_BINS or any(overflow for *_, overflow in self._bins):
            return None
        seconds, edges_s, _ = np.array(self._bins, float).T[:, 1:]  # the first may be part of one
        half = len(edges_s) // 2
        slopes = (edges_s[half:] - edges_s[:-half]) / (seconds[half:] - seconds[:-half])
        slope = float(np.median(slopes))
        # One more or fewer bunch in a second changes a slope, but not all slopes alike.
        if abs(slope) < _ARRIVAL_TOLERANCE or np.ptp(slopes) > 0.5 * abs(slope):
            return None
        return self._rate * (1 - slope)


def other_rate(where: str, found_hz: float, sample_rate_hz: int) -> str:
    """Return the error message for sound with another rate than the rig's."""
    return (
        f'{where}: expected {sample_rate_hz} samples a second as the rig says, found about '
        f'{nearest_rate(found_hz)} by stamps and counts'
    )


def nearest_rate(hz: float) -> int:
    """Return the common rate nearest to a measured one; if none is near, the measured one."""
    usual = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000)
    near = min(usual, key=lambda rate: abs(rate / hz - 1))
    return near if abs(near / hz - 1) < 2 * RATE_TOLERANCE else round(hz)
