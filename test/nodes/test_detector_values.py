"""Detections and status of node detector, window by window and without DDS."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from helpers.array_models import tiny_array_model
from helpers.models import fixed_boxes_model, save_model
from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Temperature
from std_msgs.msg import String

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.messages.array_state import array_text
from avdet_ros.messages.decode import decode_detections, stamp_ns
from avdet_ros.messages.encode import encode_header, encode_spectrogram
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.hand_over import FeatureHandOver, FeatureWindow

pytestmark = pytest.mark.ros

END_NS = 50_000_000_000
STILL = (0.0, 20.0)


@pytest.fixture(scope='module')
def two_boxes(rig, front_end, tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    return save_model(fixed_boxes_model(rig, front_end, scores=[0.9, 0.4]), folder / 'two.onnx')


@pytest.fixture
def detector(ros, two_boxes):
    """Make an active detector that is not spun and that records what it publishes."""
    made = []

    def make(options=None, **parameters):
        given = {'model': str(two_boxes), 'min_score': 0.1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = DetectorNode(namespace='/avdet', parameter_overrides=overrides, **(options or {}))
        made.append(node)
        assert node.try_start(), node.fault
        node.sent, node.numbers, node.steps, node.labels = [], {}, [], []
        node._detections = SimpleNamespace(publish=node.sent.append)
        node._labels = SimpleNamespace(publish=node.labels.append)
        names = {node._inference_ms: 'inference', node._sent_ms: 'latency'}
        node.publish_number = lambda publisher, value: node.numbers.update(
            {names[publisher]: value}
        )
        node._steps = SimpleNamespace(
            publish=lambda end_ns, **at_ns: node.steps.append((end_ns, at_ns))
        )
        node.now = END_NS
        node.now_ns = lambda: node.now
        return node

    yield make
    for node in made:
        node.destroy_node()


@pytest.fixture
def features(front_end):
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)
    return np.random.default_rng(1).normal(-60, 10, shape).astype(np.float32)


def message(features, end_ns=END_NS):
    return encode_spectrogram(encode_header(end_ns, 'microphone_array'), features)


def test_detections_are_stamped_at_the_label_instant_and_sorted_by_score(detector, features, rig):
    node = detector(max_detections=300)
    node.now = END_NS + 80_000_000
    node._detect((message(features), END_NS + 5_000_000, STILL))
    (answer,) = node.sent
    assert stamp_ns(answer) == END_NS - 500_000_000
    assert answer.header.frame_id == rig.camera.frame_id
    assert decode_detections(answer)[0].scores == pytest.approx([0.9, 0.4])
    assert node.numbers['latency'] == pytest.approx(80)
    end_ns, at_ns = node.steps[0]
    assert (end_ns, at_ns['received']) == (END_NS, END_NS + 5_000_000)
    assert list(at_ns) == ['received', 'begun', 'decoded', 'inferred', 'sent']
    assert {at_ns[step] for step in ('begun', 'decoded', 'inferred', 'sent')} == {node.now}
    values = report_of(node).values
    assert (values['windows_out'], values['detections_latency_ms_max']) == ('1', '80')
    assert float(values['inference_ms_max']) == pytest.approx(node.numbers['inference'], rel=1e-3)
    assert values['label_offset_s'] == '-0.5'
    assert values['ego_motion'] == 'not used: the model is for one rig'
    assert (values['provider'], len(values['sha256'])) == ('CPUExecutionProvider', 64)
    assert values['model'] == node.p['model']


def test_changed_thresholds_apply_to_the_next_window(detector, features):
    node = detector()

    def scores():
        node._detect((message(features), END_NS, STILL))
        return decode_detections(node.sent[-1])[0].scores

    assert len(scores()) == 2
    node.set_parameters([Parameter('max_detections', value=1)])
    assert scores() == pytest.approx([0.9])
    node.set_parameters([Parameter('max_detections', value=9), Parameter('min_score', value=0.5)])
    assert scores() == pytest.approx([0.9])
    assert [message.threshold for message in node.labels] == [0.5]
    node.set_parameters([Parameter('min_score', value=0.5)])
    assert len(node.labels) == 1
    assert [(c.class_id, c.class_name) for c in node.labels[0].class_map] == [(0, 'vehicle')]


def test_window_without_a_stamp_is_rejected_and_counted(detector, features):
    node = detector()
    with pytest.raises(AvdetError, match=r'^spectrogram: expected a stamp in the header, found 0'):
        node._detect((message(features, 0), END_NS, STILL))
    node._detect((message(features, 1), END_NS, STILL))
    assert len(node.sent) == 1
    node._on_refused(AvdetError('broken'))
    assert report_of(node).values['windows_refused'] == '1'
    assert node.problems.sentences == ['broken']


def test_handed_over_window_gives_the_same_detections_as_its_message(detector, features):
    node = detector()
    node._detect((message(features), END_NS, STILL))
    node._detect((FeatureWindow(features, END_NS), END_NS, STILL))
    first, second = node.sent
    assert first == second


def test_windows_are_handed_over_if_capture_is_in_the_same_process(detector, features, wait):
    shared = FeatureHandOver()
    shared.offer('/avdet/spectrogram')
    node = detector({'hand_over': shared})
    assert not node.count_subscribers('/avdet/spectrogram')
    assert shared.put('/avdet/spectrogram', FeatureWindow(features, END_NS))
    wait(lambda: node.sent, 'an answer')
    assert report_of(node).values['windows_in'] == '1'
    assert 0 <= node._last_in_s - node._active_since < 30
    node.trigger_deactivate()
    assert not shared.put('/avdet/spectrogram', FeatureWindow(features, END_NS))


def test_message_is_counted_and_queued_with_its_time_and_motion(detector, features):
    node, put = detector(), []
    node._worker.stop()
    node._worker = SimpleNamespace(put=put.append, dropped=4, stop=lambda: None)
    node._motion_at = lambda end_ns: (end_ns * 1e-9, 5.0)
    node._missed.add = lambda subscription, info: put.append((subscription, info))
    node.now += 7
    window = message(features)
    node._on_spectrogram(window, {'publication_sequence_number': 1})
    assert put == [
        (node._subscription, {'publication_sequence_number': 1}),
        (window, END_NS + 7, (50.0, 5.0)),
    ]
    values = report_of(node).values
    assert (values['windows_in'], values['windows_dropped']) == ('1', '4')


def test_model_for_all_pairs_accepts_them_and_rejects_other_features(
    detector, features, rig, tmp_path
):
    front_end = FrontEnd.of(rig, 28)
    path = save_model(tiny_array_model(front_end, scores=[0.3]), tmp_path / 'all_pairs.onnx')
    node = detector(model=str(path))
    noise = np.random.default_rng(2).normal(0, 0.01, (8, front_end.samples)).astype(np.float32)
    node._detect((message(front_end.compute(noise)), END_NS, STILL))
    node._on_array(String(data=array_text(replace(rig, gain_db=np.arange(8.0)))))
    node._detect((message(front_end.compute(noise)), END_NS + 100_000_000, STILL))
    assert len(node.sent) == 2
    with pytest.raises(AvdetError, match=r'expected shape \(64, 80, 173\) .* parameter model'):
        node._detect((message(features), END_NS + 200_000_000, STILL))


def test_invalid_array_message_is_reported_and_not_used(detector):
    node, used = detector(), []
    node._detector.use_rig = lambda rig, front_end: used.append((rig, front_end))
    node._on_array(String(data='no JSON'))
    assert used == []
    assert '/avdet/array' in node.problems.sentences[0]


def test_detector_status_reports_provider_drops_or_missing_publisher(detector, features):
    node = detector()
    node._detect((message(features), END_NS, STILL))

    def report():
        report = report_of(node)
        return report.level, report.message

    assert report() == (0, '1 windows on CPUExecutionProvider')
    node._worker.dropped = 3
    assert report() == (1, 'too slow: windows dropped in the last 5 s: 3')
    node._active_since -= 10
    assert report() == (2, 'no publisher on /avdet/spectrogram')


def test_labels_are_published_again_once_ros_time_starts(detector):
    node = detector()
    node.now = 0
    node._publish_labels(0.25)
    report_of(node)
    assert len(node.labels) == 1
    node.now = END_NS
    report_of(node)
    report_of(node)
    assert [stamp_ns(label) for label in node.labels] == [0, END_NS]
    assert [label.threshold for label in node.labels] == pytest.approx([0.25, 0.1])


def test_air_temperature_topic_overrides_the_parameter_and_bad_values_are_skipped():
    from avdet_ros.nodes.array_motion import ArrayMotion

    calls = []
    node = SimpleNamespace(
        p={'ego_motion': 'none', 'odom_frame': 'odom', 'air_temperature_c': 12},
        create_subscription=lambda kind, topic, take, profile, **_: (topic, take),
        refuse=lambda key, sentence: calls.append((key, sentence)),
        destroy_subscription=calls.append,
    )
    motion = ArrayMotion(node, 'base_link', 1.0)
    asked, speed = [], [None]
    motion._ego = SimpleNamespace(
        speed_mps=lambda at_s: asked.append(at_s) or speed[0],
        diagnose=lambda report, ended: asked.append(ended),
        destroy=lambda: calls.append('ego'),
    )

    def values():
        report = Report()
        motion.diagnose(report, True)
        return report.values

    assert motion.at(END_NS) == (0.0, 12)
    assert asked == [49.5]  # the middle of a window of one second
    assert values() == {
        'own_speed_mps': 'unknown',
        'air_temperature_c': '12',
        'air_temperature_from': 'parameter',
    }
    assert asked[-1] is True
    speed[0] = 13.5
    topic, take = motion._air
    assert topic == 'air_temperature'
    take(Temperature(temperature=-3.5))
    take(Temperature(temperature=float('nan')))
    assert calls[0][0] == 'air_temperature'
    assert calls[0][1].endswith(': left out')
    assert motion.at(END_NS) == (13.5, -3.5)
    assert values() == {
        'own_speed_mps': '13.5',
        'air_temperature_c': '-3.5',
        'air_temperature_from': 'topic',
    }
    motion.destroy()
    assert calls[1:] == ['ego', motion._air]
