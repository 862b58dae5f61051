"""How fast stamped sound really comes: samples against stamps, over many blocks.

No block of sound carries its sample rate, so a 48 kHz recording read as one of 44.1 kHz shifts
every frequency and stretches every second, and nothing else shows it. Stamps as drivers make them
are rounded, late by some milliseconds, the same for several blocks that came together, or now and
then 0; a single pair of them says little, so the rate is that of a line through seconds of them,
with an error that is estimated from the same stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE_TOLERANCE = 0.01
"""Sound that comes at another rate than the rig's by more than this is another array's."""

MEASURE_S = 30.0
"""A recording's rate is measured over this much of its beginning."""

WATCH_S = 4.0
"""A stream's rate is measured over this much of its newest sound."""

SURE_S = 5.0
"""Another rate for this long is no hiccup of the stamps."""

_ARRIVAL_BINS = 11
_ARRIVAL_TOLERANCE = 0.03
_FEWEST_BLOCKS = 5
_LEAST_S = 1.0
_STEP_S = 0.25
_SIGMAS = 3.0
_MANY_GAPS = 0.08


@dataclass(frozen=True)
class MeasuredRate:
    """A rate of sound.

    Attributes:
        hz: samples a second.
        error: its standard error, relative.
    """

    hz: float
    error: float

    def is_other(self, sample_rate_hz: float) -> bool:
        """Whether this is certainly not the given rate."""
        off = abs(self.hz / sample_rate_hz - 1)
        return off > max(RATE_TOLERANCE, _SIGMAS * self.error)

    def is_certainly(self, sample_rate_hz: float) -> bool:
        """Whether it is the given rate and the stamps are good enough to tell."""
        return _SIGMAS * self.error < 2 * RATE_TOLERANCE and not self.is_other(sample_rate_hz)


def measure_rate(stamps_ns: Sequence[int], counts: Sequence[int]) -> MeasuredRate | None:
    """The rate of blocks of sound.

    Lost samples, a stamp of 0 and stamps that leap or go back are left out.

    Args:
        stamps_ns: (B,) time of each block's first sample.
        counts: (B,) its samples.

    Returns:
        The rate; None where there are too few blocks or stamps to tell.
    """
    stamps, lengths = np.asarray(stamps_ns, np.int64), np.asarray(counts, np.int64)
    given = stamps > 0
    starts = (np.cumsum(lengths) - lengths)[given]
    steps_s, steps = np.diff(stamps[given]) * 1e-9, np.diff(starts)
    usable = steps > 0
    steps_s, steps = steps_s[usable], steps[usable]
    if len(steps) + 1 < _FEWEST_BLOCKS:
        return None
    each_s = steps_s / steps
    usual = float(np.median(each_s))
    spread = 1.4826 * float(np.median(np.abs(each_s - usual)))
    grain_s = np.gcd.reduce(np.diff(stamps[given])) * 1e-9  # stamps are rounded to this
    slack = max(0.75 * abs(usual), _SIGMAS * spread, 1.1 * grain_s / float(np.median(steps)))
    together = steps_s == 0
    if np.mean(together) > 0.05 and (each_s > 0).any():  # several blocks share a stamp
        slack = max(slack, 1.5 * float(np.median(each_s[each_s > 0])))
    near = np.abs(each_s - usual) <= slack
    found = _line(steps_s[near], steps[near])
    if found is not None and np.mean(~near) > _MANY_GAPS:
        # So many gaps may be none, but stamps that are coarser than a block.
        all_kept = _line(steps_s[forward := steps_s >= 0], steps[forward])
        if all_kept is not None:
            apart = 1.05 * abs(found.hz / all_kept.hz - 1) / _SIGMAS
            return MeasuredRate(found.hz, max(found.error, apart))
    return found


def _line(steps_s: np.ndarray, samples: np.ndarray) -> MeasuredRate | None:
    """The rate of steps of time and samples, by slopes over half of them."""
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
    # What one stamp can be wrong by shows in the steps even where the slopes happen to agree.
    grain = float(np.abs(steps_s - samples * slope).max()) / float(np.median(lengths))
    return MeasuredRate(1 / slope, max(scatter, grain) / slope / len(slopes) ** 0.5)


class RateWatch:
    """Watches the rate of a stream of stamped sound.

    Attributes:
        other_hz: the rate that the newest sound has, where that is not the expected one.
        other_s: for how many seconds of sound it has not been; 0 where all is well.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Watch for this rate."""
        self._rate = sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Begin again, with a stream that was restarted."""
        self._blocks: deque[tuple[int, int]] = deque()
        self._held = self._since_look = 0
        self.other_hz: float | None = None
        self.other_s = 0.0

    def add(self, stamp_ns: int, count: int) -> bool:
        """Take a block; whether its sound has the expected rate, as far as can be told.

        Args:
            stamp_ns: time of its first sample.
            count: how many samples it has.
        """
        self._blocks.append((stamp_ns, count))
        self._held += count
        self._since_look += count
        while len(self._blocks) > _FEWEST_BLOCKS and (
            self._held - self._blocks[0][1] > WATCH_S * self._rate
        ):
            self._held -= self._blocks.popleft()[1]
        if self.other_hz is not None:
            self.other_s += count / self._rate
        if self._held >= _LEAST_S * self._rate and self._since_look >= _STEP_S * self._rate:
            self._since_look = 0
            measured = measure_rate(*zip(*self._blocks, strict=True))
            other = measured is not None and measured.is_other(self._rate)
            self.other_hz = measured.hz if measured is not None and other else None
            self.other_s = self.other_s if other else 0.0
        return self.other_hz is None


class ArrivalRate:
    """The rate at which a device delivers, from when its blocks arrive.

    They arrive in bunches, never early: of each second the promptest counts, as in
    `avdet_ros.audio.dropouts`.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Expect this rate."""
        self._rate = sample_rate_hz
        self._samples = 0
        self._bins: deque[tuple[int, float, bool]] = deque(maxlen=_ARRIVAL_BINS)

    def add(self, arrival_s: float, count: int, overflow: bool) -> None:
        """Take a block.

        Args:
            arrival_s: on any steady clock.
            count: its samples.
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
        """The rate; None where it is the expected one, samples were lost, or it is too early."""
        if len(self._bins) < _ARRIVAL_BINS or any(overflow for *_, overflow in self._bins):
            return None
        seconds, edges_s, _ = np.array(self._bins, float).T[:, 1:]  # the first may be part of one
        half = len(edges_s) // 2
        slopes = (edges_s[half:] - edges_s[:-half]) / (seconds[half:] - seconds[:-half])
        slope = float(np.median(slopes))
        # A bunch more or less in a second moves a slope, but not all of them the same way.
        if abs(slope) < _ARRIVAL_TOLERANCE or np.ptp(slopes) > 0.5 * abs(slope):
            return None
        return self._rate * (1 - slope)


def other_rate(where: str, found_hz: float, sample_rate_hz: int) -> str:
    """The sentence that refuses sound of another rate than the rig's."""
    return (
        f'{where}: expected {sample_rate_hz} samples a second as the rig says, found about '
        f'{nearest_rate(found_hz)} by stamps and counts'
    )


def nearest_rate(hz: float) -> int:
    """A measured rate in words: the usual one that is meant, or itself."""
    usual = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000)
    near = min(usual, key=lambda rate: abs(rate / hz - 1))
    return near if abs(near / hz - 1) < 2 * RATE_TOLERANCE else round(hz)
