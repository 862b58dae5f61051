"""The sentence for each reason why no messages arrive, on a graph set by the test."""

from __future__ import annotations

from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_msgs.msg import Float64

from avdet_ros.nodes import topic_health
from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from avdet_ros.nodes.topic_health import PublisherWatch

pytestmark = pytest.mark.ros

RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Client:
    """A client of a node's state service."""

    def __init__(self):
        self.ready, self.asked, self.forgotten = True, [], []

    def service_is_ready(self):
        return self.ready

    def call_async(self, request):
        self.asked.append(Future())
        return self.asked[-1]

    def remove_pending_request(self, future):
        self.forgotten.append(future)


class Graph:
    """The parts of a node that a publisher watch uses."""

    def __init__(self):
        self.infos, self.clients, self.subscribed, self.ended = {}, {}, [], []

    def get_publishers_info_by_topic(self, topic):
        return self.infos.get(topic, [])

    def create_client(self, kind, name):
        return self.clients.setdefault(name, Client())

    def create_subscription(self, *arguments):
        self.subscribed.append(arguments)
        return arguments

    def destroy_subscription(self, subscription):
        self.ended.append(subscription)

    def get_namespace(self):
        return '/avdet'

    def publish(self, topic, name, kind='std_msgs/msg/Float64', profile=RELIABLE, space='/avdet'):
        info = SimpleNamespace(
            topic_type=kind, qos_profile=profile, node_name=name, node_namespace=space
        )
        self.infos.setdefault(topic, []).append(info)


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def watch(graph):
    return PublisherWatch(graph)


@pytest.fixture
def now(monkeypatch):
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(topic_health.time, 'monotonic', lambda: now.s)
    return now


def subscription_with(profile=RELIABLE):
    return SimpleNamespace(topic_name='/t', msg_type=Float64, qos_profile=profile)


def test_why_silent_reports_the_first_matching_reason(watch, graph):
    assert watch.why_silent(subscription_with(), 3.2) == 'no publisher on /t'
    graph.publish('/t', 'capture')
    assert (
        watch.why_silent(subscription_with(), 3.6) == 'nothing on /t from /avdet/capture for 4 s'
    )
    graph.publish('/t', 'other', space='/')
    words = 'nothing on /t from /avdet/capture, /other for 4 s'
    assert watch.why_silent(subscription_with(), 3.6) == words
    graph.publish('/t', 'wrong', kind='std_msgs/msg/String')
    words = '/t: /avdet/wrong publishes std_msgs/msg/String, expected std_msgs/msg/Float64'
    assert watch.why_silent(subscription_with(), 3.6) == words


def test_publisher_with_incompatible_qos_is_reported_with_the_reason(watch, graph):
    graph.publish('/t', 'camera', profile=BEST_EFFORT)
    assert (
        watch.why_silent(subscription_with(BEST_EFFORT), 5.0)
        == 'nothing on /t from /avdet/camera for 5 s'
    )
    sentence = watch.why_silent(subscription_with(), 5.0)
    assert sentence.startswith('/t: QoS of publisher /avdet/camera is incompatible: ')
    assert 'eliab' in sentence
    graph.infos.clear()
    graph.publish('/t', 'map', profile=RELIABLE)
    assert 'Volatile publisher' in watch.why_silent(subscription_with(LATCHED), 5.0)


def test_inactive_publisher_is_reported_after_its_state_is_received(watch, graph, now):
    graph.publish('/t', 'capture')
    silent = 'nothing on /t from /avdet/capture for 5 s'
    assert watch.why_silent(subscription_with(), 5.0) == silent
    client = graph.clients['/avdet/capture/get_state']
    assert len(client.asked) == 1
    watch._states['/avdet/capture'] = 'inactive'
    words = '/t: its publisher /avdet/capture is inactive, not active'
    assert watch.why_silent(subscription_with(), 5.0) == words
    watch._states['/avdet/capture'] = 'active'
    assert watch.why_silent(subscription_with(), 5.0) == silent
    watch._states['/avdet/capture'] = 'inactive'
    now.s += 5.0
    assert watch.why_silent(subscription_with(), 5.0) == words
    now.s += 0.1  # no response for more than five seconds: the state is unknown again
    assert watch.why_silent(subscription_with(), 5.0) == silent
    assert (client.forgotten, len(client.asked)) == ([client.asked[0]], 2)
    watch._states['/avdet/capture'] = 'inactive'
    client.ready = False  # the node is gone
    assert watch.why_silent(subscription_with(), 5.0) == silent
    assert (client.forgotten, len(client.asked)) == (client.asked, 2)
    assert watch.why_silent(subscription_with(), 5.0) == silent
    assert len(client.forgotten) == 2


def test_only_publishers_of_the_right_type_count_and_several_are_a_fault(watch, graph, now):
    assert watch.count(subscription_with()) == 0
    graph.publish('/t', 'a')
    graph.publish('/t', 'b', kind='std_msgs/msg/String')
    assert watch.count(subscription_with()) == 1

    def reported():
        report = Report()
        watch.report_publishers(report, subscription_with(), 'one capture')
        return report.level, report.message

    assert reported() == (OK, '')
    graph.publish('/t', 'c', profile=BEST_EFFORT)
    words = 'several nodes publish /t, expected one capture'
    assert reported() == (WARN, f'{words} (or one of them has just died)')
    now.s += 19.9
    assert reported()[0] == WARN
    now.s += 0.2
    assert reported() == (ERROR, words)
    graph.publish('/t', 'd')
    assert reported()[0] == WARN  # a third publisher has just appeared
    now.s += 20.1
    assert reported()[0] == ERROR
    graph.infos['/t'].pop()
    assert reported()[0] == ERROR  # two publishers are left, as before
    del graph.infos['/t']
    assert reported() == (OK, '')


def diagnostics_of(name, key, value):
    values = [KeyValue(key='source', value='file'), KeyValue(key=key, value=value)]
    return DiagnosticArray(status=[DiagnosticStatus(name=name, values=values)])


def test_source_has_ended_while_a_node_of_the_namespace_reports_it(watch, graph, now):
    now.s = 1.0  # a machine that has just booted
    assert not watch.source_ended()
    assert not watch.source_ended()
    ((kind, topic, take, depth),) = graph.subscribed  # subscribed only once
    assert (kind, topic, depth) == (DiagnosticArray, '/diagnostics', 10)
    for name, key, value in (
        ('/avdet/capture', 'finished', 'False'),
        ('/avdet/capture', 'started', 'True'),
        ('/other/capture', 'finished', 'True'),
        ('capture', 'finished', 'True'),
        ('/avdet/front/capture', 'finished', 'True'),
    ):
        take(diagnostics_of(name, key, value))
        assert not watch.source_ended()
    take(diagnostics_of('/avdet/capture', 'finished', 'True'))
    assert watch.source_ended()
    now.s += 2.9
    assert watch.source_ended()
    now.s += 0.2
    assert not watch.source_ended()
    watch.source_runs()
    watch.source_runs()
    assert graph.ended == graph.subscribed
    take(diagnostics_of('/avdet/capture', 'finished', 'True'))
    assert watch.source_ended()
    assert len(graph.subscribed) == 2
