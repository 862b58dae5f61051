"""Assign sample numbers to blocks of sound that carry only a stamp.

Good stamps follow the sender's crystal. Some drivers send others: rounded to milliseconds or
tenths of a second, the arrival time of a block, or among thousands a single 0 or one from another
year. So a stamp that deviates from the line of earlier ones is accepted only if the next ones
agree. A block whose stamp no other agrees with is placed between its neighbours.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
import math
from typing import Generic, TypeVar

T = TypeVar('T', bound=Sized)

GAP_S = 0.010
"""Stamps may be off by this, or by half a block if that is more, before sound counts as lost."""

FINE_S = 0.002
"""Stamps off by less are followed; otherwise only earlier ones are: no stamp is too early."""

RESTART_S = 1.5
"""Agreeing stamps that go back by more begin another stream; by less, a clock was set."""

LEAP_S = 600.0
"""Agreeing stamps that leap forward by more begin another stream; by less, sound was lost."""

_AGREE_S = 0.020
_AGREE_ROUGH_S = 0.150
_ROUGH_MEMORY_S = 5.0
_LATE_FOR_GOOD_S, _LATE_FOR_GOOD_BLOCKS = 1.0, 16
_LONGEST_DOUBT_S = 1.4
_WIDEST_S = 1.2


@dataclass(frozen=True)
class Place:
    """Position of a block in the stream.

    Attributes:
        first_sample: number of its first sample, from 0; lost samples count too.
        stamp_ns: time of that sample.
        sample_rate_hz: samples a second.
        lost: samples lost just before it.
        restarted: whether it begins another stream, since its stamp and the next ones do not fit.
    """

    first_sample: int
    stamp_ns: int
    sample_rate_hz: int
    lost: int = 0
    restarted: bool = False

    def time_ns(self, sample: int) -> int:
        """Time of any sample, counted from this block's stamp."""
        return self.stamp_ns + round((sample - self.first_sample) * 1e9 / self.sample_rate_hz)


@dataclass(frozen=True, eq=False)
class _HeldBlock(Generic[T]):
    """A block that waits for the next ones, and the deviation of its stamp from the expected."""

    stamp_ns: int
    samples: T
    off_s: float


