"""Hand-over of windows from capture to detector without messages, alone and with nodes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from sensor_msgs.msg import Image
import soundfile
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.decode import decode_spectrogram, stamp_ns
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.hand_over import FeatureHandOver, FeatureWindow

pytestmark = pytest.mark.ros

TOPIC = '/avdet/spectrogram'
WINDOW = FeatureWindow(np.zeros((32, 80, 173), np.float32), 7)


def test_window_is_handed_to_subscribers_of_its_topic():
    hand_over = FeatureHandOver()
    hand_over.offer(TOPIC)
    assert hand_over.offers(TOPIC)
    assert not hand_over.offers('/other')
    assert not hand_over.put(TOPIC, WINDOW)
    taken, others = [], []
    taker = hand_over.subscribe(TOPIC, taken.append)
    hand_over.subscribe('/other', others.append)
    assert hand_over.put(TOPIC, WINDOW)
    assert taker.destroy()
    assert not taker.destroy()
    assert not hand_over.put(TOPIC, WINDOW)
    assert (taken, others) == ([WINDOW], [])
    assert taken[0].features is WINDOW.features


def test_destroy_waits_for_a_window_being_taken():
    hand_over, inside, proceed = FeatureHandOver(), threading.Event(), threading.Event()

    def take(_):
        inside.set()
        proceed.wait(20)

    taker = hand_over.subscribe(TOPIC, take)
    putting = threading.Thread(target=hand_over.put, args=(TOPIC, WINDOW))
    ending = threading.Thread(target=taker.destroy)
    putting.start()
    assert inside.wait(20)
    ending.start()
    ending.join(0.05)
    assert ending.is_alive(), 'destroyed while a window was being taken'
    proceed.set()
    putting.join(20)
    ending.join(20)
    assert not ending.is_alive()


@pytest.fixture
def wav(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / 'drive.wav'
    soundfile.write(path, rng.integers(-3000, 3000, (88200, 8)).astype(np.int16), 44100)
    return str(path)


@pytest.fixture
def pair(start, wav, model_path):
    """Start capture and detector as in one process."""

    def pair(**of_detector):
        options, source = {'hand_over': FeatureHandOver()}, {'source': 'file', 'file': wav}
        # As in `composed`: all nodes are created, then receivers start before senders.
        capture = start(CaptureNode, options=options, autostart=False, loop=True, **source)
        start(DetectorNode, options={**options, **of_detector}, model=str(model_path))
        assert capture.try_start()
        return capture

    return pair


def test_handed_over_windows_give_detections_and_equal_published_ones(pair, watcher, wait):
    received = watcher.collect(Detection2DArray, 'detections')
    capture = pair()
    wait(lambda: len(received) > 2, 'detections')
    wait(lambda: not watcher.node.count_subscribers(TOPIC), 'the subscription to be gone')
    assert watcher.node.count_publishers(TOPIC) == 1
    _, _, values = watcher.wait_status('detector', 'windows on', level=0)
    assert values['windows_missed'] == '0'
    # Other subscribers get the same windows as messages.
    spectrograms = watcher.collect(Image, 'spectrogram', qos.ASK_SPECTROGRAM)
    windows = []
    capture.hand_over.subscribe(TOPIC, windows.append)
    wait(lambda: len(spectrograms) > 2, 'spectrograms')
    ends = {window.end_ns: window.features for window in windows.copy()}
    same = [message for message in spectrograms if stamp_ns(message) in ends]
    assert same
    for message in same:
        np.testing.assert_array_equal(decode_spectrogram(message, 'x'), ends[stamp_ns(message)])


def test_reenabled_detector_receives_windows_again(pair, watcher, wait):
    received = watcher.collect(Detection2DArray, 'detections')
    capture = pair()
    wait(lambda: received, 'detections')
    client = watcher.node.create_client(SetBool, 'detector/enable')
    assert client.wait_for_service(20)
    for on in (False, True):
        future = client.call_async(SetBool.Request(data=on))
        wait(future.done, 'enable')
        assert future.result().success
        sent, count = capture._windows.count, len(received)
        wait(lambda sent=sent: capture._windows.count > sent + 2, 'capture to go on')
        if on:
            wait(lambda count=count: len(received) > count + 1, 'detections again')


def test_inactive_capture_is_reported_by_the_detector(pair, watcher):
    capture = pair()
    assert watcher.wait_status('detector', 'windows on', level=0)
    capture.trigger_deactivate()
    watcher.wait_status('detector', 'its publisher /avdet/capture is inactive, not active')


def test_remapped_topic_is_subscribed_to_instead_of_handed_over(pair, watcher, wait):
    pair(cli_args=['--ros-args', '-r', 'spectrogram:=elsewhere'])
    wait(lambda: watcher.node.count_subscribers('/avdet/elsewhere') == 1, 'the subscription')
    watcher.wait_status('detector', 'no publisher on /avdet/elsewhere')
