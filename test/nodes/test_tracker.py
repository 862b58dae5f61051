"""Node tracker with real messages."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2D, Detection2DArray

from avdet_ros.messages.encode import encode_detections, encode_header
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros

BOX = np.array([[100.0, 200.0, 300.0, 400.0]])


def test_track_keeps_its_id_until_detections_stop(chain):
    _, _, feed, _ = chain()
    first = feed(10.0)
    assert [entry.id for entry in first.detections] == ['1']
    assert first.header.frame_id == 'camera_optical_frame'
    assert first.header.stamp.sec == 10
    assert [entry.id for entry in feed(10.1, BOX + 5, (0.3,)).detections] == ['1']
    nothing = np.zeros((0, 4))
    assert feed(10.2, nothing, ()).detections == []
    assert [entry.id for entry in feed(10.3).detections] == ['2']


def test_jump_back_in_time_restarts_ids_and_is_counted(chain, watcher):
    _, _, feed, _ = chain()
    feed(100.0)
    feed(101.5, BOX + 900)
    assert [entry.id for entry in feed(5.0).detections] == ['1']
    watcher.wait_status('tracker', values=lambda values: values.get('time_jumps') == '1')


def test_latency_counts_from_the_end_of_the_window(chain, watcher, wait):
    _, _, feed, _ = chain()
    late = watcher.collect(Float64, 'debug/latency_ms')
    wait(lambda: watcher.node.count_publishers('/avdet/debug/latency_ms'), 'the tracker')
    time.sleep(0.2)
    feed(time.time() - 0.5)  # the window ended just now; its boxes apply to its middle
    wait(lambda: late, 'a latency')
    assert -1 < late[0].data < 5000


def test_thresholds_change_at_run_time_and_invalid_values_are_rejected(chain):
    node, _, feed, _ = chain()
    assert node.set_parameters([Parameter('start_score', value=0.2)])[0].successful
    assert [entry.id for entry in feed(1.0, scores=(0.3,)).detections] == ['1']
    for name, value, words in (
        ('start_score', -0.5, 'expected -1 or 0 to 1'),
        ('start_score', 7.0, 'out of range'),
        ('tracker', 'magic', 'expected one of ground, iou, motion'),
        ('rig', '/elsewhere.yaml', 'deactivate it first'),
    ):
        result = node.set_parameters([Parameter(name, value=value)])[0]
        assert not result.successful
        assert words in result.reason
    assert node.set_parameters([Parameter('tracker', value='motion')])[0].successful


@pytest.mark.parametrize('name', ['iou', 'motion'])
def test_id_numbering_continues_when_a_threshold_changes(chain, watcher, name):
    node, _, feed, _ = chain(tracker=name)
    for step in range(3):
        before = feed(1.0 + 0.1 * step, np.concatenate([BOX, BOX + 500]), (0.9, 0.8))
    assert [entry.id for entry in before.detections] == ['1', '2']
    assert node.set_parameters([Parameter('start_score', value=0.75)])[0].successful
    for step in range(3):
        after = feed(1.3 + 0.1 * step, BOX + 500)
    assert [entry.id for entry in after.detections] == ['3']
    values = watcher.wait_status('tracker', values=lambda v: v.get('windows_out') == '6')[2]
    assert (values['windows_in'], values['tracks'], values['tracks_alive']) == ('6', '3', '1')


def broken(kind):
    head = encode_header(1_000_000_000, 'camera_optical_frame')
    message = encode_detections(head, BOX, np.array([0.9]))
    entry = message.detections[0]
    if kind == 'nan':
        entry.bbox.size_x = float('nan')
    elif kind == 'infinite':
        entry.bbox.center.position.y = float('inf')
    elif kind == 'inside out':
        entry.bbox.size_y = -5.0
    elif kind == 'score':
        entry.results[0].hypothesis.score = 3.0
    elif kind == 'stamp':
        message.header.stamp.sec = 0
    return message


@pytest.mark.parametrize('kind', ['nan', 'infinite', 'inside out', 'score', 'stamp'])
def test_invalid_messages_are_rejected(chain, watcher, kind):
    _, publisher, feed, received = chain()
    publisher.publish(broken(kind))
    status = watcher.wait_status(
        'tracker', 'expected', level=1, values=lambda values: values['windows_refused'] == '1'
    )
    assert '/avdet/detections' in status[1]
    assert not received
    assert len(feed(2.0).detections) == 1


def test_ten_thousand_detections_are_limited_to_the_maximum(chain, watcher, wait):
    _, publisher, _, received = chain(max_detections=50)
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 1000, (10_000, 2))
    boxes = np.concatenate([corner, corner + 20], axis=1)
    head = encode_header(1_000_000_000, 'camera_optical_frame')
    publisher.publish(encode_detections(head, boxes, rng.uniform(0.85, 1, 10_000)))
    wait(lambda: received, 'tracks')
    assert 0 < len(received[0].detections) <= 50
    watcher.wait_status('tracker', '10000 detections at once, the best 50', level=1)


def test_detection_without_a_result_gives_no_track(chain, wait):
    _, publisher, _, received = chain()
    message = Detection2DArray(header=encode_header(1_000_000_000, 'camera'))
    message.detections.append(Detection2D())
    publisher.publish(message)
    wait(lambda: received, 'tracks')
    assert received[0].detections == []


def test_ids_restart_after_a_reactivation(chain, wait):
    node, _, feed, _ = chain()
    assert [entry.id for entry in feed(10.0).detections] == ['1']
    assert {entry.id for entry in feed(10.1, BOX + 900).detections} == {'2'}
    node.trigger_deactivate()
    node.trigger_activate()
    wait(lambda: node._subscription is not None, 'the subscription')
    assert [entry.id for entry in feed(10.2).detections] == ['1']


def test_detections_with_best_effort_qos_are_received(start, watcher, wait):
    start(TrackerNode, tracker='iou')
    received = watcher.collect(Detection2DArray, 'tracks', 100)
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = watcher.publisher(Detection2DArray, 'detections', effort)
    head = encode_header(10 * 10**9, 'camera_optical_frame')
    publisher.publish(encode_detections(head, BOX, np.array([0.9])))
    wait(lambda: received, 'tracks')


def test_qos_override_of_the_user_is_kept(start, watcher):
    name = 'qos_overrides./avdet/detections.subscription.reliability'
    start(TrackerNode, **{name: 'reliable'})
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    watcher.publisher(Detection2DArray, 'detections', effort, matched=0)
    watcher.wait_status('tracker', 'QoS of publisher /avdet/watcher is incompatible')
