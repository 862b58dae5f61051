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
        lost: samples lost just before it.
        restarted: its stamp lies before the end of the block before: the stream began anew.
    """

    first_sample: int
    lost: int = 0
    restarted: bool = False


class StampedBlocks:
    """Puts blocks one after the other, and tells the time of each sample.

    The sender's stamps follow its crystal, so a block is compared with the one before it and not
    with the first: drift never adds up to a gap.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Begin a stream at this rate."""
        self._rate = sample_rate_hz
        self._next: int | None = None
        self._anchor = (0, 0)

    def place(self, stamp_ns: int, count: int) -> Place:
        """Number a block's samples.

        Args:
            stamp_ns: time of its first sample.
            count: how many samples it has.
        """
        if self._next is None:
            self._take(0, stamp_ns, count)
            return Place(0)
        error_s = (stamp_ns - self.stamp_ns(self._next)) * 1e-9
        allowed_s = max(GAP_S, 0.5 * count / self._rate)
        if error_s < -allowed_s:
            self._take(0, stamp_ns, count)
            return Place(0, restarted=True)
        lost = round(error_s * self._rate) if error_s > allowed_s else 0
        first = self._next + lost
        self._take(first, stamp_ns, count)
        return Place(first, lost)

    def stamp_ns(self, sample: int) -> int:
        """Time of a sample, from the newest block's stamp."""
        first, stamp_ns = self._anchor
        return stamp_ns + round((sample - first) * 1e9 / self._rate)

    def _take(self, first: int, stamp_ns: int, count: int) -> None:
        self._anchor = (first, stamp_ns)
        self._next = first + count