class StampedBlocks(Generic[T]):
    """Places blocks one after the other.

    A block is compared with the ones just before it and not with the first, so drift never adds up
    to a gap. A block whose stamp does not fit is held back until the next ones show the reason.

    Attributes:
        wrong_stamps: number of blocks whose stamp no neighbour agreed with; they were placed
            between their neighbours.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Begin a stream at this rate."""
        self.wrong_stamps = 0
        self._rate = sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Begin another stream; `wrong_stamps` counts on."""
        self._last: Place | None = None
        self._next = 0
        self._held: list[_HeldBlock[T]] = []
        self._rough_s = self._off_s = 0.0
        self._late: list[float] = []  # by how much the newest blocks were all late, seconds

    @property
    def begun(self) -> bool:
        """Whether there are earlier blocks to compare a stamp with."""
        return self._last is not None

    def add(self, stamp_ns: int, samples: T) -> list[tuple[Place, T]]:
        """Add a block; return the blocks whose position is known now, in order.

        Args:
            stamp_ns: time of its first sample.
            samples: sequence with one entry per sample.
        """
        if not len(samples):
            return []
        if self._last is None:
            return [self._put(stamp_ns, samples)]
        outliers = [held for held in self._held if abs(held.off_s) > RESTART_S]
        allowed_s = self._allowed_s(len(samples))
        for left_out in ([], outliers) if outliers else ([],):
            off_s = self._deviation_s(
                stamp_ns, [block for block in self._held if block not in left_out]
            )
            if abs(off_s) <= allowed_s:
                self._held = [block for block in self._held if block not in left_out]
                self.wrong_stamps += len(left_out)
                return [*self._release(off_s), self._fit(stamp_ns, samples)]
        self._held.append(_HeldBlock(stamp_ns, samples, self._deviation_s(stamp_ns, self._held)))
        run = self._agreeing_from()
        since_s = self._seconds(self._held[run:-1])
        enough_s = _AGREE_S if self._fine() else _AGREE_ROUGH_S
        if run < len(self._held) - 1 and since_s >= enough_s:
            return self._settle(run)
        return self._settle(run) if self._seconds(self._held) > _LONGEST_DOUBT_S else []

    def flush(self) -> list[tuple[Place, T]]:
        """Return the blocks that still wait at the end of a recording."""
        if not self._held:
            return []
        last, run = self._held[-1].off_s, self._agreeing_from()
        known = self._fine() and not self.wrong_stamps
        if -RESTART_S < last <= LEAP_S and (known or run < len(self._held) - 1):
            return self._settle(run)
        return self._release(last)

    def _deviation_s(self, stamp_ns: int, before: list[_HeldBlock[T]]) -> float:
        """How much later a stamp is than expected right after these blocks, seconds."""
        waiting = sum(len(block.samples) for block in before)
        return (stamp_ns - self._time_ns(self._next + waiting)) * 1e-9

    def _time_ns(self, sample: int) -> int:
        assert self._last is not None
        return self._last.time_ns(sample)

    def _seconds(self, blocks: list[_HeldBlock[T]]) -> float:
        return sum(len(block.samples) for block in blocks) / self._rate

    def _fine(self) -> bool:
        return self._rough_s <= FINE_S

    def _allowed_s(self, count: int) -> float:
        rough_s = min(1.5 * self._rough_s, _WIDEST_S)
        return max(GAP_S, 0.5 * count / self._rate, rough_s)

    def _agreeing_from(self) -> int:
        """Index of the first of the newest held blocks that all show the same shift."""
        newest = self._held[-1].off_s
        apart_s = max(FINE_S, min(2 * self._rough_s, _WIDEST_S))
        run = len(self._held)
        while run and abs(self._held[run - 1].off_s - newest) <= apart_s:
            run -= 1
        return run

    def _release(self, off_s: float) -> list[tuple[Place, T]]:
        """Place the held blocks one after the other, without using their stamps.

        Args:
            off_s: deviation of the block after them; one bad stamp among fine ones is a mistake,
                several mean that the stream's stamps are rough.
        """
        held, self._held = self._held, []
        alone = len(held) == 1 and self._fine() and abs(off_s) <= FINE_S
        for block in held:
            if alone or abs(block.off_s) > RESTART_S:
                self.wrong_stamps += 1
            else:
                self._rough_s = max(self._rough_s, abs(block.off_s))
        return [self._put(self._time_ns(self._next), block.samples) for block in held]

    def _settle(self, run: int) -> list[tuple[Place, T]]:
        """Accept the stamps of the held blocks from index `run` on."""
        first, *others = self._held[run:]
        shift_s = min(block.off_s for block in self._held[run:])
        self._held = self._held[:run]
        placed = self._release(0.0)
        restarted = shift_s <= -RESTART_S or shift_s > LEAP_S
        lost = 0 if restarted else max(round(shift_s * self._rate), 0)
        begin_ns = first.stamp_ns
        if not self._fine():
            begin_ns -= round((first.off_s - shift_s) * 1e9)
        placed.append(self._put(begin_ns, first.samples, lost, restarted))
        self._late.clear()
        self._off_s = 0.0
        return placed + [self._fit(block.stamp_ns, block.samples) for block in others]

    def _fit(self, stamp_ns: int, samples: T) -> tuple[Place, T]:
        """Place a block right after the previous one."""
        expected_ns, seconds = self._time_ns(self._next), len(samples) / self._rate
        off_s = (stamp_ns - expected_ns) * 1e-9
        self._rough_s *= math.exp(-seconds / _ROUGH_MEMORY_S)
        # Rounding and waiting make stamps late and early in turn; a settling clock does not.
        swing_s = min(abs(off_s), abs(self._off_s)) if off_s * self._off_s < 0 else 0.0
        self._rough_s = max(self._rough_s, swing_s if self._fine() else abs(off_s))
        self._off_s = off_s
        if self._fine() or off_s <= FINE_S:
            self._late.clear()
            return self._put(stamp_ns, samples)
        if self._late_for_good(off_s, seconds):
            return self._put(stamp_ns, samples, round(off_s * self._rate) if off_s > GAP_S else 0)
        return self._put(expected_ns, samples)

    def _late_for_good(self, off_s: float, seconds: float) -> bool:
        """Whether all stamps have been late for long, so that rough stamps hid a loss of sound."""
        self._late.append(off_s)
        enough = max(_LATE_FOR_GOOD_S / seconds, _LATE_FOR_GOOD_BLOCKS)
        if len(self._late) < enough or off_s > min(self._late) + FINE_S:
            return False
        self._late.clear()
        return True

    def _put(
        self, stamp_ns: int, samples: T, lost: int = 0, restarted: bool = False
    ) -> tuple[Place, T]:
        first = 0 if restarted else self._next + lost
        self._last = Place(first, stamp_ns, self._rate, lost, restarted)
        self._next = first + len(samples)
        return self._last, samples
