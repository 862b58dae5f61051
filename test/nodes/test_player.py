"""A bag played over DDS arrives unchanged and in order, with a matching clock."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.nodes import qos
from avdet_ros.nodes.player import Player

pytestmark = pytest.mark.ros

START_NS = 1_700_000_000_000_000_000
STEP_NS = 20_000_000
COUNT = 50


@pytest.fixture(scope='module')
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / 'drive') as writer:
        for index in range(COUNT):
            now = START_NS + index * STEP_NS
            header = make_header(now, 'array')
            block = make_sound(header, np.full((64, 8), index, np.int16))
            writer.write('/drive/audio', IMAGE, serialize(block), now)
    with Bag(tmp_path / 'drive') as bag:
        yield bag


@pytest.fixture
def listener(ros):
    node = rclpy.create_node('listener')
    node.blocks, node.clocks = [], []
    node.create_subscription(Image, '/drive/audio', node.blocks.append, 100)
    node.create_subscription(
        Clock, '/clock', lambda m: node.clocks.append(m.clock.sec * 10**9 + m.clock.nanosec), 1000
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join(5)
    node.destroy_node()


def play(bag, watch=None, **options):
    player = Player(bag, ['/drive/audio'], **options)
    try:
        assert player.wait(['/drive/audio'], 10)
        player.play(watch)
        return player
    finally:
        player.destroy_node()


def test_every_message_arrives_in_order_under_a_monotonic_clock(bag, listener):
    player = play(bag, rate=2.0)
    assert player.sent == len(listener.blocks) == COUNT
    assert [block.data[0] for block in listener.blocks] == list(range(COUNT))
    assert listener.blocks[0].encoding == '16SC8'
    assert listener.clocks == sorted(listener.clocks)
    assert listener.clocks[0] >= START_NS
    assert listener.clocks[-1] <= START_NS + COUNT * STEP_NS


def test_player_publishes_under_another_topic_name(bag, listener, wait):
    moved = []
    listener.create_subscription(Image, '/car1/audio', moved.append, 100)
    player = Player(bag, ['/drive/audio'], rate=5.0, moved={'/drive/audio': '/car1/audio'})
    try:
        assert player.wait(['/car1/audio'], 10)
        player.play()
    finally:
        player.destroy_node()
    wait(lambda: len(moved) == COUNT, 'every message')
    assert listener.blocks == []


def test_player_starts_at_the_given_time(bag, listener):
    play(bag, rate=5.0, start_s=0.5)
    assert listener.blocks[0].data[0] == 25


def test_pause_holds_messages_until_resumed(bag, listener):
    state = {'pressed': False, 'at_pause': 0}

    def watch(player):
        if player.position_s > 0.3 and not state['pressed']:
            state['pressed'] = True
            player.timeline.toggle(time.monotonic())
            state['sent'] = player.sent
            state['until'] = time.monotonic() + 0.5
        elif player.timeline.paused and time.monotonic() > state['until']:
            state['held'] = player.sent == state['sent']
            player.timeline.toggle(time.monotonic())

    play(bag, watch, rate=2.0)
    assert state['held']
    assert len(listener.blocks) == COUNT


def test_loop_restarts_messages_and_clock(bag, listener):
    class Enough(Exception):
        pass

    def watch(player):
        if player.sent > COUNT + 10:
            raise Enough

    with pytest.raises(Enough):
        play(bag, watch, rate=10.0, loop=True)
    assert np.diff(listener.clocks).min() < 0


def test_late_subscriber_receives_latched_messages_of_several_nodes(ros, listener, tmp_path):
    kind = typestore().types['vision_msgs/msg/LabelInfo']
    with BagWriter(tmp_path / 'drive') as writer:
        for index, threshold in enumerate((0.25, 0.5, 0.75)):
            now = START_NS + index * STEP_NS
            info = kind(make_header(now, 'camera'), [], threshold)
            writer.write('/drive/label_info', kind.__msgtype__, serialize(info), now)
    assert 'depth: 100' in (tmp_path / 'drive' / 'metadata.yaml').read_text()
    with Bag(tmp_path / 'drive') as bag:
        player = Player(bag, ['/drive/label_info'])
        player.play()
        received, last = [], []
        listener.create_subscription(
            LabelInfo, '/drive/label_info', received.append, qos.LATCHED_OF_ALL
        )
        listener.create_subscription(LabelInfo, '/drive/label_info', last.append, qos.LATCHED)
        until = time.monotonic() + 20
        while len(received) < 3 or not last or last[-1].threshold != 0.75:
            assert time.monotonic() < until, (received, last)
            time.sleep(0.02)
        player.destroy_node()
    assert [message.threshold for message in received] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_latched_topics_are_replayed_as_latched(ros, listener, tmp_path, storage):
    with BagWriter(tmp_path / 'drive', storage=storage) as writer:
        block = make_sound(make_header(START_NS, 'camera'), np.zeros((2, 8), np.int16))
        writer.write('/drive/once', IMAGE, serialize(block), START_NS, latched=True)
        writer.write('/drive/stream', IMAGE, serialize(block), START_NS + STEP_NS)
    with Bag(tmp_path / 'drive') as bag:
        assert bag.latched == {'/drive/once'}
        player = Player(bag, list(bag.topics))
        player.play()
        received = []
        for name in bag.topics:
            listener.create_subscription(Image, name, received.append, qos.LATCHED)
        until = time.monotonic() + 20
        while not received:
            assert time.monotonic() < until
            time.sleep(0.02)
        player.destroy_node()


def test_start_beyond_the_bag_is_rejected(ros, bag, tmp_path):
    with pytest.raises(AvdetError, match='start: expected 0 to'):
        Player(bag, ['/drive/audio'], start_s=99.0)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    'program',
    [['avdet_ros.cli.replay_process'], ['avdet_ros.cli.main', 'bag', 'replay']],
    ids=['launch', 'cli'],
)
def test_signals_end_the_player_with_status_0(bag, listener, program, number):
    playing = start_process(program, bag.path, '--loop')
    try:
        until = time.monotonic() + 60
        while not listener.blocks:
            assert time.monotonic() < until
            assert playing.poll() is None, playing.stdout.read()
            time.sleep(0.05)
        for _ in range(
            3
        ):  # Ctrl-C reaches the process, and the launch service sends another signal
            playing.send_signal(number)
            time.sleep(0.02)
        output = playing.communicate(timeout=30)[0]
    finally:
        playing.kill()
    assert playing.returncode == 0, output
    assert 'Traceback' not in output
    assert 'messages sent' in output


@pytest.mark.parametrize('after_s', [0.4, 1.2, 2.4])
def test_signal_before_playback_ends_the_player(bag, after_s):
    playing = start_process(['avdet_ros.cli.replay_process'], bag.path, '--chain')
    time.sleep(after_s)
    playing.send_signal(signal.SIGINT)
    output = playing.communicate(timeout=30)[0]
    assert playing.returncode == 0, output
    assert 'Traceback' not in output


def start_process(program, path, *words):
    return subprocess.Popen(
        [sys.executable, '-m', *program, str(path), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
