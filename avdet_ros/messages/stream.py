"""Sample numbers for blocks of sound that carry only a stamp each."""

from __future__ import annotations

from dataclasses import dataclass

GAP_S = 0.010
"""Stamps may be off by this, or by half a block if that is more, before sound counts as lost."""


@dataclass(frozen=True)
class Place:
    """Where a block lies in the stream.

    Attributes:
        first_sample: number of its first sample, from 0; lost samples count too.
        stamp_ns: time of that sample.
        sample_rate_hz: samples a second.
        lost: samples lost just before it.
        restarted: its stamp lies before the end of the block before: the stream was restarted.
    """

    first_sample: int
    stamp_ns: int
    sample_rate_hz: int
    lost: int = 0
    restarted: bool = False

    def time_ns(self, sample: int) -> int:
        """Time of any sample, counted from this block's stamp."""
        return self.stamp_ns + round((sample - self.first_sample) * 1e9 / self.sample_rate_hz)


class StampedBlocks:
    """Puts blocks one after the other.

    The sender's stamps follow its crystal, so a block is compared with the one before it and not
    with the first: drift never adds up to a gap.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Begin a stream at this rate."""
        self._rate = sample_rate_hz
        self._last: Place | None = None
        self._next = 0

    def place(self, stamp_ns: int, count: int) -> Place:
        """Number a block's samples.

        Args:
            stamp_ns: time of its first sample.
            count: how many samples it has.
        """
        first, lost, restarted = 0, 0, False
        if self._last is not None:
            error_s = (stamp_ns - self._last.time_ns(self._next)) * 1e-9
            allowed_s = max(GAP_S, 0.5 * count / self._rate)
            restarted = error_s < -allowed_s
            if not restarted:
                lost = round(error_s * self._rate) if error_s > allowed_s else 0
                first = self._next + lost
        self._last = Place(first, stamp_ns, self._rate, lost, restarted)
        self._next = first + count
        return self._last
