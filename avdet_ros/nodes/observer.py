"""Listens to a running graph and keeps what a summary of it needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_detections, decode_picture, stamp_ns
from avdet_ros.nodes import qos

Boxes = tuple[Detections, list[str]]


class Observer:
    """A node in a thread that remembers results.

    Attributes:
        detections: boxes by stamp in nanoseconds.
        tracks: the same with identities.
        truth: the same of the simulation.
        latency_ms: sound to tracks, one a window.
        status: newest diagnostics by node name: level, message, values.
    """

    def __init__(self, namespace: str, on_picture: Callable[[np.ndarray], None]) -> None:
        """Start ROS in this process and subscribe.

        Args:
            namespace: of the graph.
            on_picture: gets each overlay picture, in the thread.
        """
        self.detections: dict[int, Boxes] = {}
        self.tracks: dict[int, Boxes] = {}
        self.truth: dict[int, Boxes] = {}
        self.latency_ms: list[float] = []
        self.status: dict[str, tuple[int, str, dict[str, str]]] = {}
        self._clients: dict[str, Client] = {}
        self._on_picture = on_picture
        self._pictures: deque[Image] = deque(maxlen=30)
        self._pictured = threading.Event()
        self._ending = False
        # The command that listens handles signals itself.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node('observer', namespace=namespace)
        for topic in ('detections', 'tracks', 'truth'):
            self._keep(topic, getattr(self, topic))
        subscribe = self._node.create_subscription
        subscribe(Float64, 'debug/latency_ms', self._on_latency, 50)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)
        subscribe(Image, 'overlay', self._on_overlay, qos.ASK_SPECTROGRAM)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._painter = threading.Thread(target=self._decode_pictures, daemon=True)
        self._thread.start()
        self._painter.start()

    def enable(self, node: str, timeout_s: float) -> None:
        """Activate a node.

        Raises:
            AvdetError: it does not come up; the message is the node's own.
        """
        # Kept from one try to the next: finding the server can take longer than one of them.
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

    def matched(self, topics: dict[str, int]) -> bool:
        """Whether every topic has as many subscribers, from wherever."""
        return all(
            self._node.count_subscribers(self._node.resolve_topic_name(topic)) >= count
            for topic, count in topics.items()
        )

    def publishers(self, topics: tuple[str, ...]) -> bool:
        """Whether every topic has a publisher."""
        names = (self._node.resolve_topic_name(topic) for topic in topics)
        return all(self._node.count_publishers(name) for name in names)

    def close(self) -> None:
        """End ROS in this process."""
        self._ending = True
        self._pictured.set()
        rclpy.try_shutdown()
        self._thread.join(5)
        self._painter.join(5)

    def _keep(self, topic: str, place: dict[int, Boxes]) -> None:
        def take(message: Detection2DArray) -> None:
            place[stamp_ns(message)] = decode_detections(message)

        self._node.create_subscription(Detection2DArray, topic, take, 50)

    def _spin(self) -> None:
        try:
            rclpy.spin(self._node)
        except ExternalShutdownException:
            pass
        except Exception:
            if not self._ending:
                raise

    def _on_latency(self, message: Float64) -> None:
        self.latency_ms.append(message.data)

    def _on_overlay(self, message: Image) -> None:
        self._pictures.append(message)
        self._pictured.set()

    def _decode_pictures(self) -> None:
        while not self._ending:
            self._pictured.wait()
            self._pictured.clear()
            while self._pictures:
                self._on_picture(decode_picture(self._pictures.popleft(), 'overlay'))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            self.status[status.name] = (status.level[0], status.message, values)
