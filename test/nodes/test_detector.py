"""Node detector with real messages."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time as TimeMessage
from helpers.models import fixed_boxes_model, save_model
import numpy as np
from onnx import numpy_helper
import onnxruntime
import pytest
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray, LabelInfo

from avdet_ros.audio.features import FrontEnd
from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.encode import encode_header, encode_spectrogram
from avdet_ros.nodes import qos
from avdet_ros.nodes.detector import DetectorNode

pytestmark = pytest.mark.ros

END_NS = 5_000_000_000


@pytest.fixture
def features(front_end):
    rng = np.random.default_rng(1)
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)
    return rng.normal(-60, 10, shape).astype(np.float32)


def spectrogram(features, end_ns=END_NS):
    return encode_spectrogram(encode_header(end_ns, 'microphone_array'), features)


@pytest.fixture
def feed(watcher, wait):
    """A function that sends windows to a detector and waits until each has arrived.

    Sent all at once, they would overrun the subscription queue of five.
    """

    def make(node):
        publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
        wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')

        def feed(message):
            before = node._windows_in.count
            publisher.publish(message)
            wait(lambda: node._windows_in.count > before, 'a window to arrive')

        return feed

    return make


def test_detections_and_labels_are_published_for_a_window(
    start, watcher, model_path, features, rig, wait
):
    start(DetectorNode, model=str(model_path))
    received = watcher.collect(Detection2DArray, 'detections')
    labels = watcher.collect(LabelInfo, 'label_info', qos.LATCHED)
    times = watcher.collect(Float64, 'debug/inference_ms')
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    publisher.publish(spectrogram(features))
    wait(lambda: received and times and labels, 'detections')
    assert stamp_ns(received[0]) == END_NS - 500_000_000
    assert received[0].header.frame_id == rig.camera.frame_id
    first = received[0].detections[0]
    assert first.results[0].hypothesis.class_id == '0'
    assert 0.9 < first.results[0].hypothesis.score <= 1
    assert 0 <= first.bbox.center.position.x <= rig.camera.width_px
    assert [entry.class_name for entry in labels[0].class_map] == ['vehicle']


def test_window_without_detections_is_answered_too(start, watcher, model_path, features, wait):
    node = start(DetectorNode, model=str(model_path))
    received = watcher.collect(Detection2DArray, 'detections')
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    done = node.set_parameters([Parameter('min_score', value=1.0)])
    assert done[0].successful
    publisher.publish(spectrogram(features))
    wait(lambda: received, 'detections')
    assert len(received[0].detections) == 0


def test_label_info_reports_the_current_threshold(start, watcher, model_path, wait):
    node = start(DetectorNode, model=str(model_path), min_score=0.25)
    labels = watcher.collect(LabelInfo, 'label_info', qos.LATCHED)
    wait(lambda: labels, 'the labels')
    done = node.set_parameters(
        [Parameter('min_score', value=0.5), Parameter('max_detections', value=7)]
    )
    assert [result.successful for result in done] == [True, True]
    wait(lambda: len(labels) == 2, 'new labels')
    late = watcher.collect(LabelInfo, 'label_info', qos.LATCHED)
    wait(lambda: late, 'the latched labels')
    assert [message.threshold for message in (*labels, *late)] == [0.25, 0.5, 0.5]
    assert late[0].class_map == labels[0].class_map


def bad_messages(features):
    nan = features.copy()
    nan[3, 4, 5] = np.nan
    good = spectrogram(features)
    short = spectrogram(features)
    short.data = short.data[:-4]
    step = spectrogram(features)
    step.step = 4
    encoding = spectrogram(features)
    encoding.encoding = 'bgr8'
    empty = spectrogram(features)
    empty.encoding = '32FC0'
    return {
        'expected finite numbers': spectrogram(nan),
        'expected shape (32, 80, 173)': spectrogram(features[:, :40]),
        "found encoding 'bgr8'": encoding,
        "found encoding '32FC0'": empty,
        'found step 4': step,
        f'and {len(good.data) - 4} bytes': short,
        'expected a stamp in the header': spectrogram(features, 0),
    }


def test_bad_messages_are_rejected_and_the_next_good_one_is_processed(
    start, watcher, model_path, features, wait
):
    start(DetectorNode, model=str(model_path))
    received = watcher.collect(Detection2DArray, 'detections')
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    for count, (words, message) in enumerate(bad_messages(features).items(), 1):
        publisher.publish(message)
        status = watcher.wait_status(
            'detector', values=lambda values, n=count: int(values.get('windows_refused', 0)) == n
        )
        assert words in status[1]
        assert status[0] == 1
    assert not received
    publisher.publish(spectrogram(features))
    wait(lambda: received, 'detections')


def test_overloaded_detector_drops_the_oldest_windows(
    start, watcher, model_path, features, feed, wait
):
    node = start(DetectorNode, model=str(model_path))
    received = watcher.collect(Detection2DArray, 'detections', 50)
    inner = node._detector.detect

    def slow(*arguments):
        time.sleep(0.4)
        return inner(*arguments)

    node._detector.detect = slow
    send_window = feed(node)
    for index in range(8):
        send_window(spectrogram(features, END_NS + index * 100_000_000))
    wait(lambda: received and stamp_ns(received[-1]) == END_NS + 200_000_000, 'the newest window')
    dropped = watcher.wait_status(
        'detector', values=lambda values: int(values['windows_in']) == 8
    )[2]['windows_dropped']
    assert int(dropped) == 8 - len(received) > 0


def lost_session(network):
    """An ONNX Runtime session whose runs all fail, as on a lost device."""
    for tensor in network.graph.initializer:
        if tensor.name == 'score':  # an index beyond the table, which fails only at run time
            tensor.CopyFrom(numpy_helper.from_array(np.array(40, np.int64), 'score'))
    session = onnxruntime.InferenceSession(
        network.SerializeToString(), providers=['CPUExecutionProvider']
    )
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    with pytest.raises(Exception, match='ONNXRuntimeError'):
        session.run(None, {name: np.zeros(shape, np.float32)})
    return session


def test_failing_provider_falls_back_and_every_lost_window_is_counted(
    start, watcher, model_path, make_network, features, front_end, feed, wait
):
    node = start(DetectorNode, model=str(model_path))
    received = watcher.collect(Detection2DArray, 'detections', 100)
    send_window = feed(node)
    sent = 0

    def send(count):
        nonlocal sent
        for _ in range(count):
            send_window(spectrogram(features, END_NS + sent * 100_000_000))
            sent += 1
        last_ns = END_NS - 500_000_000 + (sent - 1) * 100_000_000
        wait(lambda: received and stamp_ns(received[-1]) == last_ns, 'the newest window')

    lost = lost_session(make_network(front_end))
    send(10)
    before = received[0].detections
    session = node._detector._session
    session.session, session.provider = lost, 'CUDAExecutionProvider'
    send(20)
    level, sentence, values = watcher.wait_status(
        'detector',
        'CUDAExecutionProvider failed while running',
        values=lambda values: int(values['windows_in']) == sent,
    )
    assert level == 1
    assert 'ONNXRuntimeError' in sentence
    assert 'falling back to CPUExecutionProvider' in sentence
    assert values['provider'] == 'CPUExecutionProvider'
    assert int(values['windows_refused']) == 0
    assert len(received) == int(values['windows_out']) == sent - int(values['windows_dropped'])
    after = received[-1].detections
    assert [entry.bbox for entry in after] == [entry.bbox for entry in before]


@pytest.mark.parametrize(
    ('content', 'words'),
    [(None, 'No such file'), (b'not a model', 'expected an ONNX model')],
)
def test_bad_model_is_reported_until_a_good_one_replaces_it(
    start, watcher, wait, tmp_path, model_path, content, words
):
    path = tmp_path / 'model.onnx'
    if content is not None:
        path.write_bytes(content)
    node = start(DetectorNode, model=str(path))
    status = watcher.wait_status('detector', words, level=2)
    assert str(path) in status[1]
    wait(lambda: node.state == 'unconfigured', 'an attempt to end')
    path.write_bytes(model_path.read_bytes())
    watcher.wait_status('detector', values=lambda values: values['state'] == 'active')


def test_mismatched_model_error_names_the_metadata_key(start, watcher, tmp_path, make_network):
    path = tmp_path / 'model.onnx'
    path.write_bytes(make_network(FrontEnd(n_mels=64)).SerializeToString())
    start(DetectorNode, model=str(path))
    status = watcher.wait_status(
        'detector', 'avdet.n_mels: expected 64 as the model was taught, found 80', level=2
    )
    assert str(path) in status[1]


def test_missing_windows_are_explained(start, watcher, model_path, wait):
    start(DetectorNode, model=str(model_path))
    watcher.wait_status('detector', 'no publisher on /avdet/spectrogram', level=2)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = watcher.publisher(Image, 'spectrogram', best_effort, matched=0)
    # The subscription adapts to the offered QoS, but no message has been sent.
    watcher.wait_status('detector', 'nothing on /avdet/spectrogram from /avdet/watcher', level=2)
    wait(lambda: publisher.get_subscription_count() == 1, 'a subscription that fits')


def test_publisher_of_another_type_is_reported(start, watcher, model_path):
    start(DetectorNode, model=str(model_path))
    context = Context()  # one participant cannot have two types on a topic
    context.init()
    stranger = Node('stranger', namespace='/avdet', context=context)
    try:
        stranger.create_publisher(Float64, 'spectrogram', 10)
        watcher.wait_status('detector', '/avdet/stranger publishes std_msgs/msg/Float64', level=2)
    finally:
        stranger.destroy_node()
        context.shutdown()


def test_several_publishers_of_spectrogram_are_reported(start, watcher, model_path):
    start(DetectorNode, model=str(model_path))
    for _ in range(2):
        watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    words = 'several nodes publish /avdet/spectrogram, expected one capture (or one of them has'
    watcher.wait_status('detector', words)


def test_max_detections_keeps_the_best_box(
    start, watcher, features, rig, front_end, tmp_path, wait
):
    path = save_model(fixed_boxes_model(rig, front_end, scores=[0.9, 0.4]), tmp_path / 'two.onnx')
    start(DetectorNode, model=str(path), max_detections=1, min_score=0.1)
    received = watcher.collect(Detection2DArray, 'detections')
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    publisher.publish(spectrogram(features))
    wait(lambda: received, 'detections')
    (entry,) = received[0].detections
    assert entry.results[0].hypothesis.score == pytest.approx(0.9)


def test_labels_are_published_again_once_sim_time_begins(start, watcher, wait, model_path):
    labels = watcher.collect(LabelInfo, 'label_info', qos.LATCHED)
    start(DetectorNode, model=str(model_path), use_sim_time=True)
    wait(lambda: labels, 'labels')
    assert stamp_ns(labels[0]) == 0
    clock = watcher.node.create_publisher(Clock, '/clock', 10)
    ticking = watcher.node.create_timer(
        0.05, lambda: clock.publish(Clock(clock=TimeMessage(sec=round(time.monotonic()))))
    )
    wait(lambda: stamp_ns(labels[-1]) > 0, 'labels of a time')
    watcher.node.destroy_timer(ticking)


@pytest.mark.skipif(
    'TensorrtExecutionProvider' in onnxruntime.get_available_providers(),
    reason='TensorRT is available',
)
def test_tensorrt_cache_without_tensorrt_is_reported(start, watcher, model_path, tmp_path):
    start(DetectorNode, model=str(model_path), tensorrt_cache=str(tmp_path / 'engines'))
    watcher.wait_status('detector', 'engines is not used')
