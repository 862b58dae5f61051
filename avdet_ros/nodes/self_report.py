"""A node's report about itself: diagnostics once a second, and what is new in them in the log."""

from __future__ import annotations

from collections import deque
import time
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType

from avdet_ros.nodes import diagnostics
from avdet_ros.nodes.sentence_log import SentenceLog
from avdet_ros.parameters import NODES, REAL_TIME
from avdet_ros.process import raise_priority

SLOW_THREADS = ('array watch',)
"""Threads that work for seconds at a time and must not do so at real-time priority."""

_CLOCK_PATIENCE_S = 2.0
_CLOCK_STILL_S = 1.5


class SelfReport:
    """Publishes a node's state, its faults and what `AvdetNode.diagnose` reports.

    Attributes:
        clock_still: whether ``/clock`` is published and stands still.
        logged: the newest lines of the package's own log, see `log_bridge`.
    """

    def __init__(self, node: Any) -> None:
        """Create the publisher; `publish` must be called once a second.

        Args:
            node: the `AvdetNode` to report on.
        """
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._sentences = SentenceLog()
        self.logged: deque[str] = deque(maxlen=50)
        self.clock_still = False
        self._created_s = time.monotonic()
        self._clock_ns, self._clock_moved_s = -1, self._created_s
        self._refused_priority = ''

    def publish(self) -> None:
        """Publish the node's current state, and log what is new in it."""
        node, report = self._node, diagnostics.Report()
        report.value(state=node.state)
        if node.fault:
            report.error(node.fault)
        elif node.state == 'active':
            node.problems.add_to(report)
            self._check_clock(report)
            self.request_priority(report)
            node.adapt_subscriptions()
            try:
                node.diagnose(report)
            except Exception as error:
                node.get_logger().error(traceback.format_exc())
                report.error(f'diagnostics: {type(error).__name__}: {error}')
            for sentence in node.p.without_topic():
                report.warn(sentence)
        elif node.state == 'finalized':
            report.warn('finalized: restart the process')
        elif not node.should_be_active:
            name = node.get_fully_qualified_name()
            report.warn(f'{node.state}: activate it or call {name}/enable')
        for sentence in node.p.warnings:
            report.warn(sentence)
        self._log_new_line(report)
        now = node.get_clock().now()
        if now.nanoseconds == 0:  # sim time has not begun, and a stamp of 0 is none
            now = Clock(clock_type=ClockType.SYSTEM_TIME).now()
        name = node.get_fully_qualified_name()
        self._publisher.publish(diagnostics.to_message(now.to_msg(), name, report))

    def _log_new_line(self, report: diagnostics.Report) -> None:
        """Log one line if the report contains something new that has not been logged yet."""
        logged = {self._node.fault, *self._node.problems.sentences, *self._node.p.warnings}
        lines = list(self.logged)
        logged |= {text for _, text in report.faults if any(text in line for line in lines)}
        new_line = self._sentences.new_line(report, time.monotonic(), logged)
        if new_line is None:
            return
        log, (level, line) = self._node.get_logger(), new_line
        if level == diagnostics.ERROR:
            log.error(line)
        elif level == diagnostics.WARN:
            log.warning(line)
        else:
            log.info(line)

    def request_priority(self, report: diagnostics.Report) -> None:
        """Request real-time priority if wanted; repeated each time, as threads come and go.

        Args:
            report: receives the answer.
        """
        if REAL_TIME not in NODES[self._node.NAME] or not self._node.p[REAL_TIME.name]:
            return
        refused = raise_priority(self._node.p[REAL_TIME.name], SLOW_THREADS)
        report.value(real_time_priority=refused or f'{self._node.p[REAL_TIME.name]}, granted')
        if refused and refused != self._refused_priority:
            self._node.get_logger().warning(refused)
        self._refused_priority = refused

    def _check_clock(self, report: diagnostics.Report) -> None:
        self.clock_still = False
        if not self._node.get_parameter('use_sim_time').value:
            return
        now_s, clock_ns = time.monotonic(), self._node.now_ns()
        if clock_ns != self._clock_ns:
            self._clock_ns, self._clock_moved_s = clock_ns, now_s
        if not self._node.count_publishers('/clock'):
            if now_s - self._created_s > _CLOCK_PATIENCE_S:
                report.error('use_sim_time is true and nothing publishes /clock')
        elif now_s - self._clock_moved_s > _CLOCK_STILL_S:
            self.clock_still = True
            report.warn(f'/clock stands still at {clock_ns * 1e-9:.1f} s')
