"""Record what a running graph does and when, for the demo, benches, fault injection and soaks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
import json
import struct
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64, String
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.watermark import read_marks
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    decode_detections,
    decode_picture,
    decode_sound,
    stamp_ns,
)
from avdet_ros.messages.encode import encode_stamp
from avdet_ros.nodes import qos
from avdet_ros.nodes.worker import LatestValueWorker

PICTURES_WAITING = 30
"""Overlay pictures that wait to be decoded; older ones are dropped."""


@dataclass(frozen=True)
class Status:
    """One node's diagnostics at one time.

    Attributes:
        at_s: `time.monotonic` of its arrival.
        level: 0 OK, 1 WARN, 2 ERROR.
        sentence: its message.
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
        found: boxes and scores, for messages that have any.
        ids: their identities.
    """

    at_s: float
    stamp_ns: int
    found: Detections = field(default_factory=Detections)
    ids: tuple[str, ...] = ()

    @property
    def boxes(self) -> dict[str, np.ndarray]:
        """Boxes by identity."""
        return dict(zip(self.ids, self.found.boxes_px, strict=True))


@dataclass(frozen=True)
class SoundRun:
    """Consecutive samples of marked sound in one message.

    Attributes:
        at_s: `time.monotonic` of its arrival.
        stamp_ns: ROS time that the capture gives the first sample.
        sample: number of the first sample by its mark, see `avdet_ros.audio.watermark`.
        count: number of samples.
    """

    at_s: float
    stamp_ns: int
    sample: int
    count: int


class GraphMonitor:
    """A node in a thread that records messages as they arrive, and publishes on request.

    Attributes:
        spectrograms: stamps of windows' features, in order of arrival.
        detections: boxes, in order of arrival.
        tracks: the same with identities.
        truth: the same of the simulation.
        sound: runs of marked sound.
        latency_ms: (arrival, milliseconds) from sound to tracks.
        steps: by a window's end (nanoseconds) and (node, step), when the step was done,
            milliseconds after that end.
        statuses: diagnostics by node's name without the namespace, oldest first.
        failure: exception that ended the thread, None while it runs.
    """

    def __init__(
        self,
        namespace: str,
        topics: Collection[str] = ('spectrogram', 'tracks', 'audio'),
        on_picture: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        """Subscribe; diagnostics and latencies are always recorded.

        Args:
            namespace: namespace of the graph.
            topics: which of spectrogram, detections, tracks, truth, audio and debug/steps to
                record as well.
            on_picture: receives each overlay picture, in a separate thread; None: no pictures.
        """
        self.spectrograms: list[StampedMessage] = []
        self.detections: list[StampedMessage] = []
        self.tracks: list[StampedMessage] = []
        self.truth: list[StampedMessage] = []
        self.sound: list[SoundRun] = []
        self.latency_ms: list[tuple[float, float]] = []
        self.steps: dict[int, dict[tuple[str, str], float]] = {}
        self.statuses: dict[str, list[Status]] = {}
        self.failure: Exception | None = None
        self._namespace = namespace
        self._rate_hz = 44100
        self._clients: dict[str, Client] = {}
        self._on_picture = on_picture
        # A separate context, so that a graph in another domain can be watched at the same time.
        self._context = Context()
        self._context.init(args=[])
        self._node = Node('graph_monitor', namespace=namespace, context=self._context)
        subscribe = self._node.create_subscription
        for name in ('detections', 'tracks', 'truth'):
            if name in topics:
                take = partial(self._on_boxes, getattr(self, name))
                subscribe(Detection2DArray, name, take, 50)
        if 'spectrogram' in topics:
            subscribe(Image, 'spectrogram', self._on_spectrogram, qos.ASK_SPECTROGRAM, raw=True)
        if 'audio' in topics:
            subscribe(Image, 'audio', self._on_audio, QoSProfile(depth=200))
        if 'debug/steps' in topics:
            subscribe(String, 'debug/steps', self._on_steps, 50)
        subscribe(Float64, 'debug/latency_ms', self._on_latency, 50)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)
        self._pictures: LatestValueWorker[Image] | None = None
        if on_picture is not None:
            self._pictures = LatestValueWorker(
                'pictures', PICTURES_WAITING, self._decode, self._failed, self._failed
            )
            self._pictures.start()
            subscribe(Image, 'overlay', self._pictures.put, qos.ASK_SPECTROGRAM)
        self._clock_offset_s = 0.0
        self._clock_stopped_s: float | None = None
        self._thread = threading.Thread(target=self._spin, name='graph monitor', daemon=True)
        self._thread.start()

    def enable(self, node: str, timeout_s: float) -> None:
        """Activate a node.

        Args:
            node: its name without the namespace.
            timeout_s: longest wait.

        Raises:
            AvdetError: it does not come up; the message is the node's own.
        """
        # Kept between attempts: discovering the server can take longer than one attempt.
        if node not in self._clients:
            self._clients[node] = self._node.create_client(SetBool, f'{node}/enable')
        client = self._clients[node]
        if not client.wait_for_service(timeout_s):
            raise AvdetError(f'{node} did not come up within {timeout_s:g} s')
        future = client.call_async(SetBool.Request(data=True))
        until = time.monotonic() + timeout_s
        while not future.done():
            if time.monotonic() > until:
                raise AvdetError(f'{node} did not answer within {timeout_s:g} s')
            time.sleep(0.01)
        answer = future.result()
        if not answer.success:
            raise AvdetError(f'{node}: {answer.message}')

    def status(self, node: str) -> Status | None:
        """Return the newest diagnostics of a node."""
        known = self.statuses.get(node)
        return known[-1] if known else None

    def find_status(self, node: str, words: str, since_s: float) -> Status | None:
        """Return a node's first diagnostics since a time that contain these words."""
        for status in list(self.statuses.get(node, ())):
            if status.at_s >= since_s and words in status.sentence:
                return status
        return None

    def publisher(self, kind: Any, topic: str, profile: QoSProfile | int = 10) -> Publisher:
        """Create a publisher in the graph's namespace."""
        return self._node.create_publisher(kind, topic, profile)

    def subscribe(self, kind: Any, topic: str, take: Any, profile: QoSProfile | int = 10) -> Any:
        """Subscribe to one more topic."""
        return self._node.create_subscription(kind, topic, take, profile)

    def destroy(self, entity: Any) -> None:
        """Destroy a publisher or a subscription."""
        if isinstance(entity, Publisher):
            self._node.destroy_publisher(entity)
        else:
            self._node.destroy_subscription(entity)

    def count_publishers(self, topic: str) -> int:
        """How many publishers a topic of the graph has."""
        return self._node.count_publishers(self._node.resolve_topic_name(topic))

    def has_subscribers(self, counts: Mapping[str, int]) -> bool:
        """Whether every topic has at least this many subscribers."""
        return all(
            self._node.count_subscribers(self._node.resolve_topic_name(topic)) >= count
            for topic, count in counts.items()
        )

    def topics(self) -> dict[str, list[str]]:
        """Return the message types of all topics in the graph, by full name."""
        return dict(self._node.get_topic_names_and_types())

    def begin_clock(self, period_s: float = 0.01) -> None:
        """Publish ``/clock``, with the system's time until `move_clock` or `stop_clock`."""
        publisher = self._node.create_publisher(Clock, '/clock', qos.RESULTS)

        def publish() -> None:  # in a separate thread: a clock must not wait
            with suppress(Exception):  # the context has ended
                while self._context.ok():
                    publisher.publish(Clock(clock=encode_stamp(round(self.clock_s() * 1e9))))
                    time.sleep(period_s)

        threading.Thread(target=publish, name='clock', daemon=True).start()

    def clock_s(self) -> float:
        """The time on ``/clock`` now."""
        now_s = time.time() if self._clock_stopped_s is None else self._clock_stopped_s
        return now_s + self._clock_offset_s

    def move_clock(self, by_s: float) -> None:
        """Make ``/clock`` jump."""
        self._clock_offset_s += by_s

    def stop_clock(self) -> None:
        """Stop the time on ``/clock``, which is still published."""
        self._clock_stopped_s = time.time()

    def go_on_clock(self) -> None:
        """Resume the time on ``/clock`` where it stopped."""
        if self._clock_stopped_s is not None:
            self._clock_offset_s -= time.time() - self._clock_stopped_s
        self._clock_stopped_s = None

    def clear(self) -> None:
        """Forget everything recorded so far."""
        for kept in (self.spectrograms, self.detections, self.tracks, self.truth, self.sound):
            kept.clear()
        self.latency_ms.clear()
        self.steps.clear()
        self.statuses.clear()

    def close(self) -> None:
        """End the thread and its ROS context."""
        self._context.try_shutdown()
        self._thread.join(5)
        self._node.destroy_node()  # else others see its subscriptions while this object is kept
        if self._pictures is not None:
            self._pictures.stop()

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
                self.failure = error  # else it would look like a message that does not come
                raise

    def _on_spectrogram(self, data: bytes) -> None:
        # Only the stamp of the 1.8 MB is needed. It comes first, after CDR's header of 4 bytes.
        order = '<' if data[1] else '>'
        seconds, rest = struct.unpack_from(f'{order}iI', data, 4)
        self.spectrograms.append(StampedMessage(time.monotonic(), seconds * 1_000_000_000 + rest))

    def _on_boxes(self, kept: list[StampedMessage], message: Detection2DArray) -> None:
        found, ids = decode_detections(message)
        kept.append(StampedMessage(time.monotonic(), stamp_ns(message), found, tuple(ids)))

    def _decode(self, message: Image) -> None:
        if self._on_picture is not None:
            self._on_picture(decode_picture(message, 'overlay'))

    def _failed(self, error: Exception) -> None:
        self.failure = error

    def _on_audio(self, message: Image) -> None:
        now_s, first_ns = time.monotonic(), stamp_ns(message)
        for run in read_marks(decode_sound(message, 'audio')):
            begin_ns = first_ns + round(run.index * 1e9 / self._rate_hz)
            self.sound.append(SoundRun(now_s, begin_ns, run.sample, run.count))

    def _on_latency(self, message: Float64) -> None:
        self.latency_ms.append((time.monotonic(), message.data))

    def _on_steps(self, message: String) -> None:
        content = json.loads(message.data)
        window = self.steps.setdefault(content['end_ns'], {})
        window |= {(content['node'], step): ms for step, ms in content['done_ms'].items()}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            name = status.name.removeprefix(f'{self._namespace}/')
            entry = Status(time.monotonic(), status.level[0], status.message, values)
            self.statuses.setdefault(name, []).append(entry)
