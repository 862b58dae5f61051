"""When the player sends each message and which clock it publishes, on a simulated time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import rclpy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from vision_msgs.msg import LabelInfo

from avdet_ros.bags.reader import BagMessage
from avdet_ros.errors import AvdetError
from avdet_ros.nodes import player as module
from avdet_ros.nodes import qos
from avdet_ros.nodes.player import Player, message_class, play_bag

pytestmark = pytest.mark.ros

START_NS = 1_700_000_000_000_000_000
IMAGE, LABELS = 'sensor_msgs/msg/Image', 'vision_msgs/msg/LabelInfo'


class Recorded:
    """A bag in memory: topics with types, and messages as (topic, seconds)."""

    path, start_ns, duration_s = '/bags/drive', START_NS, 2.0

    def __init__(self, *messages, latched=(), **more):
        types = {'/a': IMAGE, '/map': 'std_msgs/msg/Float64', '/x/label_info': LABELS, **more}
        self.topics = {name: SimpleNamespace(msgtype=kind) for name, kind in types.items()}
        self.latched, self.kept = set(latched), messages

    def messages(self, topics, start_ns=0):
        for name, at_s in self.kept:
            stamp_ns = START_NS + round(at_s * 1e9)
            if name in topics and stamp_ns >= start_ns:
                yield BagMessage(name, self.topics[name].msgtype, stamp_ns, f'{name} {at_s}')


@pytest.fixture
def play(ros, monkeypatch):
    """Makes a player of a bag's topics; sleeping advances the time, and messages are recorded."""
    made, now = [], [50.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr(module.time, 'sleep', sleep)

    def play(bag, topics=('/a',), **options):
        player = Player(bag, topics, **options)
        made.append(player)
        player.kept, player.clocks, player.started_s = [], [], now[0]
        player.made = dict(player._publishers_by_topic)
        player._publishers_by_topic = {
            name: SimpleNamespace(
                publish=lambda data: player.kept.append(
                    (data, round(now[0] - player.started_s, 6))
                )
            )
            for name in player.made
        }
        player._clock_output = SimpleNamespace(
            publish=lambda m: player.clocks.append(
                (m.clock.sec * 10**9 + m.clock.nanosec - START_NS) / 1e9
            )
        )
        player.now = now
        return player

    yield play
    for player in made:
        player.destroy_node()


def test_messages_and_clock_follow_the_recorded_times(play):
    player = play(Recorded(('/a', 0), ('/map', 0.01), ('/a', 0.5), ('/a', 1.5)))
    watched = []
    player.play(lambda playing: watched.append(playing.position_s))
    assert [data for data, _ in player.kept] == ['/a 0', '/a 0.5', '/a 1.5']
    assert [at for _, at in player.kept] == pytest.approx([0, 0.5, 1.5], abs=0.002)
    assert player.sent == 3
    assert len(player.clocks) == pytest.approx(151, abs=3)
    assert player.clocks == sorted(player.clocks)
    assert player.clocks[-1] == pytest.approx(1.5, abs=0.011)
    assert watched == pytest.approx(player.clocks)
    assert player.now[0] - player.started_s == pytest.approx(
        2.0, abs=0.02
    )  # plus half a second of settling


@pytest.mark.parametrize(('rate', 'at_s'), [(4.0, [0, 0.125]), (0.5, [0, 1.0])])
def test_rate_is_bag_seconds_per_second(play, rate, at_s):
    player = play(Recorded(('/a', 0), ('/a', 0.5)), rate=rate)
    player.play()
    assert [at for _, at in player.kept] == pytest.approx(at_s, abs=0.002)


def test_pause_holds_messages_but_not_the_watch_callback(play):
    player, looks = play(Recorded(('/a', 0), ('/a', 0.1))), []

    def watch(playing):
        looks.append(playing.position_s)
        if len(looks) in (5, 105):
            playing.timeline.toggle(player.now[0])

    player.play(watch)
    assert player.kept[1][1] == pytest.approx(1.1, abs=0.03)
    assert len(looks) > 105
    assert len(set(looks[6:100])) == 1


def test_loop_repeats_until_ros_shuts_down(play):
    player = play(Recorded(('/a', 0), ('/a', 0.2)), loop=True)
    player.play(lambda playing: playing.sent == 5 and rclpy.shutdown())
    assert [data for data, _ in player.kept] == ['/a 0', '/a 0.2'] * 2 + ['/a 0']
    assert player._wait_until(START_NS, None) is False  # nothing more is sent


def test_late_start_skips_earlier_messages_except_latched_ones(play):
    bag = Recorded(
        ('/map', 0.1),
        ('/x/label_info', 0.2),
        ('/a', 0.3),
        ('/map', 1.0),
        ('/a', 1.5),
        latched=['/map'],
    )
    topics = ('/a', '/map', '/x/label_info')
    player = play(bag, topics, start_s=1.0)
    assert player.position_s == 1.0
    player.play()
    assert [data for data, _ in player.kept] == [
        '/map 0.1',
        '/x/label_info 0.2',
        '/map 1.0',
        '/a 1.5',
    ]
    assert [at for _, at in player.kept] == pytest.approx([0, 0, 0, 0.5], abs=0.002)
    assert player.clocks[0] == pytest.approx(1.0)
    player = play(bag, topics)
    player.play()
    assert len(player.kept) == 5
    player = play(bag, ['/a'], start_s=0.4)
    player.play()
    assert [data for data, _ in player.kept] == ['/a 1.5']


def test_latched_topics_stay_latched_under_their_new_names(play):
    bag = Recorded(latched=['/map'])
    player = play(bag, ('/a', '/map', '/x/label_info'), moved={'/map': '/car/map'})
    assert {name: publisher.topic_name for name, publisher in player.made.items()} == {
        '/a': '/a',
        '/map': '/car/map',
        '/x/label_info': '/x/label_info',
    }
    kinds = {name: publisher.msg_type for name, publisher in player.made.items()}
    assert kinds == {'/a': Image, '/map': Float64, '/x/label_info': LabelInfo}
    latched = qos.LATCHED_OF_ALL.durability
    assert player.made['/a'].qos_profile.durability != latched
    assert player.made['/map'].qos_profile.durability == latched
    assert player.made['/x/label_info'].qos_profile.durability == latched


def test_unplayable_topics_and_starts_are_left_out_or_rejected(play):
    odd = {'/odd': 'acme_msgs/msg/Odd', '/none': 'std_msgs/msg/Nothing'}
    player = play(Recorded(('/odd', 0), ('/a', 0), **odd), ('/a', '/odd', '/none'))
    assert player.left_out == odd
    player.play()
    assert player.sent == 1
    with pytest.raises(
        AvdetError, match=r'^bag /bags/drive: expected topics .* acme_msgs/msg/Odd'
    ):
        play(Recorded(**odd), ['/odd'])
    with pytest.raises(AvdetError, match='found only no topics'):
        play(Recorded(), [])
    for start_s in (-0.1, 2.1):
        words = f'start: expected 0 to 2.0 s, found {start_s}'
        with pytest.raises(AvdetError, match=words):
            play(Recorded(), start_s=start_s)
    play(Recorded(), start_s=2.0)
    with pytest.raises(AvdetError, match='message type std_msgs/msg/Nothing: expected it to be'):
        message_class('std_msgs/msg/Nothing')
    assert message_class('rosgraph_msgs/msg/Clock') is Clock


def test_player_waits_for_subscribers_and_a_settling_time(play):
    player, listeners = play(Recorded(('/a', 0)), start_s=1.0), {'/a': 1, '/map': 0}
    player.count_subscribers = listeners.get
    assert not player.wait(['/a', '/map'], 0.5)
    assert player.now[0] - player.started_s == pytest.approx(0.5, abs=0.02)
    assert set(player.clocks) == {1.0}
    assert len(player.clocks) == pytest.approx(50, abs=3)
    before = player.now[0]
    assert player.wait(['/a'], 5.0)
    assert player.now[0] - before == pytest.approx(0.5, abs=0.02)
    before = player.now[0]
    assert player.wait([], 5.0)
    rclpy.shutdown()
    assert not player.wait(['/a'], 5.0)


def test_play_bag_warns_of_missing_topics_and_shuts_down_ros(monkeypatch, capfd):
    monkeypatch.setattr(module, '_SETTLE_S', 0.0)
    bag, seen = Recorded(**{'/odd': 'acme_msgs/msg/Odd'}), []
    player = play_bag(
        bag, ['/a', '/odd'], 2.0, False, 0.5, ['/a', '/map'], 0.05, seen.append, {'/a': '/b'}
    )
    assert not rclpy.ok()
    assert (player.timeline.rate, player.sent, player.left_out) == (
        2.0,
        0,
        {'/odd': 'acme_msgs/msg/Odd'},
    )
    printed = capfd.readouterr().err
    assert '/odd is left out: acme_msgs/msg/Odd is not installed here' in printed
    assert 'no subscriber on /a, /map after 0.05 s; playing' in printed

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Player, '__init__', stop)
    assert play_bag(bag, ['/a'], 1.0, False, 0.0, [], 0.0) is None
    assert not rclpy.ok()


def test_no_keys_are_read_without_a_terminal(monkeypatch):
    monkeypatch.setattr('sys.stdin', SimpleNamespace(isatty=lambda: False))
    with module.keys() as key:
        assert key() == ''
