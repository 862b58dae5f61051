"""Check the publishers of a topic, and explain in one sentence why nothing arrives on it."""

from __future__ import annotations

from collections import deque
import time

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
import numpy as np
from rclpy.client import Client
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.task import Future

from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.hand_over import HandedOver
from avdet_ros.nodes.qos import incompatible_policies, type_name

SILENT_AFTER_S = 2.0
"""Silence this long needs an explanation."""

LEASE_S = 20.0
"""A killed node stays in the graph this long (Fast DDS, unless its profile sets another time)."""

STATUS_S = 3.0
"""A status older than this says nothing about the present."""

RESPONSE_S = 5.0
"""A request without a response for this long will never get one."""


STREAM_MESSAGES = 3
"""A topic with at least this many messages is a stream that should continue."""


class StreamPulse:
    """Measures when messages of a topic arrive, and so whether they have stopped.

    Attributes:
        count: number of messages received.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last_s: float | None = None
        self._steps_s: deque[float] = deque(maxlen=21)

    def add(self) -> None:
        """Note that a message has arrived."""
        now_s = time.monotonic()
        if self.last_s is not None:
            self._steps_s.append(now_s - self.last_s)
        self.last_s = now_s
        self.count += 1

    @property
    def since_s(self) -> float:
        """Seconds since the last message; 0 before the first."""
        return 0.0 if self.last_s is None else time.monotonic() - self.last_s

    @property
    def has_stopped(self) -> bool:
        """Whether a stream has been silent for longer than is usual for it."""
        if self.count < STREAM_MESSAGES:
            return False
        usual_s = float(np.median(self._steps_s))
        return self.since_s > max(SILENT_AFTER_S, STREAM_MESSAGES * usual_s)


AnySubscription = Subscription | AdaptiveSubscription | HandedOver
"""Any kind of subscription through which a node receives a topic."""


class PublisherWatch:
    """Examines the publishers of a subscription when it is silent."""

    def __init__(self, node: Node) -> None:
        """Watch from this node."""
        self._node = node
        self._states: dict[str, str] = {}
        self._clients: dict[str, Client] = {}
        self._requested: dict[str, tuple[Future, float]] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        self._statuses: Subscription | None = None
        self._ended_s = -STATUS_S

    def source_ended(self) -> bool:
        """Whether a node of this namespace reports that its source of sound has ended.

        Call it while nothing arrives; the first call only subscribes to ``/diagnostics``.
        """
        if self._statuses is None:
            self._statuses = self._node.create_subscription(
                DiagnosticArray, '/diagnostics', self._on_status, 10
            )
        return time.monotonic() - self._ended_s < STATUS_S

    def source_runs(self) -> None:
        """Unsubscribe from ``/diagnostics``, since messages arrive again."""
        if self._statuses is not None:
            self._node.destroy_subscription(self._statuses)
            self._statuses = None

    def _on_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.rpartition('/')[0] == self._node.get_namespace().rstrip('/') and any(
                value.key == 'finished' and value.value == 'True' for value in status.values
            ):
                self._ended_s = time.monotonic()

    def count(self, subscription: AnySubscription) -> int:
        """Return the number of publishers of the right type."""
        infos = self._node.get_publishers_info_by_topic(subscription.topic_name)
        return sum(info.topic_type == type_name(subscription.msg_type) for info in infos)

    def report_count(self, report: Report, topic: str, count: int, sentence: str) -> None:
        """Report that several nodes publish a topic that only one should publish.

        Args:
            report: report to add to.
            topic: its full name.
            count: number of publishers now; to be passed each time, even when it is one.
            sentence: the warning.
        """
        now_s = time.monotonic()
        before, since_s = self._counts.get(topic, (1, now_s))
        if count > before:
            since_s = now_s
        self._counts[topic] = (count, since_s)
        if count > 1 and now_s - since_s < LEASE_S:
            report.warn(f'{sentence} (or one of them has just died)')
        elif count > 1:
            report.error(sentence)

    def report_publishers(
        self, report: Report, subscription: AnySubscription, expected: str
    ) -> None:
        """Report that several nodes publish a subscription's topic, see `report_count`.

        Args:
            report: report to add to.
            subscription: the subscription.
            expected: the expected publisher, e.g. ``one capture``.
        """
        topic, count = subscription.topic_name, self.count(subscription)
        sentence = f'several nodes publish {topic}, expected {expected}'
        self.report_count(report, topic, count, sentence)

    def why_silent(self, subscription: AnySubscription, since_s: float) -> str:
        """Return the reason why a subscription that matters is silent.

        Args:
            subscription: the subscription.
            since_s: seconds since the last message, or since the subscription began.
        """
        topic = subscription.topic_name
        infos = self._node.get_publishers_info_by_topic(topic)
        if not infos:
            return f'no publisher on {topic}'
        requested = subscription.qos_profile
        expected = type_name(subscription.msg_type)
        names = []
        for info in infos:
            name = _full_name(info.node_namespace, info.node_name)
            if info.topic_type != expected:
                return f'{topic}: {name} publishes {info.topic_type}, expected {expected}'
            policies = incompatible_policies(info.qos_profile, requested)
            if policies:
                return f'{topic}: QoS of publisher {name} is incompatible: {policies}'
            names.append(name)
        for name in names:
            state = self._state(name)
            if state and state != 'active':
                return f'{topic}: its publisher {name} is {state}, not active'
        return f'nothing on {topic} from {", ".join(names)} for {since_s:.0f} s'

    def _state(self, name: str) -> str:
        """Return a node's lifecycle state by its last response, or ''; request it again."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(GetState, f'{name}/get_state')
        ready, now_s = client.service_is_ready(), time.monotonic()
        open_request, requested_s = self._requested.get(name, (None, now_s))
        if not ready or now_s - requested_s > RESPONSE_S:
            self._states.pop(name, None)
            self._requested.pop(name, None)
            if open_request is not None:
                client.remove_pending_request(open_request)
        if ready and name not in self._requested:
            future = client.call_async(GetState.Request())
            self._requested[name] = (future, now_s)
            future.add_done_callback(lambda done: self._on_response(name, done))
        return self._states.get(name, '')

    def _on_response(self, name: str, future: Future) -> None:
        if future.exception() is None:
            self._states[name] = future.result().current_state.label
        self._requested.pop(name, None)


def _full_name(namespace: str, name: str) -> str:
    return f'{namespace.rstrip("/")}/{name}'
