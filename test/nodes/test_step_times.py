"""The message that gives the time at which each step of a window was done."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from std_msgs.msg import String

from avdet_ros.nodes.step_times import StepTimes

pytestmark = pytest.mark.ros


def test_step_times_are_sent_to_subscribers_in_ms_after_window_end():
    made, sent, listeners = [], [], [0]

    def create_publisher(*arguments):
        made.append(arguments)
        return SimpleNamespace(publish=sent.append, get_subscription_count=lambda: listeners[0])

    node = SimpleNamespace(NAME='detector', create_publisher=create_publisher)
    steps = StepTimes(node)
    assert made == [(String, 'debug/steps', 10)]
    end_ns = 1_700_000_000_000_000_000
    at_ns = {'taken': end_ns - 2_000_000, 'run': end_ns + 12_345_678, 'sent': end_ns + 99_000_000}
    steps.publish(end_ns, **at_ns)
    assert sent == []
    listeners[0] = 1
    steps.publish(end_ns, **at_ns)
    (message,) = sent
    content = json.loads(message.data)
    assert content == {
        'end_ns': end_ns,
        'node': 'detector',
        'done_ms': {'taken': -2.0, 'run': 12.3457, 'sent': 99.0},
    }
    assert list(content['done_ms']) == ['taken', 'run', 'sent']
