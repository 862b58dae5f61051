"""GraphMonitor records messages and statuses of a running graph and publishes a clock."""

from __future__ import annotations

import json
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64, String
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.watermark import mark
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_sound,
    encode_spectrogram,
)
from avdet_ros.nodes import graph_monitor as module
from avdet_ros.nodes import qos
from avdet_ros.nodes.graph_monitor import GraphMonitor

pytestmark = pytest.mark.ros

BOX = np.array([[10.0, 20.0, 40.0, 80.0]])
ALL = ('spectrogram', 'detections', 'tracks', 'truth', 'audio', 'debug/steps')


def monitor_subscriptions(node):
    """The number of monitor subscriptions that the graph shows."""
    topics = [topic for topic, _ in node.get_topic_names_and_types()]
    found = [info for topic in topics for info in node.get_subscriptions_info_by_topic(topic)]
    return sum(info.node_name == 'graph_monitor' for info in found)


@pytest.fixture
def monitor(watcher, wait):
    made = []

    def make(*topics, **options):
        made.append(GraphMonitor('/avdet', topics, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
    # Otherwise these monitors would receive what the next test publishes.
    wait(lambda: not monitor_subscriptions(watcher.node), 'the end of the monitors')


def test_monitor_records_messages_of_each_topic(watcher, monitor, wait):
    pictures = []
    watched = monitor(*ALL, on_picture=pictures.append)
    head = encode_header(3_000_000_007, 'x')
    marked = mark(np.zeros((4410, 8), np.int16), 10_000)
    later = {'end_ns': 5, 'node': 'tracker', 'done_ms': {'sent': 12.5}}
    steps = {'end_ns': 5, 'node': 'capture', 'done_ms': {'block': 1.5, 'sent': 2.5}}
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    messages = (
        ('spectrogram', Image, encode_spectrogram(head, np.zeros((2, 3, 4), np.float32))),
        ('detections', Detection2DArray, encode_detections(head, BOX, np.array([0.5]))),
        ('tracks', Detection2DArray, encode_detections(head, BOX + 1, np.array([0.75]), ['7'])),
        ('truth', Detection2DArray, encode_detections(head, BOX + 2, np.ones(1), ['3'])),
        ('audio', Image, encode_sound(head, marked)),
        ('debug/steps', String, String(data=json.dumps(steps))),
        ('debug/steps', String, String(data=json.dumps(later))),
        ('debug/latency_ms', Float64, Float64(data=87.5)),
        ('overlay', Image, encode_image(head, 'bgr8', picture)),
    )
    began_s = time.monotonic()
    publishers = {}
    for topic, kind, message in messages:
        if topic not in publishers:
            publishers[topic] = watcher.publisher(kind, topic, qos.OFFER_SPECTROGRAM)
        publishers[topic].publish(message)
    wait(lambda: watched.latency_ms and watched.truth and watched.sound and pictures, 'messages')
    wait(lambda: len(watched.steps.get(5, {})) == 3, 'the steps')
    wait(lambda: watched.spectrograms and watched.detections and watched.tracks, 'the windows')
    for kept in (watched.spectrograms, watched.detections, watched.tracks, watched.truth):
        (message,) = kept
        assert message.stamp_ns == 3_000_000_007
        assert began_s <= message.at_s <= time.monotonic()
    assert watched.detections[0].found.scores.tolist() == [0.5]
    assert watched.tracks[0].boxes['7'].tolist() == [11, 21, 41, 81]
    assert watched.truth[0].boxes['3'].tolist() == [12, 22, 42, 82]
    assert watched.latency_ms[0][1] == 87.5
    assert watched.steps == {
        5: {('capture', 'block'): 1.5, ('capture', 'sent'): 2.5, ('tracker', 'sent'): 12.5}
    }
    assert pictures[0].tolist() == picture.tolist()
    run = watched.sound[0]
    start = (run.stamp_ns - 3_000_000_007) * 44100e-9  # samples since the start of the message
    assert run.sample - 10_000 == pytest.approx(start, abs=0.01)
    assert sum(run.count for run in watched.sound) > 4000
    watched.clear()
    kept = (watched.spectrograms, watched.detections, watched.tracks, watched.truth)
    assert [*kept, watched.sound, watched.latency_ms] == [[]] * 6
    assert (watched.steps, watched.statuses) == ({}, {})


def test_monitor_subscribes_to_given_topics_only_and_to_others_on_request(watcher, monitor, wait):
    watched, came = monitor('tracks'), []
    wait(lambda: watched.has_subscribers({'tracks': 1, 'debug/latency_ms': 1}), 'the monitor')
    others = ('detections', 'truth', 'spectrogram', 'audio', 'debug/steps', 'overlay')
    for counts in ({'tracks': 2}, *({topic: 1} for topic in others)):
        # The graph may still show the monitor of the previous test.
        wait(lambda counts=counts: not watched.has_subscribers(counts), f'no more than {counts}')
    subscription = watched.subscribe(Float64, 'more', came.append)
    sender = watcher.publisher(Float64, 'more')
    sender.publish(Float64(data=3.0))
    wait(lambda: came, 'the message')
    assert (watched.count_publishers('more'), watched.count_publishers('none')) == (1, 0)
    assert watched.topics()['/avdet/more'] == ['std_msgs/msg/Float64']
    watched.destroy(subscription)
    wait(lambda: not sender.get_subscription_count(), 'its end')
    numbers = watcher.collect(Float64, 'number')
    publisher = watched.publisher(Float64, 'number')
    wait(publisher.get_subscription_count, 'the watcher')
    publisher.publish(Float64(data=4.0))
    wait(lambda: [message.data for message in numbers] == [4.0], 'the number')
    watched.destroy(publisher)
    wait(lambda: not watched.count_publishers('number'), 'its end')


def test_statuses_are_kept_per_node_in_order(watcher, monitor, wait):
    watched = monitor()
    publisher = watcher.publisher(DiagnosticArray, '/diagnostics', matched=2)
    assert watched.status('capture') is None
    for level, sentence in ((b'\1', 'no sound'), (b'\0', '3 windows'), (b'\2', 'no sound yet')):
        values = [KeyValue(key='windows_out', value=sentence[0])]
        name = '/avdet/capture'
        status = DiagnosticStatus(level=level, name=name, message=sentence, values=values)
        publisher.publish(DiagnosticArray(status=[status]))
    wait(lambda: len(watched.statuses.get('capture', ())) == 3, 'the statuses')
    newest = watched.status('capture')
    assert (newest.level, newest.sentence, newest.values) == (
        2,
        'no sound yet',
        {'windows_out': 'n'},
    )
    first, second, third = watched.statuses['capture']
    assert watched.find_status('capture', 'no sound', 0.0) is first
    assert watched.find_status('capture', 'no sound', second.at_s) is third
    assert watched.find_status('capture', 'windows', second.at_s) is second
    assert watched.find_status('capture', 'models', 0.0) is None
    assert watched.find_status('detector', '', 0.0) is None


def test_enable_raises_if_a_node_is_missing_refuses_or_does_not_answer(watcher, monitor):
    watched = monitor()
    with pytest.raises(AvdetError, match=r'^tracker did not come up within 0\.05 s$'):
        watched.enable('tracker', 0.05)
    asked, held_up = [], threading.Event()

    def answer(request, response):
        asked.append(request.data)
        if len(asked) == 3:
            held_up.wait(20)
        response.success, response.message = len(asked) > 1, 'no model'
        return response

    watcher.node.create_service(SetBool, 'tracker/enable', answer)
    with pytest.raises(AvdetError, match=r'^tracker: no model$'):
        watched.enable('tracker', 20.0)
    watched.enable('tracker', 20.0)
    with pytest.raises(AvdetError, match=r'^tracker did not answer within 0\.1 s$'):
        watched.enable('tracker', 0.1)
    held_up.set()
    assert asked == [True] * 3


def test_clock_jumps_stops_and_continues_where_it_stopped(watcher, monitor, wait, monkeypatch):
    watched, ticks = monitor(), watcher.collect(Clock, '/clock')
    now = [1000.0]
    monkeypatch.setattr(module.time, 'time', lambda: now[0])
    assert watched.clock_s() == 1000
    watched.move_clock(50)
    watched.move_clock(-20)
    now[0] += 1
    assert watched.clock_s() == 1031
    watched.go_on_clock()  # it is already running
    watched.stop_clock()
    now[0] += 7
    assert watched.clock_s() == 1031
    watched.go_on_clock()
    assert watched.clock_s() == 1031
    now[0] += 2
    assert watched.clock_s() == 1033
    watched.begin_clock(0.002)
    stamped = lambda: [tick.clock.sec + tick.clock.nanosec * 1e-9 for tick in ticks]  # noqa: E731
    wait(lambda: 1033.0 in stamped(), 'the time')
    watched.move_clock(0.25)
    wait(lambda: stamped()[-1] == 1033.25, 'the jump')


def test_failing_callback_is_recorded_and_closing_is_no_failure(
    watcher, monitor, wait, monkeypatch
):
    ended = monitor()
    ended.close()
    assert ended.failure is None
    monkeypatch.setattr(threading, 'excepthook', lambda *_: None)

    def fail(picture):
        raise ValueError('a picture that breaks')

    watched = monitor(on_picture=fail)
    picture = np.zeros((2, 4, 3), np.uint8)
    publisher = watcher.publisher(Image, 'overlay')
    message = encode_image(encode_header(1, 'x'), 'bgr8', picture)
    assert stamp_ns(message) == 1
    # The closed monitor may still count as a subscriber, so the first message may be lost.
    wait(lambda: publisher.publish(message) or watched.failure, 'the failure')
    assert str(watched.failure) == 'a picture that breaks'

    def fail_too(_):
        raise ValueError('a callback that breaks')

    other = monitor()
    other.subscribe(Float64, 'number', fail_too)
    number = watcher.publisher(Float64, 'number')
    wait(lambda: number.publish(Float64()) or other.failure, 'the failure')
    assert str(other.failure) == 'a callback that breaks'
