"""Sees what a running graph does, and when: for fault injection, soaks and checks of stamps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
import struct
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.watermark import read_marks
from avdet_ros.messages.decode import decode_detections, decode_sound, stamp_ns
from avdet_ros.messages.encode import encode_stamp
from avdet_ros.nodes import qos


@dataclass(frozen=True)
class Status:
    """One node's diagnostics at one time.

    Attributes:
        at_s: `time.monotonic` of its arrival.
        level: 0 OK, 1 WARN, 2 ERROR.
        sentence: what it says.
        values: its numbers.
    """

    at_s: float
    level: int
    sentence: str
    values: dict[str, str]


@dataclass(frozen=True)
class StampedMessage:
    """One message with a stamp.

    Attributes:
        at_s: `time.monotonic` of its arrival.
        stamp_ns: its stamp.
        boxes: boxes by identity, of tracks only.
    """

    at_s: float
    stamp_ns: int
    boxes: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class SoundRun:
    """Consecutive samples of marked sound in one message.

    Attributes:
        at_s: `time.monotonic` of its arrival.
        stamp_ns: ROS time that the capture gives the first sample.
        sample: its number by its mark, see `avdet_ros.audio.watermark`.
        count: how many.
    """

    at_s: float
    stamp_ns: int
    sample: int
    count: int


class GraphMonitor:
    """A node in a thread that notes when everything came, and publishes what it is asked to.

    Attributes:
        spectrograms: windows' features as they came.
        tracks: the same of tracks.
        sound: runs of marked sound.
        latency_ms: (arrival, milliseconds) from sound to tracks.
        statuses: diagnostics by node's name without the namespace.
        failure: what ended the listening, None while it goes on.
    """

    def __init__(self, namespace: str, listen_to_sound: bool = True) -> None:
        """Begin to listen.

        Args:
            namespace: of the graph.
            listen_to_sound: whether to read topic audio.
        """
        self.spectrograms: list[StampedMessage] = []
        self.tracks: list[StampedMessage] = []
        self.sound: list[SoundRun] = []
        self.latency_ms: list[tuple[float, float]] = []
        self.statuses: dict[str, list[Status]] = {}
        self.failure: Exception | None = None
        self._namespace = namespace
        self._rate_hz = 44100
        # A context of its own: another graph, in another domain, may be watched beside it.
        self._context = Context()
        self._context.init(args=[])
        self._node = Node('witness', namespace=namespace, context=self._context)
        subscribe = self._node.create_subscription
        subscribe(Image, 'spectrogram', self._on_spectrogram, qos.ASK_SPECTROGRAM, raw=True)
        subscribe(Detection2DArray, 'tracks', self._on_tracks, qos.RESULTS)
        subscribe(Float64, 'debug/latency_ms', self._on_latency, 50)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)
        if listen_to_sound:
            subscribe(Image, 'audio', self._on_audio, QoSProfile(depth=200))
        self._clock_offset_s = 0.0
        self._clock_stopped_s: float | None = None
        self._thread = threading.Thread(target=self._spin, name='witness', daemon=True)
        self._thread.start()

    def status(self, node: str) -> Status | None:
        """The newest diagnostics of a node."""
        known = self.statuses.get(node)
        return known[-1] if known else None

    def find_status(self, node: str, words: str, since_s: float) -> Status | None:
        """The first diagnostics of a node after a time that hold these words."""
        for status in list(self.statuses.get(node, ())):
            if status.at_s >= since_s and words in status.sentence:
                return status
        return None

    def publisher(self, kind: Any, topic: str, profile: QoSProfile | int = 10) -> Publisher:
        """A publisher in the graph's namespace."""
        return self._node.create_publisher(kind, topic, profile)

    def subscribe(self, kind: Any, topic: str, take: Any, profile: QoSProfile | int = 10) -> Any:
        """Listen to one more topic."""
        return self._node.create_subscription(kind, topic, take, profile)

    def destroy(self, entity: Any) -> None:
        """Take back a publisher or a subscription."""
        if isinstance(entity, Publisher):
            self._node.destroy_publisher(entity)
        else:
            self._node.destroy_subscription(entity)

    def count_publishers(self, topic: str) -> int:
        """How many publishers a topic of the graph has."""
        return self._node.count_publishers(self._node.resolve_topic_name(topic))

    def topics(self) -> dict[str, list[str]]:
        """Types by full name of every topic that anyone has."""
        return dict(self._node.get_topic_names_and_types())

    def begin_clock(self, period_s: float = 0.01) -> None:
        """Publish ``/clock``: the system's time, until `move_clock` or `stop_clock`."""
        publisher = self._node.create_publisher(Clock, '/clock', qos.RESULTS)

        def tell() -> None:  # in a thread of its own: a clock waits for nobody
            with suppress(Exception):  # the context has ended
                while self._context.ok():
                    publisher.publish(Clock(clock=encode_stamp(round(self.clock_s() * 1e9))))
                    time.sleep(period_s)

        threading.Thread(target=tell, name='clock', daemon=True).start()

    def clock_s(self) -> float:
        """What ``/clock`` says now."""
        now_s = time.time() if self._clock_stopped_s is None else self._clock_stopped_s
        return now_s + self._clock_offset_s

    def move_clock(self, by_s: float) -> None:
        """Let ``/clock`` jump."""
        self._clock_offset_s += by_s

    def stop_clock(self) -> None:
        """Let ``/clock`` stand still; it is published all the same."""
        self._clock_stopped_s = time.time()

    def go_on_clock(self) -> None:
        """Let ``/clock`` go on where it stood."""
        self._clock_offset_s -= time.time() - self._clock_stopped_s
        self._clock_stopped_s = None

    def clear(self) -> None:
        """Forget everything heard so far."""
        for heard in (self.spectrograms, self.tracks, self.sound, self.latency_ms):
            heard.clear()
        self.statuses.clear()

    def close(self) -> None:
        """End listening and ROS."""
        self._context.try_shutdown()
        self._thread.join(5)

    def _spin(self) -> None:
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        try:
            while self._context.ok():
                executor.spin_once()
        except ExternalShutdownException:
            pass
        except Exception as error:
            if self._context.ok():
                self.failure = error  # else what is waited for would only seem not to come
                raise

    def _on_spectrogram(self, data: bytes) -> None:
        # Only the stamp is wanted of 1.8 MB: it stands first, after the 4 bytes of CDR's head.
        order = '<' if data[1] else '>'
        seconds, rest = struct.unpack_from(f'{order}iI', data, 4)
        self.spectrograms.append(StampedMessage(time.monotonic(), seconds * 1_000_000_000 + rest))

    def _on_tracks(self, message: Detection2DArray) -> None:
        found, ids = decode_detections(message)
        boxes = dict(zip(ids, found.boxes_px, strict=True))
        self.tracks.append(StampedMessage(time.monotonic(), stamp_ns(message), boxes))

    def _on_audio(self, message: Image) -> None:
        now_s, first_ns = time.monotonic(), stamp_ns(message)
        for run in read_marks(decode_sound(message, 'audio')):
            begin_ns = first_ns + round(run.index * 1e9 / self._rate_hz)
            self.sound.append(SoundRun(now_s, begin_ns, run.sample, run.count))

    def _on_latency(self, message: Float64) -> None:
        self.latency_ms.append((time.monotonic(), message.data))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            name = status.name.removeprefix(f'{self._namespace}/')
            entry = Status(time.monotonic(), status.level[0], status.message, values)
            self.statuses.setdefault(name, []).append(entry)
