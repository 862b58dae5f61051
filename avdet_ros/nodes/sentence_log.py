"""Select the sentences of a node's diagnostics for its log: each new one, and the recovery.

So a user who looks at the terminal and not at ``/diagnostics`` also learns why nothing arrives.
"""

from __future__ import annotations

from collections.abc import Collection
import re

from avdet_ros.nodes.diagnostics import OK, WARN, Report

QUIET_S = 60.0
"""A sentence that recurs within this time is not logged again."""

HOLD_S = 3.0
"""A fault that ends sooner is not logged, as nodes wait for each other while they start."""

WELL_S = 3.0
"""Time without a fault after which the recovery is logged."""

_NUMBER = re.compile(r'\d+(\.\d+)?')


class SentenceLog:
    """Remembers which sentences of one node's reports were logged."""

    def __init__(self) -> None:
        self._first_s: dict[str, float] = {}
        self._logged_s: dict[str, float] = {}
        self._faulty = False
        self._event = ''
        self._well_since_s: float | None = None

    def new_line(
        self, report: Report, now_s: float, logged: Collection[str]
    ) -> tuple[int, str] | None:
        """Return level and text of the line to log for a report, or None.

        Args:
            report: the newest report.
            now_s: monotonic time.
            logged: sentences that the node has already logged itself.
        """
        if report.level == OK:
            return self._recovery(report, now_s)
        self._well_since_s = None
        self._logged_s = {
            key: at_s for key, at_s in self._logged_s.items() if now_s - at_s <= QUIET_S
        }
        first_s: dict[str, float] = {}
        fresh = []
        level = WARN
        for fault_level, sentence in report.faults:
            key = _NUMBER.sub('#', sentence)  # numbers change; the sentence is the same
            first_s[key] = self._first_s.get(key, now_s)
            is_new = key not in self._logged_s
            if is_new and sentence not in logged:
                if now_s - first_s[key] < HOLD_S:
                    continue
                fresh.append(sentence)
                level = max(level, fault_level)
            self._logged_s[key] = now_s
            self._faulty |= is_new
        self._first_s = first_s
        return (level, '; '.join(fresh)) if fresh else None

    def _recovery(self, report: Report, now_s: float) -> tuple[int, str] | None:
        if self._well_since_s is None:
            self._well_since_s = now_s
        self._first_s.clear()
        before, self._event = self._event, report.event
        if report.event and not before:
            self._faulty = False
            return OK, report.event
        if not self._faulty or now_s - self._well_since_s < WELL_S:
            return None
        self._faulty = False
        return OK, f'recovered: {report.message or "working"}'
