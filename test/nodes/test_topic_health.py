"""Which nodes publish a topic, and why no messages arrive on it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import pytest
from rcl_interfaces.msg import Log
import rclpy

from avdet_ros.nodes import topic_health
from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from avdet_ros.nodes.topic_health import PublisherWatch, StreamPulse
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros

MUTE = '/avdet/mute'


@pytest.fixture
def mute(ros):
    """A node whose state service does not respond: it spins only on request."""
    node = rclpy.create_node('mute', namespace='/avdet')

    def answer(_, response):
        response.current_state = State(label='inactive')
        return response

    node.create_service(GetState, 'mute/get_state', answer)
    yield node
    node.destroy_node()


def ask(watch, wait):
    """Request the state once the other node is found; returns the pending requests."""
    watch._state(MUTE)
    client = watch._clients[MUTE]
    wait(client.service_is_ready, 'the service')
    watch._state(MUTE)
    return client._pending_requests


def test_unresponsive_node_gets_one_request_at_a_time(watcher, mute, wait, monkeypatch):
    watch = PublisherWatch(watcher.node)
    pending = ask(watch, wait)
    first = list(pending.values())
    assert len(first) == 1
    for _ in range(5):
        assert watch._state(MUTE) == ''
    assert list(pending.values()) == first
    monkeypatch.setattr(topic_health, 'RESPONSE_S', -1.0)
    watch._state(MUTE)
    assert len(pending) == 1
    assert list(pending.values()) != first


def test_state_is_returned_after_its_response_and_requested_again(watcher, mute, wait):
    watch = PublisherWatch(watcher.node)
    pending = ask(watch, wait)
    for _ in range(2):

        def answered():
            rclpy.spin_once(mute, timeout_sec=0.02)
            return MUTE not in watch._requested

        wait(answered, 'an answer')
        assert watch._state(MUTE) == 'inactive'
        assert len(pending) == 1


def test_ended_source_is_not_a_fault_downstream(start, watcher, wait):
    """Any node of the namespace may report the end, while it repeats it; changes are logged."""
    lines = []
    watcher.node.create_subscription(Log, '/rosout', lines.append, 100)
    tracker = start(TrackerNode)
    watcher.wait_status('tracker', 'no publisher on /avdet/detections', level=ERROR)
    logged = [line.msg for line in lines if line.name.endswith('tracker')]
    wait(lambda: any('no publisher' in line.msg for line in lines), f'a line; there are {logged}')
    publisher = watcher.node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish_finished(finished):
        values = [KeyValue(key='finished', value=str(finished))]
        status = DiagnosticStatus(level=b'\x00', name='/avdet/capture', values=values)
        publisher.publish(DiagnosticArray(status=[status]))

    timer = watcher.node.create_timer(0.2, lambda: publish_finished(True))
    watcher.wait_status('tracker', 'the source has ended', level=OK)
    wait(lambda: any('recovered' in line.msg for line in lines), 'a line that all is well')
    watcher.node.destroy_timer(timer)
    timer = watcher.node.create_timer(0.2, lambda: publish_finished(False))
    watcher.wait_status('tracker', 'no publisher on /avdet/detections', level=ERROR)
    assert sum('no publisher' in line.msg for line in lines) == 1
    assert tracker.publisher_watch._statuses is not None


def reported(watch, count):
    report = Report()
    watch.report_count(report, '/t', count, 'several nodes publish /t')
    return report.level, report.message


def test_extra_publishers_are_a_warning_until_the_lease_expires(watcher, monkeypatch):
    watch = PublisherWatch(watcher.node)
    may_be_dead = (WARN, 'several nodes publish /t (or one of them has just died)')
    assert reported(watch, 1) == (OK, '')
    assert reported(watch, 2) == may_be_dead
    monkeypatch.setattr(topic_health, 'LEASE_S', 0.0)
    assert reported(watch, 2) == (ERROR, 'several nodes publish /t')
    monkeypatch.setattr(topic_health, 'LEASE_S', 20.0)
    assert reported(watch, 1) == (OK, '')
    assert reported(watch, 2) == reported(watch, 3) == reported(watch, 2) == may_be_dead


@pytest.mark.parametrize(
    ('steps_s', 'silence_s', 'stopped'),
    [
        ([0.1] * 30, 1.9, False),
        ([0.1] * 30, 2.1, True),
        ([0.1] * 30 + [10.0] + [0.1] * 5, 2.1, True),  # an earlier gap does not extend the limit
        ([5.0] * 4, 14.0, False),  # a slow topic may be silent for longer
        ([5.0] * 4, 16.0, True),
        ([0.1], 60.0, False),  # two messages are not a stream
        ([], 60.0, False),
    ],
)
def test_stream_has_stopped_after_an_unusually_long_silence(
    monkeypatch, steps_s, silence_s, stopped
):
    now_s = [100.0]
    monkeypatch.setattr(topic_health.time, 'monotonic', lambda: now_s[0])
    pulse = StreamPulse()
    pulse.add()
    for step_s in steps_s:
        now_s[0] += step_s
        pulse.add()
        assert not pulse.has_stopped
    now_s[0] += silence_s
    assert pulse.since_s == pytest.approx(silence_s)
    assert pulse.has_stopped == stopped
