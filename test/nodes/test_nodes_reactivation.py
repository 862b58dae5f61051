"""Deactivated and reactivated nodes start afresh and keep nothing that came in between."""

from __future__ import annotations

from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
import soundfile
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray, LabelInfo

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.messages.decode import decode_sound, stamp_ns
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_sound,
    encode_spectrogram,
)
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.overlay import OverlayNode
from avdet_ros.nodes.recorder import RecorderNode

pytestmark = pytest.mark.ros

RATE_HZ = 44100
SECOND_NS = 10**9


def test_reactivated_detector_resets_counters_and_uses_new_parameters(
    start, watcher, wait, model_path, front_end
):
    node = start(DetectorNode, model=str(model_path), min_score=0.25)
    received = watcher.collect(Detection2DArray, 'detections', 50)
    labels = watcher.collect(LabelInfo, 'label_info', qos.LATCHED)
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)

    def feed(stamp_s, count):
        head = encode_header(stamp_s * SECOND_NS, 'microphone_array')
        publisher.publish(encode_spectrogram(head, np.full(shape, -60, 'f4')))
        wait(lambda: len(received) == count, 'detections')
        wait(lambda: 'detections_latency_ms_max' in report_of(node).values, 'a latency')

    feed(20, 1)
    feed(0, 1)  # without a stamp
    wait(lambda: report_of(node).values['windows_refused'] == '1', 'the refusal')
    feed(21, 2)
    values = report_of(node).values
    assert (values['windows_in'], values['windows_out'], values['windows_refused']) == (
        '3',
        '2',
        '1',
    )
    node.trigger_deactivate()
    assert node._worker is None
    assert node.set_parameters([Parameter('min_score', value=0.75)])[0].successful
    node.trigger_activate()
    values = report_of(node).values
    names = ('windows_in', 'windows_out', 'windows_dropped', 'windows_missed', 'windows_refused')
    assert [values[name] for name in names] == ['0'] * 5
    assert not [name for name in values if 'latency' in name or name.startswith('inference')]
    wait(lambda: labels[-1].threshold == 0.75, 'the new threshold')
    wait(lambda: publisher.get_subscription_count() == 1, 'the new subscription')
    feed(10, 3)  # an earlier stamp, as of a new stream
    assert stamp_ns(received[-1]) == 10 * SECOND_NS - SECOND_NS // 2
    values = report_of(node).values
    assert (values['windows_in'], values['windows_out']) == ('1', '1')


def test_reactivated_overlay_discards_earlier_inputs(start):
    node = start(OverlayNode)
    head = encode_header(50 * SECOND_NS, 'camera_optical_frame')
    box = np.array([[600.0, 200.0, 900.0, 420.0]])
    node._on_truth(encode_detections(head, box, np.ones(1)))
    node._on_image(encode_image(head, 'bgr8', np.zeros((65, 192, 3), np.uint8)))
    node._on_latency(Float64(data=120.0))
    painter = node._painter
    for step in range(2):
        painter.trails.add(50.0 + step, [(7, box[0])])
        painter.strip.add(50.0 + step, np.full((8, 80, 173), -20.0))
    assert (len(list(painter.trails.lines(51.0))), painter.strip.levels_db[0]) == (1, -20)
    assert node._truth_at(50 * SECOND_NS) is not None
    assert node._pictures.kept
    node.trigger_deactivate()
    node.trigger_activate()
    painter = node._painter
    painter.trails.add(51.5, [(7, box[0])])  # the restarted tracker gives id 7 to another vehicle
    assert list(painter.trails.lines(51.5)) == []
    assert painter.strip.levels_db[0] < -60
    assert node._truth_at(50 * SECOND_NS) is None
    assert not node._pictures.kept
    assert node._latency_ms is None
    assert report_of(node).values['pictures'] == '0'


def test_reactivated_recorder_starts_a_new_bag_and_keeps_the_first_intact(
    start, watcher, wait, tmp_path
):
    node = start(RecorderNode, path=str(tmp_path / 'drive'), topics=['audio'])
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)

    def send(*numbers):
        wait(lambda: publisher.get_subscription_count() == 1, 'the recorder')
        for number in numbers:
            block = np.full((64, 8), number, np.int16)
            head = encode_header(SECOND_NS + number, 'array')
            publisher.publish(encode_sound(head, block))
        wait(lambda: report_of(node).values['audio'] == str(len(numbers)), 'the messages')

    send(1, 2, 3)
    node._dropped = 4  # as after writing to a disk that is too slow
    node.trigger_deactivate()
    wait(lambda: publisher.get_subscription_count() == 0, 'the recorder to leave')
    publisher.publish(encode_sound(encode_header(SECOND_NS, 'array'), np.zeros((64, 8), np.int16)))
    node.trigger_activate()
    send(5, 6)
    values = report_of(node).values
    assert (values['path'], values['messages_dropped']) == (str(tmp_path / 'drive_2'), '0')
    assert values['messages_missed'] == '0'  # messages sent while it was inactive do not count
    node.trigger_deactivate()
    for name, numbers in (('drive', [1, 2, 3]), ('drive_2', [5, 6])):
        with Bag(tmp_path / name) as bag:
            assert bag.partial is None
            sound = [decode_sound(decode(message), 'bag') for message in bag.messages()]
        assert [int(block[0, 0]) for block in sound] == numbers


def test_reactivated_capture_restarts_its_file_and_counters(start, watcher, wait, tmp_path):
    sound = np.zeros((6 * RATE_HZ, 8), np.float32)
    sound[:, 0] = np.arange(6 * RATE_HZ) / (6 * RATE_HZ)  # encodes the position in the file
    sound[1000, 3] = np.nan
    soundfile.write(tmp_path / 'a.wav', sound, RATE_HZ, subtype='FLOAT')
    audio = watcher.collect(Image, 'audio', 500)
    node = start(CaptureNode, source='file', file=str(tmp_path / 'a.wav'))
    wait(lambda: len(audio) > 10, 'sound')
    wait(lambda: report_of(node).values['bad_samples'] == '1', 'the sample that is no number')
    node.trigger_deactivate()
    count = len(audio)
    first_ns = stamp_ns(audio[-1])
    node.trigger_activate()
    wait(lambda: len(audio) > count + 10, 'sound again')
    wait(lambda: report_of(node).values['bad_samples'] == '1', 'and once, not twice')
    places = [decode_sound(message, 'x')[0, 0] for message in audio]
    again = next(index for index in range(1, len(places)) if places[index] < places[index - 1])
    assert places[again] * 6 < 0.3
    assert stamp_ns(audio[again]) > first_ns - SECOND_NS // 10
    assert (np.diff(places[again:]) > 0).all()
    assert report_of(node).values['clock_jumps'] == '0'
