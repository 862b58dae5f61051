"""Check for diagnostics that windows arrive as often and as early as they should.

A node that drops windows, receives too few of them or is late keeps working and publishing:
without these sentences an overload would look healthy.
"""

from __future__ import annotations

from collections import deque
import threading

import numpy as np

WATCHED_S = 5.0
"""How far back windows are checked, in ROS time."""

FEWEST_PART = 0.9
"""Least fraction of the expected number of windows, which is one per hop."""

LATEST_HOPS = 3.0
"""Windows are late if a tenth of them is later than this many hops."""

LATEST_S = 0.3
"""Lower limit of that lateness, for short hops."""

OTHER_CLOCK_S = 60.0
"""Stamps this far from ROS time are of another clock, since no node is that slow."""

_FEWEST_STEPS = 10


class WindowFlow:
    """The windows that a node has sent in the last seconds.

    Safe to use from two threads: one adds windows, the other requests sentences.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: deque[tuple[int, int, float]] = deque()
        self._since_ns: int | None = None
        self._drops: deque[tuple[int, int]] = deque()

    def add(self, now_ns: int, stamp_ns: int, late_ms: float) -> None:
        """Add a window.

        Args:
            now_ns: ROS time.
            stamp_ns: stamp of the window; if it goes back, earlier windows are forgotten.
            late_ms: time from its last sample to now.
        """
        with self._lock:
            if self._windows and (
                now_ns < self._windows[-1][0] or stamp_ns < self._windows[-1][1]
            ):
                self._windows.clear()
                self._since_ns = None
            if self._since_ns is None:
                self._since_ns = now_ns
            self._windows.append((now_ns, stamp_ns, late_ms))
            self._forget(now_ns)

    def sentences(self, now_ns: int, dropped: int = 0, hop_s: float | None = None) -> list[str]:
        """Describe what is wrong with the windows of the last seconds; call it once a second.

        Args:
            now_ns: ROS time.
            dropped: windows that the node has dropped since it began, for lack of time.
            hop_s: time from one window's end to the next one's; None: taken from the stamps.
        """
        with self._lock:
            self._forget(now_ns)
            windows = np.array(self._windows, np.float64).reshape(-1, 3)
            since_ns = self._since_ns
        found = []
        if news := self._new_drops(now_ns, dropped):
            found.append(f'too slow: windows dropped in the last {WATCHED_S:g} s: {news}')
        hop_s = _hop_s(windows) if hop_s is None else hop_s
        if hop_s is None or since_ns is None:
            return found
        # A stream that has just begun has not had time for all windows.
        if now_ns - since_ns >= WATCHED_S * 1e9:
            expected = WATCHED_S / hop_s
            if len(windows) < FEWEST_PART * expected - 1:
                found.append(
                    f'too few windows: {len(windows)} of {expected:.0f} in the last '
                    f'{WATCHED_S:g} s'
                )
        late_s = np.quantile(windows[:, 2], 0.9) * 1e-3 if len(windows) else 0.0
        if abs(late_s) > OTHER_CLOCK_S:
            found.append(
                f'stamps are {late_s:.0f} s before ROS time: of another clock, or of a recording '
                'that plays to nodes without use_sim_time'
            )
        elif late_s > max(LATEST_HOPS * hop_s, LATEST_S):
            found.append(f'late: windows come {late_s:.1f} s after their last sample')
        return found

    def _new_drops(self, now_ns: int, dropped: int) -> int:
        """Return the number of windows dropped in the period checked."""
        if self._drops and now_ns < self._drops[-1][0]:
            self._drops.clear()
        self._drops.append((now_ns, dropped))
        while len(self._drops) > 1 and now_ns - self._drops[1][0] >= WATCHED_S * 1e9:
            self._drops.popleft()
        return dropped - self._drops[0][1] if len(self._drops) > 1 else dropped

    def _forget(self, now_ns: int) -> None:
        while self._windows and now_ns - self._windows[0][0] > WATCHED_S * 1e9:
            self._windows.popleft()


def _hop_s(windows: np.ndarray) -> float | None:
    """Return the median step of the stamps, or None while there are too few."""
    steps = np.diff(windows[:, 1])
    steps = steps[steps > 0]
    return float(np.median(steps)) * 1e-9 if len(steps) >= _FEWEST_STEPS else None
