"""Show the running nodes on the live page."""

from __future__ import annotations

from typing import Any

import numpy as np
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray, Detection3DArray

from avdet_ros.bags.show import LEVEL_SAMPLES, NUMBERS
from avdet_ros.drawing.live_page import LivePage
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    decode_detections,
    decode_ground,
    decode_picture,
    decode_sound,
    decode_spectrogram,
    stamp_ns,
)
from avdet_ros.messages.hidden_points import hidden_lines
from avdet_ros.nodes import qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.shutdown import until_ros_ends

_LOOK_S = 1.0
"""Time between checks of the QoS that publishers offer."""


class Viewer(Node):
    """Shows published messages on a page; invalid messages are skipped."""

    def __init__(self, page: LivePage, namespace: str, image: str) -> None:
        """Subscribe.

        Args:
            page: page to show them on.
            namespace: namespace of the nodes.
            image: the camera's topic, relative or full.
        """
        super().__init__('viewer', namespace=namespace)
        self._page = page
        self._pending: list[np.ndarray] = []
        self._newest_ns = 0
        self.shown = 0
        self._adaptive: list[AdaptiveSubscription] = []
        self.create_timer(_LOOK_S, self._adapt, clock=Clock(clock_type=ClockType.STEADY_TIME))
        stream, results = qos.ASK_STREAM, qos.RESULTS
        picture = CompressedImage if image.endswith('/compressed') else Image
        self._subscribe(picture, image, self._on_picture, stream)
        self._subscribe(Image, 'audio', self._on_audio, qos.ASK_SOUND)
        self._subscribe(Image, 'spectrogram', self._on_spectrogram, qos.ASK_SPECTROGRAM)
        for name in ('detections', 'tracks', 'truth'):
            self._subscribe(Detection2DArray, name, self._boxes(name), results)
        self._subscribe(Detection3DArray, 'tracks_3d', self._on_ground, results)
        self._subscribe(PointCloud2, 'hidden', self._on_hidden, results)
        for name in NUMBERS:
            self.create_subscription(Float64, f'debug/{name}', self._number(name), 10)

    def _subscribe(self, kind: Any, topic: str, take: Any, profile: Any) -> None:
        def guarded(message: Any) -> None:
            stamp = stamp_ns(message)
            self._newest_ns = max(self._newest_ns, stamp)
            self._page.at(stamp)
            try:
                take(message)
                self.shown += 1
            except AvdetError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)

        self._adaptive.append(AdaptiveSubscription(self, kind, topic, guarded, profile))

    def _adapt(self) -> None:
        for subscription in self._adaptive:
            if sentence := subscription.adapt():
                self.get_logger().warning(sentence)

    def _on_picture(self, message: Any) -> None:
        self._page.picture(decode_picture(message, 'image'))

    def _on_spectrogram(self, message: Image) -> None:
        self._page.sound(decode_spectrogram(message, 'spectrogram'))

    def _on_audio(self, message: Image) -> None:
        self._pending.append(decode_sound(message, 'audio'))
        if sum(map(len, self._pending)) >= LEVEL_SAMPLES:
            self._page.levels(np.concatenate(self._pending))
            self._pending.clear()

    def _on_ground(self, message: Detection3DArray) -> None:
        self._page.ground(stamp_ns(message) * 1e-9, decode_ground(message))

    def _on_hidden(self, message: PointCloud2) -> None:
        self._page.hidden(*hidden_lines(message))

    def _boxes(self, name: str) -> Any:
        def take(message: Detection2DArray) -> None:
            found, ids = decode_detections(message)
            self._page.boxes(name, found.boxes_px, found.scores, ids)

        return take

    def _number(self, name: str) -> Any:
        def take(message: Float64) -> None:
            if self._newest_ns:
                self._page.at(self._newest_ns)
                self._page.number(name.removesuffix('_ms'), message.data)

        return take


def view_live(page: LivePage, namespace: str, image: str) -> None:
    """Show the nodes until Ctrl-C; see `Viewer`."""
    rclpy.init(args=[])
    node = None
    try:
        with until_ros_ends():
            node = Viewer(page, namespace, image)
            rclpy.spin(node)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        page.close()
