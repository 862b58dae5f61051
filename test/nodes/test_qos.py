"""QoS parameters of topics: what they change, and how invalid ones are reported."""

from __future__ import annotations

import pytest
from rclpy.qos import ReliabilityPolicy

from avdet_ros.nodes import qos
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros


def test_qos_override_changes_only_its_topic(start, watcher, wait):
    before = str(qos.RESULTS)
    start(TrackerNode, **{'qos_overrides./avdet/tracks.publisher.reliability': 'best_effort'})

    def ends():
        offered = watcher.node.get_publishers_info_by_topic('/avdet/tracks')
        asked = watcher.node.get_subscriptions_info_by_topic('/avdet/detections')
        return [end.qos_profile.reliability for end in (*offered, *asked)]

    wait(lambda: len(ends()) == 2, 'the tracker')
    assert ends() == [ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE]
    assert str(qos.RESULTS) == before


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('tracks.publisher.reliability', 'sometimes', 'expected one of reliable, best_effort'),
        ('detections.subscription.reliability', 5, 'expected one of reliable, best_effort'),
        ('tracks.publisher.depth', 0, 'expected a whole number from 1 to 10000'),
        ('tracks.publisher.depth', 'deep', 'expected a whole number from 1 to 10000'),
        ('tracks.publisher.deepness', 5, 'ending in history, depth, reliability'),
        ('tracks.publishers.depth', 5, 'expected a name such as qos_overrides./avdet/spectrogram'),
        ('trucks.publisher.depth', 5, 'did you mean qos_overrides./avdet/tracks.publisher.depth?'),
    ],
)
def test_invalid_qos_override_is_reported_and_the_node_stays_active(
    start, watcher, name, value, words
):
    name = f'qos_overrides./avdet/{name}'
    node = start(TrackerNode, **{name: value})
    status = watcher.wait_status('tracker', f'parameter {name}: expected')
    assert words in status[1]
    assert node.state == 'active'
