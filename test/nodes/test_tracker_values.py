"""What node tracker publishes and reports, message by message, without DDS."""

from __future__ import annotations

from types import SimpleNamespace

from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter

from avdet_ros.messages.decode import decode_detections, stamp_ns
from avdet_ros.messages.encode import encode_detections, encode_header
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros

BOX = np.array([[100.0, 200.0, 300.0, 400.0]])
FAR_BOX = BOX + 900
TOPIC = '/avdet/detections'


@pytest.fixture
def tracker(ros):
    """Makes an active tracker that does not spin and that records what it publishes."""
    made = []

    def make(**parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = TrackerNode(namespace='/avdet', parameter_overrides=overrides)
        made.append(node)
        assert node.try_start()
        node.sent, node.numbers, node.steps, node.metres = [], {}, [], []
        node._tracks = SimpleNamespace(publish=node.sent.append)
        names = {node._tracker_ms: 'tracker', node._latency_ms: 'latency'}
        node.publish_number = lambda publisher, value: node.numbers.update(
            {names[publisher]: value}
        )
        node._steps = SimpleNamespace(
            publish=lambda end_ns, **at_ns: node.steps.append((end_ns, list(at_ns.items())))
        )
        node.now = 60_000_000_000
        node.now_ns = lambda: node.now
        node._ground.publish = lambda head, vehicles: node.metres.append((head, vehicles))
        return node

    yield make
    for node in made:
        node.destroy_node()


def feed(node, stamp_s, boxes=BOX, scores=(0.9,), number=None):
    """Pass a message to the node; returns the resulting track ids, or None if rejected."""
    head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
    message = encode_detections(head, np.asarray(boxes), np.asarray(scores))
    before = len(node.sent)
    node._on_detections(message, {'publication_sequence_number': number})
    if len(node.sent) == before:
        return None
    assert node.sent[-1].header == head
    return [entry.id for entry in node.sent[-1].detections]


def test_windows_tracks_and_time_jumps_are_counted(tracker):
    node = tracker(tracker='iou')
    assert report_of(node).values['tracks_alive'] == '0'
    assert feed(node, 50.0) == ['1']
    assert feed(node, 50.1, [*BOX, *FAR_BOX], (0.9, 0.8)) == ['1', '2']
    assert feed(node, 50.2, np.zeros((0, 4)), ()) == []
    values = report_of(node).values
    counted = ('windows_in', 'windows_out', 'windows_refused', 'windows_missed', 'detections_cut')
    assert [values[name] for name in counted] == ['3', '3', '0', '0', '0']
    assert (values['tracks'], values['tracks_alive'], values['time_jumps']) == ('2', '0', '0')
    assert values['tracker'] == 'iou'
    assert feed(node, 50.2) == ['3']  # a repeated stamp is not a time jump
    assert report_of(node).values['time_jumps'] == '0'
    assert feed(node, 50.1) == ['1']
    assert feed(node, 50.2, [*BOX, *FAR_BOX], (0.9, 0.8)) == ['1', '2']
    values = report_of(node).values
    assert (values['tracks'], values['tracks_alive'], values['time_jumps']) == ('2', '2', '1')
    assert (values['windows_in'], values['windows_out']) == ('6', '6')
    assert 'ego_motion' not in values  # this tracker has no output in metres


def test_latency_counts_from_window_end_for_any_label_offset(tracker):
    node = tracker(tracker='iou', label_offset_s=-0.5)
    node.now = 50_800_000_000
    feed(node, 50.0)
    assert node.numbers['latency'] == pytest.approx(300)
    end_ns, steps = node.steps[0]
    assert end_ns == 50_500_000_000
    assert steps == [(step, node.now) for step in ('received', 'tracked', 'sent')]
    assert 0 < node.numbers['tracker'] < 10_000
    node.set_parameters([Parameter('label_offset_s', value=0.25)])
    feed(node, 50.5)
    assert node.numbers['latency'] == pytest.approx(550)
    values = report_of(node).values
    assert (values['latency_ms_max'], values['latency_ms_p50']) == ('550', '425')
    assert float(values['tracker_ms_max']) > 0


@pytest.mark.parametrize(('offset_s', 'ahead_s'), [(-0.5, 0.5), (0.5, 0.0), (-7.0, 5.0)])
def test_vehicles_in_metres_are_predicted_to_the_window_end(tracker, rig, offset_s, ahead_s):
    node, asked = tracker(tracker='ground', label_offset_s=offset_s), []
    node._tracker.vehicles = lambda ahead, pose: asked.append(ahead) or []
    feed(node, 50.0, [[900.0, 300.0, 1000.0, 370.0]])
    (head, vehicles) = node.metres[0]
    assert (asked, vehicles) == ([pytest.approx(ahead_s)], [])
    assert stamp_ns(SimpleNamespace(header=head)) == 50_000_000_000 + round(ahead_s * 1e9)
    assert head.frame_id == rig.frame_id


def test_repeated_track_ids_in_metres_count_once(tracker):
    node = tracker(tracker='ground')
    node._tracker.vehicles = lambda *_: [SimpleNamespace(track_id=k) for k in (3, 4)]
    for step in range(3):
        feed(node, 50 + step / 10, np.zeros((0, 4)), ())
    assert report_of(node).values['tracks'] == '2'
    assert {'ego_motion', 'map', 'tracks_3d_left_out'} <= report_of(node).values.keys()


def test_values_at_bounds_are_accepted_and_beyond_them_rejected(tracker):
    node = tracker(tracker='iou', max_detections=300)
    thin = [[1e6, -1e6, 1e6, -1e6]]
    assert feed(node, 50.0, [*BOX, *FAR_BOX, *thin], (0.0, 1.0, 0.5)) is not None
    finite = 'expected finite boxes and scores, found NaN or infinity'
    boxes = 'expected boxes in pixels of a size of at least 0, found others'
    scores = 'expected scores from 0 to 1, found others'
    wrong = (
        ((50.1, [[0, 0, np.nan, 5]], (0.5,)), finite),
        ((50.1, BOX, (np.inf,)), finite),
        ((50.1, [[0, 0, 1.1e6, 5]], (0.5,)), boxes),
        ((50.1, [[0, -1.1e6, 5, 5]], (0.5,)), boxes),
        ((50.1, [[10, 0, 5, 5]], (0.5,)), boxes),
        ((50.1, [[0, 10, 5, 5]], (0.5,)), boxes),
        ((50.1, BOX, (1.01,)), scores),
        ((50.1, BOX, (-0.01,)), scores),
        ((0.0, BOX, (0.5,)), 'expected a stamp in the header, found 0 ns'),
    )
    for count, (given, sentence) in enumerate(wrong, 1):
        assert feed(node, *given) is None
        assert node.problems.sentences == [f'{TOPIC}: {sentence}']
        assert report_of(node).values['windows_refused'] == str(count)
    values = report_of(node).values
    assert (values['windows_in'], values['windows_out']) == ('10', '1')
    assert values['time_jumps'] == '0'


def test_best_detections_are_tracked_and_the_excess_is_reported(tracker):
    node = tracker(tracker='iou', max_detections=2)
    boxes = [[x, 0.0, x + 50, 40] for x in (0.0, 200.0, 400.0, 600.0)]
    feed(node, 50.0, boxes[:2], (0.9, 0.8))
    assert (report_of(node).values['detections_cut'], report_of(node).level) == ('0', 0)
    feed(node, 50.1, boxes, (0.7, 0.95, 0.8, 0.9))
    kept = decode_detections(node.sent[-1])[0].boxes_px
    assert sorted(kept[:, 0]) == [200, 600]
    assert report_of(node).values['detections_cut'] == '2'
    sentence = f'{TOPIC}: 4 detections at once, the best 2 are tracked'
    assert node.problems.sentences == [sentence]
    feed(node, 50.2, boxes[:3], (0.7, 0.8, 0.9))
    assert report_of(node).values['detections_cut'] == '3'


def test_tracker_is_rebuilt_only_for_new_values_and_ids_continue(tracker):
    node = tracker(tracker='iou')
    feed(node, 50.0, [*BOX, *FAR_BOX], (0.9, 0.9))
    before = node._tracker

    def set_values(**values):
        given = [Parameter(name, value=value) for name, value in values.items()]
        result = node.set_parameters_atomically(given)
        return result.successful, result.reason

    assert set_values(start_score=-1.0, tracker='iou', max_detections=7) == (True, '')
    assert node._tracker is before
    assert set_values(iou_threshold=-0.5) == (
        False,
        'parameter iou_threshold: expected -1 or 0 to 1, found -0.5',
    )
    assert node._tracker is before
    assert set_values(start_score=0.0)[0]
    assert node._tracker is not before
    assert feed(node, 50.1, BOX, (0.01,)) == [
        '3'
    ]  # tracks now start from score 0; ids 1 and 2 are used up
    assert set_values(tracker='motion')[0]
    assert type(node._tracker) is not type(before)


def test_node_reports_live_tracks_or_why_nothing_arrives(tracker):
    node = tracker(tracker='iou')
    node.now = 50_600_000_000
    feed(node, 50.0, [*BOX, *FAR_BOX], (0.9, 0.9))
    report = report_of(node)
    assert (report.level, report.message) == (0, '2 tracks alive')
    node.now += 1_000_000_000
    for step in range(1, 12):
        node.now += 100_000_000
        feed(node, 50.0 + step / 10)
    assert report_of(node).message == 'late: windows come 1.1 s after their last sample'
    node._active_since -= 10
    node._last_in_s -= 10
    report = report_of(node)
    assert (report.level, report.message) == (2, f'no publisher on {TOPIC}')


def test_gaps_in_sequence_numbers_count_as_missed_windows(tracker):
    node = tracker(tracker='iou')
    node._subscription = SimpleNamespace(
        topic_name=TOPIC, get_publisher_count=lambda: 1, subscription=None
    )
    for number in (4, 5, 9):
        feed(node, 50.0 + number / 10, number=number)
    assert node._missed.count == 3
    node._subscription = None  # the node has just been deactivated
    feed(node, 51.0, number=12)
    assert node._missed.count == 3
