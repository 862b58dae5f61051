"""Node recorder: writes topics into an MCAP bag, byte for byte as received over DDS."""

from __future__ import annotations

from pathlib import Path
import queue
import threading
import time
from typing import Any, cast

from rclpy.exceptions import InvalidTopicNameException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.timer import Timer
from rclpy.validate_topic_name import validate_topic_name

from avdet_ros.bags.writer import LATCHED_TOPICS, BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.typestore import known
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription, all_latched, fitting, is_latched
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.message_loss import CountedSubscriptions
from avdet_ros.nodes.player import message_class
from avdet_ros.nodes.topic_health import SILENT_AFTER_S, StreamPulse
from avdet_ros.topics import TOPICS, WITH_GROUND

TYPES = {
    'audio': 'sensor_msgs/msg/Image',
    'spectrogram': 'sensor_msgs/msg/Image',
    'overlay': 'sensor_msgs/msg/Image',
    'detections': 'vision_msgs/msg/Detection2DArray',
    'tracks': 'vision_msgs/msg/Detection2DArray',
    'truth': 'vision_msgs/msg/Detection2DArray',
    'tracks_3d': 'vision_msgs/msg/Detection3DArray',
    'tracks_points': 'sensor_msgs/msg/PointCloud2',
    'nearest': 'geometry_msgs/msg/PoseWithCovarianceStamped',
    'hidden': 'sensor_msgs/msg/PointCloud2',
    'label_info': 'vision_msgs/msg/LabelInfo',
    'debug/latency_ms': 'std_msgs/msg/Float64',
}
"""The package's own topics, subscribed at once; others once a publisher shows their type."""

MAY_BE_SILENT = {topic.name for topic in TOPICS if topic.when == WITH_GROUND}
"""Topics whose publisher always exists but, depending on its parameters, may never send."""

FLUSH_S = 1.0
"""Time between flushes: the most that a power cut can lose."""

SUMMARY_S = 10.0
"""Time between lines in the log."""

LARGEST_BACKLOG_BYTES = 256 << 20
"""Most bytes that may wait for a slow disk; further messages are dropped and counted."""

_LOOK_S = 0.25


_Entry = tuple[str, str, bytes, bool, int]
"""Topic, type and data of a message, whether it is latched, and its time of arrival, ns."""


