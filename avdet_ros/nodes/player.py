"""Play a bag over DDS with ``/clock``, if rosbag2 is not installed or the bag is damaged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
import importlib
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from avdet_ros.bags.reader import Bag, BagMessage
from avdet_ros.bags.timeline import Timeline
from avdet_ros.bags.writer import LATCHED_TOPICS
from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode import encode_stamp
from avdet_ros.nodes import qos
from avdet_ros.nodes.shutdown import until_ros_ends

CLOCK_PERIOD_S = 0.01
"""Time between messages on ``/clock``, in steady time."""

OFFER = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""QoS of played topics, which any subscriber can receive."""

_SETTLE_S = 0.5


class Player(Node):
    """Sends a bag's messages when they are due.

    Attributes:
        sent: messages sent so far.
        left_out: topics whose message type is not installed here, with the type.
        position_s: seconds since the bag's beginning.
    """

    def __init__(
        self,
        bag: Bag,
        topics: Collection[str],
        rate: float = 1.0,
        loop: bool = False,
        start_s: float = 0.0,
        moved: Mapping[str, str] | None = None,
    ) -> None:
        """Create publishers.

        Args:
            bag: what to play.
            topics: full names.
            rate: playback speed relative to the recording.
            loop: begin again at the end.
            start_s: seconds after the bag's beginning at which to begin.
            moved: full names to publish under, by recorded name; other topics keep theirs.

        Raises:
            AvdetError: a value is out of range, or nothing in the bag can be played here.
        """
        super().__init__('avdet_player')
        if not 0 <= start_s <= bag.duration_s:
            raise AvdetError(
                f'bag {bag.path}: start: expected 0 to {bag.duration_s:.1f} s, found {start_s:g}'
            )
        self._bag, self._loop = bag, loop
        self._moved = moved or {}
        self._start_ns = bag.start_ns + round(start_s * 1e9)
        self.timeline = Timeline(self._start_ns, rate, time.monotonic())
        self.sent = 0
        self.position_s = start_s
        self.left_out: dict[str, str] = {}
        self._publishers_by_topic: dict[str, Publisher] = {}
        for name in sorted(topics):
            self._offer(name)
        if not self._publishers_by_topic:
            raise AvdetError(
                f'bag {bag.path}: expected topics whose message types are installed, '
                f'found only {", ".join(self.left_out.values()) or "no topics"}'
            )
        self._clock_output = self.create_publisher(Clock, '/clock', qos.RESULTS)
        self._next_clock_s = 0.0

    def wait(self, topics: Collection[str], timeout_s: float) -> bool:
        """Wait until every one of these topics has a subscriber.

        Args:
            topics: full names.
            timeout_s: longest wait.

        Returns:
            Whether all have one; messages played earlier would be lost.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and rclpy.ok():
            self._publish_clock(self._start_ns)
            if all(self.count_subscribers(topic) for topic in topics):
                self._idle(_SETTLE_S)
                return True
            time.sleep(CLOCK_PERIOD_S)
        return False

    def play(self, watch: Callable[[Player], None] | None = None) -> None:
        """Send everything, once or for ever.

        Args:
            watch: called a hundred times a second, e.g. to read keys and show the position.
        """
        while rclpy.ok():
            self.timeline.jump(self._start_ns, time.monotonic())
            for message in self._messages():
                if not self._wait_until(message.stamp_ns, watch):
                    return
                self._publishers_by_topic[message.topic].publish(message.data)
                self.sent += 1
            if not self._loop:
                self._idle(_SETTLE_S)  # the last messages are still on their way
                return

    def _offer(self, name: str) -> None:
        topic = self._bag.topics[name]
        try:
            msgtype = message_class(topic.msgtype)
        except AvdetError:
            self.left_out[name] = topic.msgtype
            return
        profile = qos.LATCHED_OF_ALL if self._is_latched(name) else OFFER
        self._publishers_by_topic[name] = self.create_publisher(
            msgtype, self._moved.get(name, name), profile
        )

    def _is_latched(self, name: str) -> bool:
        return name in self._bag.latched or name.rsplit('/', 1)[-1] in LATCHED_TOPICS

    def _messages(self) -> Iterator[BagMessage]:
        topics = set(self._publishers_by_topic)
        latched = [name for name in topics if self._is_latched(name)]
        if latched and self._start_ns > self._bag.start_ns:
            # Latched messages from before the start are still valid.
            for message in self._bag.messages(latched):
                if message.stamp_ns >= self._start_ns:
                    break
                yield BagMessage(message.topic, message.msgtype, self._start_ns, message.data)
        yield from self._bag.messages(topics, start_ns=self._start_ns)

    def _wait_until(self, due_ns: int, watch: Callable[[Player], None] | None) -> bool:
        while rclpy.ok():
            now_s = time.monotonic()
            now_ns = self.timeline.now_ns(now_s, due_ns)
            if now_s >= self._next_clock_s:
                self._publish_clock(now_ns)
                if watch is not None:
                    watch(self)
            if now_ns >= due_ns and not self.timeline.paused:
                return True
            left_s = max(due_ns - now_ns, 0) * 1e-9 / self.timeline.rate
            time.sleep(CLOCK_PERIOD_S if self.timeline.paused else min(left_s, CLOCK_PERIOD_S))
        return False

    def _publish_clock(self, now_ns: int) -> None:
        self._next_clock_s = time.monotonic() + CLOCK_PERIOD_S
        self.position_s = (now_ns - self._bag.start_ns) * 1e-9
        self._clock_output.publish(Clock(clock=encode_stamp(now_ns)))

    def _idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and rclpy.ok():
            time.sleep(CLOCK_PERIOD_S)


def message_class(msgtype: str) -> Any:
    """The Python class of a message type.

    Args:
        msgtype: e.g. ``sensor_msgs/msg/Image``.

    Raises:
        AvdetError: its package is not installed here.
    """
    package, _, name = msgtype.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise AvdetError(
            f'message type {msgtype}: expected it to be installed, found no such package'
        ) from error


def play_bag(
    bag: Bag,
    topics: Collection[str],
    rate: float,
    loop: bool,
    start_s: float,
    wait_for: Collection[str],
    wait_s: float,
    watch: Callable[[Player], None] | None = None,
    moved: Mapping[str, str] | None = None,
) -> Player | None:
    """Start ROS, play until the end or a signal, and end ROS; see `Player`.

    Args:
        bag: what to play.
        topics: full names of what to play.
        rate: playback speed relative to the recording.
        loop: begin again at the end.
        start_s: seconds after the bag's beginning at which to begin.
        wait_for: topics that must have a subscriber before the first message.
        wait_s: longest wait for them.
        watch: see `Player.play`.
        moved: see `Player`.

    Returns:
        The player; None if a signal came before it was created.
    """
    rclpy.init(args=[])
    player = None
    try:
        with until_ros_ends():
            player = Player(bag, topics, rate, loop, start_s, moved)
            log = player.get_logger()
            for name, msgtype in player.left_out.items():
                log.warning(f'{name} is left out: {msgtype} is not installed here')
            if wait_for and not player.wait(wait_for, wait_s) and rclpy.ok():
                missing = ', '.join(t for t in wait_for if not player.count_subscribers(t))
                log.warning(f'no subscriber on {missing} after {wait_s:g} s; playing')
            player.play(watch)
    finally:
        if player is not None:
            player.destroy_node()
        rclpy.try_shutdown()
    return player


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Read single keys from the terminal without waiting; none if there is no terminal.

    Yields:
        A function that returns the key pressed since the last call, or ''.
    """
    if not sys.stdin.isatty():
        yield lambda: ''
        return
    import select
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin.fileno())
    try:
        yield lambda: sys.stdin.read(1) if select.select([sys.stdin], [], [], 0)[0] else ''
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
