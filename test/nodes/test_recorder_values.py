"""What node recorder keeps, drops and reports, message by message, with a bag, without DDS."""

from __future__ import annotations

import time
from types import SimpleNamespace

from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from avdet_ros.bags.reader import Bag
from avdet_ros.messages.decode import IMAGE
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize
from avdet_ros.nodes import recorder as module
from avdet_ros.nodes.recorder import RecorderNode

pytestmark = pytest.mark.ros

AUDIO = '/drive/audio'


@pytest.fixture
def recorder(ros, tmp_path):
    """Makes an active recorder that does not spin."""
    made = []

    def make(topics=('audio',), start=True, **parameters):
        given = {'path': str(tmp_path / 'bag'), 'topics': list(topics), **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = RecorderNode(namespace='/drive', parameter_overrides=overrides)
        made.append(node)
        if start:
            assert node.try_start(), node.fault
        node.now = 7_000_000_000
        node.now_ns = lambda: node.now
        return node

    yield make
    for node in made:
        node.destroy_node()


def sound(number=1):
    return serialize(make_sound(make_header(number, 'array'), np.full((64, 8), number, np.int16)))


def take(node, number=1, name='audio'):
    node._take(name, f'/drive/{name}', IMAGE, sound(number))


@pytest.mark.parametrize(
    ('wrong', 'sentence'),
    [
        ({'path': ''}, 'parameter path: expected the folder of a new bag, found none'),
        ({'topics': ['']}, "parameter topics: expected names of topics, found '': "),
        ({'topics': ['audio', 'a b']}, "parameter topics: expected names of topics, found 'a b'"),
    ],
)
def test_invalid_parameters_are_rejected_with_a_reason(recorder, wrong, sentence):
    node = recorder(**wrong, start=False)
    assert not node.try_start()
    assert node.fault.startswith(sentence)
    assert 'Invalid' not in node.fault


def test_new_bag_gets_the_next_free_number(recorder, tmp_path, capfd):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag_2').mkdir()
    node = recorder()
    assert report_of(node).values['path'] == str(tmp_path / 'bag_3')
    words = f'{tmp_path / "bag"} is there already and stays as it is: recording into '
    assert words in capfd.readouterr().err


def test_messages_before_ros_time_get_the_first_valid_time(recorder, tmp_path, wait):
    node = recorder()
    node.now = 0
    take(node, 1)
    take(node, 2)
    assert report_of(node).values['messages'] == '0'
    node.now = 9_000_000_000
    take(node, 3)
    node.now += 2_500_000_000
    take(node, 4)
    wait(lambda: report_of(node).values['messages'] == '4', 'the disk')
    report = report_of(node)
    assert report.values['audio'] == '4'
    size_mb = node._writer.size_bytes / 1e6
    assert report.message == f'2.5 s, {size_mb:.1f} MB, 4 messages in {tmp_path / "bag"}'
    assert node._backlog_bytes == 0
    node.trigger_deactivate()
    with Bag(tmp_path / 'bag') as bag:
        times = [message.stamp_ns for message in bag.messages()]
    assert times == [9_000_000_000] * 3 + [11_500_000_000]


def test_messages_exceeding_the_backlog_limit_are_dropped(recorder, monkeypatch, wait):
    node = recorder()
    size = len(sound())
    node._backlog_bytes = module.LARGEST_BACKLOG_BYTES - size
    take(node)
    wait(lambda: node._backlog_bytes == module.LARGEST_BACKLOG_BYTES - size, 'the disk')
    node._backlog_bytes += 1
    take(node)
    take(node)
    report = report_of(node)
    assert (report.level, report.message) == (2, 'the disk is too slow: 2 messages dropped')
    assert (report.values['messages_dropped'], report.values['audio']) == ('2', '1')


def test_recording_ends_after_a_failure_and_keeps_the_reason(recorder, capfd):
    node = recorder()
    node._take('audio', AUDIO, 'acme_msgs/msg/Sound', b'no sound')
    node._thread.join(20)
    report = report_of(node)
    assert report.level == 2
    assert report.message.endswith('; the recording has ended')
    take(node)
    assert report_of(node).values['audio'] == '1'  # the earlier count
    assert 'the recording has ended' in capfd.readouterr().err


def test_error_without_text_is_reported_by_type_and_a_close_error_too(recorder):
    node = recorder()

    def fail(*_):
        raise ValueError

    node._writer.write = fail
    close, node._writer.close = node._writer.close, fail
    take(node)
    node._thread.join(20)
    assert node._stopped == 'ValueError'
    assert node.problems.sentences == ['closing the bag: ValueError: ']
    close()


def test_progress_is_logged_periodically_while_messages_arrive(recorder, monkeypatch, wait):
    monkeypatch.setattr(module, 'FLUSH_S', 0.02)
    monkeypatch.setattr(module, 'SUMMARY_S', 0.25)
    node = recorder(start=False)
    logged, flushed = [], []
    node.get_logger = lambda: SimpleNamespace(
        info=lambda line: logged.append((time.monotonic(), line)), error=print, warning=print
    )
    assert node.try_start()
    flush = node._writer.flush
    node._writer.flush = lambda: flushed.append(time.monotonic()) or flush()
    lines = lambda: [at_s for at_s, line in logged if 'messages in' in line]  # noqa: E731
    wait(lambda: take(node) or len(lines()) >= 3, 'three lines')
    assert np.diff(lines()).min() > 0.2
    assert len(flushed) >= 3
    assert np.diff(flushed).min() > 0.015
    time.sleep(0.35)
    count = len(lines())
    time.sleep(0.35)  # no more messages arrive, so nothing is logged
    assert len(lines()) == count
    node.trigger_deactivate()
    assert 'messages in' in logged[-2][1] or 'messages in' in logged[-1][1]  # the final summary


def test_subscriptions_match_the_offered_types_and_reliability(recorder):
    node = recorder(topics=['audio', 'label_info', '/cam/image'])
    ours = node._subscriptions_by_topic
    assert set(ours) == {'audio', 'label_info'}
    assert ours['audio'].qos_profile.depth == 50
    assert ours['audio'].qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert ours['audio'].qos_profile.durability == DurabilityPolicy.VOLATILE
    assert ours['label_info'].qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert report_of(node).values['waiting_for_publishers'] == '/cam/image'
    effort = QoSProfile(depth=3, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_publisher(Image, '/cam/image', effort)
    for _ in range(200):
        node._look()
        if '/cam/image' in ours:
            break
        time.sleep(0.02)
    assert ours['/cam/image'].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert report_of(node).values['waiting_for_publishers'] == ''
    node.trigger_deactivate()
    assert (ours, node._look_timer, node._thread) == ({}, None, None)


def test_unknown_type_is_reported_once_and_not_waited_for(recorder):
    node = recorder(topics=['audio', '/odd'])
    node.get_topic_names_and_types = lambda: [('/odd', ['acme_msgs/msg/Odd'])]
    node.count_publishers = lambda topic: int(topic == '/odd')
    for _ in range(2):
        node._look()
    (sentence,) = node.problems.sentences
    assert sentence.startswith('/odd is not recorded: message type acme_msgs/msg/Odd')
    node.problems._problems['/odd'] = (
        time.monotonic() + 1e6,
        1,
        sentence,
    )  # keep the problem active
    assert report_of(node).values['waiting_for_publishers'] == ''


def test_silence_is_reported_after_two_seconds_with_its_reason(recorder, monkeypatch):
    node = recorder(topics=['audio', 'tracks_3d', 'label_info'])
    now = [time.monotonic()]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    node._active_since = now[0]
    assert report_of(node).level == 0
    now[0] += 2.1
    words = 'nothing recorded yet: no publisher on audio, tracks_3d, label_info'
    assert (report_of(node).level, report_of(node).message) == (1, words)
    node.count_publishers = lambda topic: 1
    asked = []
    node.publisher_watch.why_silent = lambda subscription, since_s: (
        asked.append(since_s) or f'{subscription.topic_name}: mute'
    )
    assert report_of(node).level == 0  # silent from now on
    now[0] += 0.9
    report_of(node)
    assert asked == []
    now[0] += 0.2
    report_of(node)
    assert asked == pytest.approx([1.1, 1.1])
    now[0] += 0.91  # two seconds in all, plus more than the rounding of a large clock value
    report = report_of(node)
    assert report.level == 1
    assert (
        report.message == 'not recorded: /drive/audio: mute; not recorded: /drive/label_info: mute'
    )
    take(node)
    assert report_of(node).message == 'not recorded: /drive/label_info: mute'
    node.count_publishers = lambda topic: 0  # the silence restarts when there are publishers again
    report_of(node)
    node.count_publishers = lambda topic: 1
    assert report_of(node).level == 0


@pytest.mark.parametrize(
    ('why', 'reported'),
    [
        ('nothing on it for 4 s', 'nothing on it for 4 s'),
        ('no publisher', 'no publisher, for 4 s'),
    ],
)
def test_stopped_stream_is_reported_unless_the_source_or_clock_stopped(
    recorder, monkeypatch, why, reported
):
    node = recorder(topics=['audio'])
    pulse = node._pulses['audio']
    for _ in range(3):
        take(node)
    ended = [False]
    node.publisher_watch.why_silent = lambda *_: why
    node.publisher_watch.source_ended = lambda: ended[0]
    pulse.last_s -= 4.2
    report = report_of(node)
    assert (report.level, report.message) == (
        1,
        f'no longer recorded after 3 messages: {reported}',
    )
    ended[0] = True
    assert report_of(node).level == 0
    ended[0] = False
    node.self_report.clock_still = True
    assert report_of(node).level == 0
