"""The recorder writes the messages of any publisher, and its bag survives a kill."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from helpers.running_nodes import Spinning
from nav_msgs.msg import Goals
import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE, decode_sound
from avdet_ros.messages.encode import encode_header, encode_image, encode_sound
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes import recorder as recorder_module
from avdet_ros.nodes.recorder import RecorderNode

pytestmark = pytest.mark.ros


@pytest.fixture
def talker():
    rclpy.init()
    node = rclpy.create_node('talker', namespace='drive')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def start(tmp_path):
    started = []

    def start(path: Path) -> subprocess.Popen:
        words = [
            '--ros-args',
            '-r',
            '__ns:=/drive',
            '-p',
            f'path:={path}',
            '-p',
            'topics:=[audio, goals, label_info, /camera/image_raw]',
        ]
        command = [sys.executable, '-m', 'avdet_ros.nodes.main', 'recorder', *words]
        started.append(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def publish(node, seconds):
    """Publish sound, best-effort pictures and a latched message; returns the published sound."""
    audio = node.create_publisher(Image, 'audio', qos.OFFER_STREAM)
    camera = node.create_publisher(Image, '/camera/image_raw', BEST_EFFORT)
    labels = node.create_publisher(LabelInfo, 'label_info', qos.LATCHED)
    labels.publish(LabelInfo(threshold=0.25))
    until = time.monotonic() + 30
    while not all(p.get_subscription_count() for p in (audio, camera, labels)):
        assert time.monotonic() < until, 'the recorder did not subscribe'
        time.sleep(0.02)
    time.sleep(0.3)
    blocks = []
    for index in range(round(seconds * 40)):
        now_ns = node.get_clock().now().nanoseconds
        block = np.full((1024, 8), index, np.int16)
        audio.publish(encode_sound(encode_header(now_ns, 'array'), block))
        if index % 4 == 0:
            picture = np.full((6, 8, 3), index, np.uint8)
            camera.publish(encode_image(encode_header(now_ns, 'cam'), 'bgr8', picture))
        blocks.append(block)
        time.sleep(0.025)
    return np.concatenate(blocks)


def check_recording(talker, recorder, folder, seconds):
    """Publish, end the recorder, and check that every sample is in an intact bag."""
    published = publish(talker, seconds)
    time.sleep(0.5)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(20) == 0
    with Bag(folder) as bag:
        assert bag.partial is None
        recorded = [decode_sound(decode(m), 'bag') for m in bag.messages(['/drive/audio'])]
    assert np.array_equal(np.concatenate(recorded), published)


def test_bag_contains_every_published_message(talker, start, tmp_path, capfd):
    recorder = start(tmp_path / 'bag')
    check_recording(talker, recorder, tmp_path / 'bag', 1.5)
    printed = ''.join(capfd.readouterr())
    assert f'messages in {tmp_path / "bag"}' in printed
    assert 'rosout' not in printed  # there is no rosout after Ctrl-C
    with Bag(tmp_path / 'bag') as bag:
        assert bag.topics['/camera/image_raw'].count >= 10
        (info,) = bag.messages(['/drive/label_info'])
        assert decode(info).threshold == 0.25


def test_unknown_message_type_skips_only_its_topic(talker, start, tmp_path, capfd):
    goals = talker.create_publisher(Goals, 'goals', 10)
    recorder = start(tmp_path / 'bag')
    printed = ''
    until = time.monotonic() + 30
    while 'is not recorded' not in printed:
        assert time.monotonic() < until, printed
        goals.publish(Goals())
        time.sleep(0.1)
        printed += capfd.readouterr().err
    assert '/drive/goals is not recorded: message type nav_msgs/msg/Goals: expected one' in printed
    check_recording(talker, recorder, tmp_path / 'bag', 1.0)


def test_write_failure_leaves_an_intact_bag(talker, tmp_path):
    values = {'path': str(tmp_path / 'bag'), 'topics': ['audio']}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = RecorderNode(namespace='/drive', parameter_overrides=overrides)
    try:
        assert node.try_start()
        block = make_sound(make_header(1, 'array'), np.ones((64, 8), np.int16))
        node._take('audio', '/drive/audio', IMAGE, serialize(block))
        node._take('audio', '/drive/audio', 'acme_msgs/msg/Sound', b'no sound')
        node._thread.join(20)
        assert 'expected sensor_msgs/msg/Image as before' in node._stopped
        with Bag(tmp_path / 'bag') as bag:
            assert bag.partial is None
            assert bag.topics['/drive/audio'].count == 1
    finally:
        node.destroy_node()


def test_invalid_topic_name_is_reported(tmp_path):
    words = ['--ros-args', '-p', f'path:={tmp_path / "bag"}', '-p', "topics:=['*']"]
    command = [sys.executable, '-m', 'avdet_ros.nodes.main', 'recorder', *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if 'topics' in line)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert "expected names of topics, found '*'" in line
    assert 'Traceback' not in line + rest
    assert process.returncode == 0
    assert not (tmp_path / 'bag').exists()


@pytest.fixture
def recorder(talker, tmp_path):
    """A recorder in this process, spinning."""
    values = {
        'path': str(tmp_path / 'bag'),
        'topics': ['audio', 'label_info', 'tracks_3d', '/cam/info'],
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = RecorderNode(namespace='/drive', parameter_overrides=overrides)
    spinning = Spinning(node)
    node.try_start()
    yield node
    spinning.close()


def report_of(node):
    report = diagnostics.Report()
    node.diagnose(report)
    return report.level, report.message


def send(publisher, wait, count=5):
    wait(publisher.get_subscription_count, 'the recorder to find the publisher')
    for index in range(count):
        publisher.publish(Image(width=index))
        time.sleep(0.05)


def count_of(node, name):
    return node._pulses[name].count


def test_publisher_returning_with_best_effort_is_recorded(talker, recorder, wait):
    reliable = talker.create_publisher(Image, 'audio', qos.OFFER_STREAM)
    send(reliable, wait)
    wait(lambda: count_of(recorder, 'audio') == 5, 'five messages')
    talker.destroy_publisher(reliable)
    again = talker.create_publisher(Image, 'audio', BEST_EFFORT)
    send(again, wait)
    wait(lambda: count_of(recorder, 'audio') > 5, 'messages that come with best effort')


def test_diagnostics_report_messages_and_waiting_topics(talker, recorder, wait):
    """Topics of this package are subscribed at once, others when their type is known."""

    def values():
        report = diagnostics.Report()
        recorder.diagnose(report)
        return report.values

    assert values()['waiting_for_publishers'] == '/cam/info'
    once = talker.create_publisher(LabelInfo, '/cam/info', 10)
    wait(once.get_subscription_count, 'the recorder to find the publisher')
    assert values()['waiting_for_publishers'] == ''
    once.publish(LabelInfo())
    send(talker.create_publisher(Image, 'audio', qos.OFFER_STREAM), wait)
    wait(lambda: values()['messages'] == '6', 'six messages on the disk')
    reported = values()
    assert (reported['audio'], reported['/cam/info'], reported['label_info']) == ('5', '1', '0')
    assert (reported['messages_dropped'], reported['path'][-4:]) == ('0', '/bag')
    wait(lambda: int(values()['bytes']) > 0, 'the first chunk on the disk')
    recorder._dropped = 3
    assert values()['messages_dropped'] == '3'
    assert report_of(recorder) == (2, 'the disk is too slow: 3 messages dropped')


@pytest.mark.parametrize('when', ['before', 'after'])
def test_latched_messages_are_recorded_in_either_start_order(talker, wait, tmp_path, when):
    values = {'path': str(tmp_path / 'bag'), 'topics': ['/cam/info', 'detections']}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = RecorderNode(namespace='/drive', parameter_overrides=overrides)
    if when == 'after':
        node.try_start()  # this subscribes this package's topics before a publisher exists
    topics = ((CameraInfo, '/cam/info'), (Detection2DArray, 'detections'))
    publishers = [talker.create_publisher(kind, name, qos.LATCHED) for kind, name in topics]
    for publisher, (kind, _) in zip(publishers, topics, strict=True):
        publisher.publish(kind())
    time.sleep(0.5)
    spinning = Spinning(node)
    try:
        node.try_start()
        wait(lambda: count_of(node, '/cam/info') and count_of(node, 'detections'), 'what was sent')
    finally:
        spinning.close()
    with Bag(tmp_path / 'bag') as bag:
        assert {topic.count for topic in bag.topics.values()} == {1}
        assert '/cam/info' in bag.latched


def test_stopped_stream_is_reported_but_topics_sent_once_are_not(talker, recorder, wait):
    labels = talker.create_publisher(LabelInfo, 'label_info', qos.LATCHED)
    once = talker.create_publisher(LabelInfo, '/cam/info', 10)
    wait(once.get_subscription_count, 'the recorder to find the publisher')
    for threshold in (0.1, 0.2, 0.3):
        labels.publish(LabelInfo(threshold=threshold))
    once.publish(LabelInfo())
    talker.create_publisher(
        Detection3DArray, 'tracks_3d', qos.RESULTS
    )  # only some trackers publish this
    audio = talker.create_publisher(Image, 'audio', qos.OFFER_STREAM)
    send(audio, wait)
    wait(lambda: count_of(recorder, 'audio') == 5, 'five messages')
    assert report_of(recorder)[0] == diagnostics.OK
    words = 'no longer recorded after 5 messages: nothing on /drive/audio from /drive/talker for '
    wait(lambda: report_of(recorder)[1].startswith(words), 'the stream to be missed', 5)
    assert 'label_info' not in report_of(recorder)[1]
    assert 'tracks_3d' not in report_of(recorder)[1]
    assert '/cam/info' not in report_of(recorder)[1]
    talker.destroy_publisher(audio)
    words = 'no longer recorded after 5 messages: no publisher on /drive/audio, for '
    wait(lambda: report_of(recorder)[1].startswith(words), 'the publisher to be missed')
    send(talker.create_publisher(Image, 'audio', qos.OFFER_STREAM), wait)
    wait(lambda: report_of(recorder)[0] == diagnostics.OK, 'the stream to be well again')


def test_signal_before_the_writer_thread_starts_leaves_an_intact_bag(
    talker, tmp_path, monkeypatch
):
    values = {'path': str(tmp_path / 'bag'), 'topics': ['audio']}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = RecorderNode(namespace='/drive', parameter_overrides=overrides)

    def interrupted(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', interrupted)
        with pytest.raises(KeyboardInterrupt):
            node.try_start()
    node.destroy_node()
    with Bag(tmp_path / 'bag') as bag:
        assert bag.partial is None


def recorded_sound(folder):
    """The sound in a bag that may still be written."""
    try:
        with Bag(folder) as bag:
            blocks = [decode_sound(decode(m), 'bag') for m in bag.messages(['/drive/audio'])]
            return np.concatenate(blocks), bag.partial
    except (AvdetError, ValueError):  # not one whole chunk yet
        return np.zeros((0, 8), np.int16), ''


def test_killed_recorder_keeps_what_was_written_to_disk(talker, start, tmp_path):
    recorder = start(tmp_path / 'bag')
    published = publish(talker, 1.3)
    until = time.monotonic() + 30
    while len(recorded_sound(tmp_path / 'bag')[0]) < len(published):
        assert time.monotonic() < until, 'what is published does not come to the disk'
        time.sleep(0.1)
    more = publish(talker, 0.5)
    os.kill(recorder.pid, signal.SIGKILL)
    recorder.wait(10)
    kept, partial = recorded_sound(tmp_path / 'bag')
    assert 'cut off' in partial or 'damaged' in partial
    assert len(kept) >= len(published)
    assert np.array_equal(kept, np.concatenate([published, more])[: len(kept)])


def test_backlog_empties_as_the_disk_writes_and_overflow_is_dropped(talker, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, 'LARGEST_BACKLOG_BYTES', 1 << 20)
    node = RecorderNode(
        namespace='/drive',
        parameter_overrides=[
            Parameter('path', value=str(tmp_path / 'bag')),
            Parameter('topics', value=['audio']),
        ],
    )
    node.try_start()
    block = serialize(make_sound(make_header(10**9, 'array'), np.zeros((1024, 8), np.int16)))
    for _ in range(320):  # 5 MB through a backlog of 1 MB
        until = time.monotonic() + 20
        while node._backlog_bytes + len(block) > 1 << 20:
            assert time.monotonic() < until, 'the backlog does not empty'
            time.sleep(0.005)
        node._take('audio', '/drive/audio', IMAGE, block)
    until = time.monotonic() + 20
    while node._backlog_bytes and time.monotonic() < until:
        time.sleep(0.01)
    assert (node._backlog_bytes, node._dropped) == (0, 0)
    # A message that does not fit is dropped and counted.
    node._take('audio', '/drive/audio', IMAGE, bytes(2 << 20))
    assert node._dropped == 1
    node.trigger_deactivate()
    node.destroy_node()
