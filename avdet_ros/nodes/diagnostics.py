"""A node's diagnostics: levels, sentences and numbers.

Only `to_message`, which makes the message, uses ROS.
"""

from __future__ import annotations

from collections import deque
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np

OK, WARN, ERROR = 0, 1, 2
"""Levels, as in diagnostic_msgs."""

PERIOD_S = 1.0
"""Time from one status to the next."""


class Report:
    """Collects one status: the worst level wins, the worst sentences come first.

    Attributes:
        level: OK, WARN or ERROR.
        values: values shown below the sentence.
        event: normal event worth one line in the log, such as the end of a source.
    """

    def __init__(self) -> None:
        self.level = OK
        self.event = ''
        self.values: dict[str, str] = {}
        self._sentences: list[tuple[int, str]] = []

    @property
    def message(self) -> str:
        """All faults or, if there are none, all sentences about normal operation."""
        least = min(self.level, WARN)
        worst_first = sorted(self._sentences, key=lambda entry: -entry[0])
        shown = [sentence for level, sentence in worst_first if level >= least]
        return '; '.join(dict.fromkeys(shown))

    @property
    def faults(self) -> list[tuple[int, str]]:
        """Level and sentence of every fault, in the order they were added."""
        return [entry for entry in self._sentences if entry[0] > OK]

    def add(self, level: int, sentence: str) -> None:
        """Add a sentence."""
        self.level = max(level, self.level)
        self._sentences.append((level, sentence))

    def ok(self, sentence: str) -> None:
        """Add a sentence about normal operation."""
        self.add(OK, sentence)

    def once(self, sentence: str) -> None:
        """Add a sentence about normal operation, and log it when it first appears."""
        self.ok(sentence)
        self.event = sentence

    def warn(self, sentence: str) -> None:
        """Add a sentence about something that a user should look at."""
        self.add(WARN, sentence)

    def error(self, sentence: str) -> None:
        """Add a sentence about why the node cannot do its work."""
        self.add(ERROR, sentence)

    def value(self, **values: Any) -> None:
        """Add numbers or words by name; names contain the unit."""
        for name, value in values.items():
            self.values[name] = f'{value:.4g}' if isinstance(value, float) else str(value)


class RecentProblems:
    """Recent problems; each is forgotten when it has not recurred for a while."""

    def __init__(self, hold_s: float = 5.0) -> None:
        self._hold_s = hold_s
        self._problems: dict[str, tuple[float, int, str]] = {}

    def add(self, key: str, level: int, sentence: str, hold_s: float | None = None) -> bool:
        """Remember a problem; return True if it is new and worth a line in the log."""
        until = time.monotonic() + (self._hold_s if hold_s is None else hold_s)
        earlier = self._problems.get(key)
        self._problems[key] = (until, level, sentence)
        return earlier is None or earlier[0] < time.monotonic()

    def end(self, key: str) -> None:
        """Forget a problem."""
        self._problems.pop(key, None)

    @property
    def sentences(self) -> list[str]:
        """The newest sentence of each problem."""
        return [sentence for _, _, sentence in self._problems.values()]

    def add_to(self, report: Report) -> None:
        """Add the problems that are still remembered to a report."""
        now = time.monotonic()
        for until, level, sentence in list(self._problems.values()):
            if until >= now:
                report.add(level, sentence)


class LatencyStats:
    """Statistics of the newest few hundred values of a duration, in milliseconds."""

    def __init__(self, keep: int = 600) -> None:
        self._newest: deque[float] = deque(maxlen=keep)

    def add(self, milliseconds: float) -> None:
        """Add one value."""
        self._newest.append(milliseconds)

    def clear(self) -> None:
        """Forget all values."""
        self._newest.clear()

    def add_to(self, report: Report, name: str) -> None:
        """Add ``<name>_ms_p50``, ``_p99`` and ``_max`` to a report."""
        newest = list(self._newest)
        if newest:
            p50, p99 = np.percentile(newest, [50, 99])
            numbers = {'p50': float(p50), 'p99': float(p99), 'max': max(newest)}
            report.value(**{f'{name}_ms_{key}': value for key, value in numbers.items()})


class RateCounter:
    """Counts events and measures their rate."""

    def __init__(self) -> None:
        self.count = 0
        self._last_call = (time.monotonic(), 0)

    def add(self, count: int = 1) -> None:
        """Count events."""
        self.count += count

    def per_second(self) -> float:
        """Return the events per second since the last call."""
        last_s, last_count = self._last_call
        now_s = time.monotonic()
        self._last_call = (now_s, self.count)
        return (self.count - last_count) / max(now_s - last_s, 1e-3)


def to_message(stamp: Any, name: str, report: Report) -> DiagnosticArray:
    """Encode a report as a message.

    Args:
        stamp: builtin_interfaces/Time.
        name: the node's full name.
        report: its content.
    """
    values = [KeyValue(key=key, value=value) for key, value in report.values.items()]
    status = DiagnosticStatus(
        level=bytes([report.level]),
        name=name,
        message=report.message or 'working',
        hardware_id='avdet',
        values=values,
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message
