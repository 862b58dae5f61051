"""Detect lost samples of a sound card, and their number, from the arrival times of its blocks.

A block cannot arrive before its last sample was captured, so arrival time minus sample time has a
sharp lower edge. When samples are lost, the edge steps up by exactly their duration. The sound
system's own time stamps are not used: a sound server shifts them by its buffering, half a second
at a time, although no sample is lost.
"""

from __future__ import annotations

SETTLE_S = 0.25
"""Time without falling, after an overflow, until the new edge is accepted."""

SILENT_LOSS_S = 0.05
"""Smallest step that counts without a reported overflow; sound servers shift buffers by less."""

SILENT_SETTLE_S = 0.5
"""Time without falling until a step without a reported overflow is accepted."""

_SMALLEST_S = 0.001
_FALLS_S = 0.005
_BIN_S = 1.0


class _Edge:
    """The lowest edge of late blocks, and the time since which it has not fallen.

    While the edge falls, a backlog is still being processed, and the loss cannot be determined.
    """

    def __init__(self, edge: float, arrival_s: float) -> None:
        self.lowest = self._reference = edge
        self.since_s = arrival_s

    def add(self, edge: float, arrival_s: float) -> None:
        self.lowest = min(self.lowest, edge)
        if self.lowest < self._reference - _FALLS_S:
            self._reference, self.since_s = self.lowest, arrival_s


class LossFinder:
    """Determines for each block how many samples were lost before it.

    Usage: `add` every block. When it returns a number, that many samples were lost before the
    oldest undecided block, and all blocks added so far are decided. While it returns None, the
    blocks must wait.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._samples = 0
        self._edges: tuple[float, float] | None = None  # of this bin and the one before
        self._bin_start = 0.0
        self._watch: _Edge | None = None  # after an overflow
        self._late: _Edge | None = None  # after arrivals turned late

    def add(self, frames: int, arrival_s: float, overflow: bool) -> int | None:
        """Add a block.

        Args:
            frames: number of its samples.
            arrival_s: its arrival time, on any steady clock.
            overflow: whether the device reported that samples before it were lost.

        Returns:
            Number of samples lost before the undecided blocks; None if it is not known yet.
        """
        self._samples += frames
        edge = arrival_s - self._samples / self._rate
        if self._edges is None:
            self._edges = (edge, edge)
            self._bin_start = arrival_s
            return 0
        if overflow and self._watch is None:
            self._watch = _Edge(edge, arrival_s)
        if self._watch is not None:
            self._watch.add(edge, arrival_s)
            if arrival_s - self._watch.since_s < SETTLE_S:
                return None
            step_s = self._watch.lowest - min(self._edges)
            self._watch = None
            return self._count(step_s) if step_s > _SMALLEST_S else 0
        return self._unannounced(self._edges, edge, arrival_s)

    def _unannounced(self, edges: tuple[float, float], edge: float, arrival_s: float) -> int:
        if edge - min(edges) <= SILENT_LOSS_S:
            self._late = None
            self._learn(edges, edge, arrival_s)
            return 0
        self._late = _Edge(edge, arrival_s) if self._late is None else self._late
        self._late.add(edge, arrival_s)
        if arrival_s - self._late.since_s < SILENT_SETTLE_S:
            return 0
        lost = self._count(self._late.lowest - min(edges))
        self._late = None
        return lost

    def _learn(self, edges: tuple[float, float], edge: float, arrival_s: float) -> None:
        if arrival_s - self._bin_start > _BIN_S:
            self._bin_start = arrival_s
            self._edges = (edge, edges[0])
        else:
            self._edges = (min(edge, edges[0]), edges[1])

    def _count(self, step_s: float) -> int:
        lost = round(step_s * self._rate)
        self._samples += lost
        return lost