class RecorderNode(AvdetNode):
    """Writes topics into a bag; a full disk ends the recording and affects nothing else.

    The executor's thread receives messages and another writes them, so that a disk that stalls
    loses no message.
    """

    NAME = 'recorder'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._subscriptions_by_topic: dict[str, AdaptiveSubscription] = {}
        self._look_timer: Timer | None = None
        self._writer: BagWriter | None = None
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Check the parameters."""
        if not self.p['path']:
            raise AvdetError('parameter path: expected the folder of a new bag, found none')
        if not self.p['topics']:
            raise AvdetError('parameter topics: expected at least one topic, found none')
        for name in self.p['topics']:
            try:
                validate_topic_name(name)
            except InvalidTopicNameException as error:
                reason = str(error).splitlines()[0].removeprefix('Invalid topic name: ')
                raise AvdetError(
                    f'parameter topics: expected names of topics, found {name!r}: {reason}'
                ) from error

    def acquire(self) -> None:
        """Create the bag and subscribe."""
        path = Path(self.p['path'])
        number = 1
        while path.exists():  # a respawned recorder keeps what was there
            number += 1
            path = path.with_name(f'{Path(self.p["path"]).name}_{number}')
        if number > 1:
            self.get_logger().warning(
                f'{self.p["path"]} is there already and stays as it is: recording into {path}'
            )
        self._stopped = ''
        self._counted = CountedSubscriptions(self)
        self._pulses = {name: StreamPulse() for name in self.p['topics']}
        self._changed_s: dict[str, tuple[set[bytes], float]] = {}
        self._wanted_topics = list(self.p['topics'])
        self._backlog: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._backlog_bytes = self._dropped = 0
        self._early_messages: list[tuple[str, str, bytes, bool]] = []
        self._silent_since_s: dict[str, float] = {}
        self._thread = threading.Thread(target=self._work, name='disk', daemon=True)
        self._writer = BagWriter(path)
        self._thread.start()
        self._look()
        self._look_timer = self.create_timer(_LOOK_S, self._look, clock=self._steady_clock)

    def release(self) -> None:
        """Unsubscribe and close the bag."""
        if self._look_timer is not None:
            self.destroy_timer(self._look_timer)
            self._look_timer = None
        for subscription in self._subscriptions_by_topic.values():
            self.destroy_subscription(subscription)
        self._subscriptions_by_topic.clear()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._backlog.put(None)
        if thread.ident is not None:
            thread.join(30)
            self._log_summary()
        elif self._writer is not None:  # a signal, or no bag, came before the thread began
            self._writer.close()

    def _log_summary(self) -> None:
        if self.context.ok():
            self.get_logger().info(self._summary())
        else:  # after Ctrl-C there is no /rosout, and rcl would log a complaint about that
            print(f'{self.get_name()}: {self._summary()}', flush=True)

    # The executor's thread.

    def _look(self) -> None:
        """Subscribe to topics that have appeared, and adapt to the QoS offered now."""
        for name, subscription in self._subscriptions_by_topic.items():
            if sentence := subscription.adapt(may_latch=self._nothing_yet(name, subscription)):
                self.get_logger().warning(sentence)
        types = None
        for name in list(self._wanted_topics):
            msgtype = TYPES.get(name)
            full = self.resolve_topic_name(name)
            if msgtype is None:
                types = types or dict(self.get_topic_names_and_types())
                msgtype = next(iter(types.get(full, ())), None)
                if msgtype is None or not self.count_publishers(full):
                    continue
            self._wanted_topics.remove(name)
            try:
                self._subscribe(name, full, msgtype)
            except AvdetError as error:
                self.problems.add(name, diagnostics.WARN, f'{full} is not recorded: {error}', 1e9)
                self.get_logger().warning(f'{full} is not recorded: {error}')

    def _subscribe(self, name: str, full: str, msgtype: str) -> None:
        known(msgtype)  # otherwise the bag could not describe it
        if full.rsplit('/', 1)[-1] in LATCHED_TOPICS:
            requested = qos.LATCHED_OF_ALL
        else:
            requested = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
            infos = self.get_publishers_info_by_topic(full)
            if all_latched(infos):
                requested = qos.LATCHED_OF_ALL
            # Cameras often offer only best effort, so nothing stricter may be requested.
            requested = fitting(requested, infos)
        subscription = self._counted.create_subscription(
            message_class(msgtype),
            name,
            lambda data: self._take(name, full, msgtype, data),
            requested,
            raw=True,
            qos_overriding_options=qos.overridable(),
        )
        self._subscriptions_by_topic[name] = cast(AdaptiveSubscription, subscription)

    def _nothing_yet(self, name: str, subscription: AdaptiveSubscription) -> bool:
        """Whether the current publishers have sent nothing since they appeared."""
        ids = {bytes(info.endpoint_gid) for info in subscription.publishers()}
        before, since_s = self._changed_s.get(name, (set(), 0.0))
        if not ids <= before:
            since_s = time.monotonic()
        self._changed_s[name] = ids, since_s
        return (self._pulses[name].last_s or 0.0) < since_s

    def _take(self, name: str, full: str, msgtype: str, data: bytes) -> None:
        if self._stopped:
            return
        if self._backlog_bytes + len(data) > LARGEST_BACKLOG_BYTES:
            self._dropped += 1
            return
        self._backlog_bytes += len(data)
        self._pulses[name].add()
        subscription = self._subscriptions_by_topic.get(name)
        latched = subscription is not None and is_latched(subscription.qos_profile)
        now_ns = self.now_ns()
        if now_ns <= 0:  # sim time has not begun; latched messages come before it
            self._early_messages.append((full, msgtype, data, latched))
            return
        for entry in self._early_messages:
            self._backlog.put((*entry, now_ns))
        self._early_messages.clear()
        self._backlog.put((full, msgtype, data, latched, now_ns))

    # The disk's thread.

    def _work(self) -> None:
        writer = held(self._writer)
        next_flush_s = time.monotonic() + FLUSH_S
        next_line_s = time.monotonic() + SUMMARY_S
        logged_count = -1
        try:
            while True:
                try:
                    wait_s = max(next_flush_s - time.monotonic(), 0)
                    entry: _Entry | tuple[()] | None = self._backlog.get(timeout=wait_s)
                except queue.Empty:
                    entry = ()
                if entry is None:
                    break
                if entry:
                    full, msgtype, data, latched, received_ns = entry
                    writer.write(full, msgtype, data, received_ns, latched)
                    self._backlog_bytes -= len(data)
                now_s = time.monotonic()
                if now_s >= next_flush_s:
                    writer.flush()
                    next_flush_s = now_s + FLUSH_S
                if now_s >= next_line_s:
                    if writer.messages != logged_count:  # nothing comes after a drive has ended
                        self.get_logger().info(self._summary())
                        logged_count = writer.messages
                    next_line_s = now_s + SUMMARY_S
            writer.close()
        except Exception as error:
            self._stopped = str(error) or type(error).__name__
            self.get_logger().error(f'{self._stopped}; the recording has ended')
            self._close(writer)

    def _close(self, writer: BagWriter) -> None:
        """After a failure, write index and metadata of the bag, if the disk still can."""
        try:
            writer.close()
        except Exception as error:
            self.fail('closing the bag', error)

    def _summary(self) -> str:
        writer = held(self._writer)
        seconds = 0.0
        if writer.first_ns is not None and writer.last_ns is not None:
            seconds = (writer.last_ns - writer.first_ns) * 1e-9
        return (
            f'{seconds:.1f} s, {writer.size_bytes / 1e6:.1f} MB, '
            f'{writer.messages} messages in {writer.path}'
        )

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report length, size, and messages by topic."""
        if self._stopped:
            report.error(f'{self._stopped}; the recording has ended')
        else:
            self._diagnose_topics(report)
        writer = held(self._writer)
        report.value(
            path=writer.path,
            bytes=writer.size_bytes,
            messages=writer.messages,
            messages_dropped=self._dropped,
            messages_missed=self._counted.count,
            waiting_for_publishers=', '.join(self._wanted_topics),
            **{name: pulse.count for name, pulse in self._pulses.items()},
        )
        if report.level == diagnostics.OK:
            report.ok(self._summary())

    def _diagnose_topics(self, report: diagnostics.Report) -> None:
        """Report dropped messages, and why topics that have publishers are not recorded."""
        if self._dropped:
            report.error(f'the disk is too slow: {self._dropped} messages dropped')
        for name, subscription in self._subscriptions_by_topic.items():
            pulse = self._pulses[name]
            if pulse.count and not is_latched(subscription.qos_profile):
                self._diagnose_stop(report, subscription, pulse)
            quiet = name in MAY_BE_SILENT or not self.count_publishers(subscription.topic_name)
            if pulse.count or quiet:
                self._silent_since_s.pop(name, None)
                continue
            now_s = time.monotonic()
            since_s = now_s - self._silent_since_s.setdefault(name, now_s)
            if since_s < SILENT_AFTER_S / 2:
                continue
            # Requested before it is needed, as the other node's state is known a status later.
            why = self.publisher_watch.why_silent(subscription, since_s)
            if since_s >= SILENT_AFTER_S:
                report.warn(f'not recorded: {why}')
        received = self._silent_since_s or any(pulse.count for pulse in self._pulses.values())
        if not received and self.active_s > SILENT_AFTER_S:
            report.warn(f'nothing recorded yet: no publisher on {", ".join(self.p["topics"])}')

    def _diagnose_stop(
        self, report: diagnostics.Report, subscription: AdaptiveSubscription, pulse: StreamPulse
    ) -> None:
        """Report a stream that was recorded and has stopped."""
        if self.clock_still or pulse.since_s < SILENT_AFTER_S / 2:
            return
        in_namespace = subscription.topic_name.startswith(f'{self.get_namespace().rstrip("/")}/')
        ended = self.publisher_watch.source_ended() and in_namespace
        why = self.publisher_watch.why_silent(subscription, pulse.since_s)
        if pulse.has_stopped and not ended:
            seconds = '' if why.endswith(' s') else f', for {pulse.since_s:.0f} s'
            report.warn(f'no longer recorded after {pulse.count} messages: {why}{seconds}')
