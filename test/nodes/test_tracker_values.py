"""What node tracker makes of a message and says of it, message by message, without DDS."""

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
AFAR = BOX + 900
TOPIC = '/avdet/detections'


@pytest.fixture
def tracker(ros):
    """Makes an active tracker that nobody spins, and that keeps what it publishes."""
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
    """Hand a message over; the identities that come of it."""
    head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
    message = encode_detections(head, np.asarray(boxes), np.asarray(scores))
    before = len(node.sent)
    node._on_detections(message, {'publication_sequence_number': number})
    if len(node.sent) == before:
        return None
    assert node.sent[-1].header == head
    return [entry.id for entry in node.sent[-1].detections]


def test_windows_tracks_and_jumps_are_counted(tracker):
    node = tracker(tracker='iou')
    assert report_of(node).values['tracks_alive'] == '0'
    assert feed(node, 50.0) == ['1']
    assert feed(node, 50.1, [*BOX, *AFAR], (0.9, 0.8)) == ['1', '2']
    assert feed(node, 50.2, np.zeros((0, 4)), ()) == []
    values = report_of(node).values
    counted = ('windows_in', 'windows_out', 'windows_refused', 'windows_missed', 'detections_cut')
    assert [values[name] for name in counted] == ['3', '3', '0', '0', '0']
    assert (values['tracks'], values['tracks_alive'], values['time_jumps']) == ('2', '0', '0')
    assert values['tracker'] == 'iou'
    assert feed(node, 50.2) == ['3']  # the same instant once more is no jump
    assert report_of(node).values['time_jumps'] == '0'
    assert feed(node, 50.1) == ['1']
    assert feed(node, 50.2, [*BOX, *AFAR], (0.9, 0.8)) == ['1', '2']
    values = report_of(node).values
    assert (values['tracks'], values['tracks_alive'], values['time_jumps']) == ('2', '2', '1')
    assert (values['windows_in'], values['windows_out']) == ('6', '6')
    assert 'ego_motion' not in values  # nothing in metres


def test_latency_is_from_the_windows_end_wherever_the_boxes_instant_is(tracker):
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
def test_vehicles_in_metres_are_those_of_the_windows_end(tracker, rig, offset_s, ahead_s):
    node, asked = tracker(tracker='ground', label_offset_s=offset_s), []
    node._tracker.vehicles = lambda ahead, pose: asked.append(ahead) or []
    feed(node, 50.0, [[900.0, 300.0, 1000.0, 370.0]])
    (head, vehicles) = node.metres[0]
    assert (asked, vehicles) == ([pytest.approx(ahead_s)], [])
    assert stamp_ns(SimpleNamespace(header=head)) == 50_000_000_000 + round(ahead_s * 1e9)
    assert head.frame_id == rig.frame_id


def test_an_identity_counts_once_whether_it_comes_in_pixels_or_in_metres(tracker):
    node = tracker(tracker='ground')
    node._tracker.vehicles = lambda *_: [SimpleNamespace(track_id=k) for k in (3, 4)]
    for step in range(3):
        feed(node, 50 + step / 10, np.zeros((0, 4)), ())
    assert report_of(node).values['tracks'] == '2'
    assert {'ego_motion', 'map', 'tracks_3d_left_out'} <= report_of(node).values.keys()


def test_bounds_are_allowed_and_what_lies_beyond_is_refused_with_its_reason(tracker):
    node = tracker(tracker='iou', max_detections=300)
    thin = [[1e6, -1e6, 1e6, -1e6]]
    assert feed(node, 50.0, [*BOX, *AFAR, *thin], (0.0, 1.0, 0.5)) is not None
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


def test_of_too_many_the_best_are_tracked_the_rest_is_counted_and_said(tracker):
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


def test_a_tracker_is_made_anew_for_another_value_only_and_identities_go_on(tracker):
    node = tracker(tracker='iou')
    feed(node, 50.0, [*BOX, *AFAR], (0.9, 0.9))
    before = node._tracker

    def put(**values):
        given = [Parameter(name, value=value) for name, value in values.items()]
        result = node.set_parameters_atomically(given)
        return result.successful, result.reason

    assert put(start_score=-1.0, tracker='iou', max_detections=7) == (True, '')
    assert node._tracker is before
    assert put(iou_threshold=-0.5) == (
        False,
        'parameter iou_threshold: expected -1 or 0 to 1, found -0.5',
    )
    assert node._tracker is before
    assert put(start_score=0.0)[0]
    assert node._tracker is not before
    assert feed(node, 50.1, BOX, (0.01,)) == ['3']  # from score 0, and 1 and 2 are taken
    assert put(tracker='motion')[0]
    assert type(node._tracker) is not type(before)


def test_it_says_how_many_are_alive_or_why_nothing_comes(tracker):
    node = tracker(tracker='iou')
    node.now = 50_600_000_000
    feed(node, 50.0, [*BOX, *AFAR], (0.9, 0.9))
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


def test_numbers_that_are_left_out_are_windows_missed(tracker):
    node = tracker(tracker='iou')
    node._subscription = SimpleNamespace(
        topic_name=TOPIC, get_publisher_count=lambda: 1, subscription=None
    )
    for number in (4, 5, 9):
        feed(node, 50.0 + number / 10, number=number)
    assert node._missed.count == 3
    node._subscription = None  # it has just been switched off
    feed(node, 51.0, number=12)
    assert node._missed.count == 3
