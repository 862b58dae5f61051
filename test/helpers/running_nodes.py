"""Nodes in this process, each with an executor in a thread, and one that watches them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter

from avdet_ros.nodes import diagnostics, lifecycle

NAMESPACE = '/avdet'
PATIENCE_S = 60.0
"""Long, as a busy machine is slow; a condition that holds ends the wait at once."""

STATUS_S, RETRY_S = 0.2, 0.4
"""Shorter than the usual one and two seconds, so that tests do not wait for them."""


class Spinning:
    """A node with an executor in a thread."""

    def __init__(self, node):
        self.node = node
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self):
        with suppress(ExternalShutdownException):
            self.executor.spin()

    def close(self):
        self.executor.shutdown(5)
        self.thread.join(10)
        self.node.destroy_node()


class Watcher:
    """Publishes and subscribes in the graph's namespace, and keeps all diagnostics."""

    def __init__(self):
        self.node = rclpy.create_node('watcher', namespace=NAMESPACE)
        self.status, self.statuses = {}, defaultdict(list)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnostics, 50)
        self.spinning = Spinning(self.node)

    def _diagnostics(self, message):
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            self.status[status.name] = (status.level[0], status.message, values)
            self.statuses[status.name].append(self.status[status.name])

    def collect(self, kind, topic, profile=10):
        """Return a list that fills with the messages of a topic."""
        messages = []
        self.node.create_subscription(kind, topic, messages.append, profile)
        return messages

    def publisher(self, kind, topic, profile=10, matched=1):
        """Return a publisher that has found its subscribers."""
        publisher = self.node.create_publisher(kind, topic, profile)
        if matched:
            wait(lambda: publisher.get_subscription_count() >= matched, f'subscriber of {topic}')
        return publisher

    def wait_status(self, node, words='', level=None, values=None, since_start=False):
        """Return the diagnostics of a node once they contain these words.

        `since_start`: also accept earlier reports, as a busy test may miss the latest one.
        """

        def fits(status):
            if words not in status[1] or level not in (None, status[0]):
                return False
            return values is None or values(status[2])

        def found():
            statuses = self.statuses[f'{NAMESPACE}/{node}']
            look_at = statuses if since_start else statuses[-1:]
            return next((status for status in list(look_at) if fits(status)), None)

        return wait(found, lambda: f'{node} to report {words!r}; it reports {self.status}')


def wait(condition, what, timeout_s=PATIENCE_S):
    """Wait until a condition holds and return its value, or fail and name the condition."""
    until = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > until:
            pytest.fail(f'waited {timeout_s:g} s for {what() if callable(what) else what}')
        time.sleep(0.02)
    return found


@pytest.fixture(name='wait')
def wait_fixture():
    return wait


@pytest.fixture
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def watcher(ros):
    watcher = Watcher()
    yield watcher
    watcher.spinning.close()


@pytest.fixture
def start(ros, monkeypatch):
    """Start a node of a class with parameters, as its process would."""
    monkeypatch.setattr(diagnostics, 'PERIOD_S', STATUS_S)
    monkeypatch.setattr(lifecycle, 'RETRY_S', RETRY_S)
    running = []

    def start(node_class, namespace=NAMESPACE, options=None, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(namespace=namespace, parameter_overrides=overrides, **(options or {}))
        if node.p['autostart']:
            node.try_start()
        running.append(Spinning(node))
        return node

    yield start
    for spinning in reversed(running):
        spinning.close()


def report_of(node):
    """Return the current diagnostics of a node, in the process that runs it."""
    report = diagnostics.Report()
    node.diagnose(report)
    return report
