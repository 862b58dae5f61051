"""Observe a camera of the running graph for a few seconds: pictures, camera_info, static TF."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from avdet_ros.bags.camera_info import info_topic, is_calibrated
from avdet_ros.bags.transforms import StaticTransforms
from avdet_ros.checkup.camera import CameraSeen
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_picture, stamp_ns
from avdet_ros.nodes import qos
from avdet_ros.nodes.shutdown import until_ros_ends

DISCOVERY_S = 1.5
"""Time within which other nodes are discovered."""

ENOUGH_PICTURES = 10

_KINDS = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}
_NO_CAMERAS = 'audio', 'spectrogram', 'overlay', 'spectrogram_image'
_ASK = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def look_at_camera(namespace: str, image: str, seconds: float) -> CameraSeen:
    """Receive a camera's messages for some seconds.

    Args:
        namespace: namespace of the nodes.
        image: the camera's topic; '' takes the only one there is.
        seconds: longest time to listen.
    """
    rclpy.init(args=[])
    node = None
    seen = CameraSeen(image)
    try:
        with until_ros_ends():
            node = Node('doctor', namespace=namespace)
            _spin(node, DISCOVERY_S)
            seen = _look(node, image, seconds)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return seen


def _look(node: Node, image: str, seconds: float) -> CameraSeen:
    topics = {
        name: kind
        for name, kinds in node.get_topic_names_and_types()
        for kind in kinds
        if kind in _KINDS
        and name.rsplit('/', 1)[-1] not in _NO_CAMERAS
        and node.count_publishers(name)
    }
    topic = node.resolve_topic_name(image) if image else ''
    if not topic and len(topics) == 1:
        (topic,) = topics
    others = sorted(set(topics) - {topic})
    if topic not in topics:
        return CameraSeen(topic, others=others)
    transforms = StaticTransforms()
    pictures: list[tuple[tuple[int, int], str]] = []
    ages_s: list[float] = []
    infos: list[Any] = []

    def on_picture(message: Any) -> None:
        now_ns = node.get_clock().now().nanoseconds
        stamp = stamp_ns(message)
        try:
            picture = decode_picture(message, topic)
        except AvdetError as error:
            node.get_logger().warning(str(error), once=True)
            return
        ages_s.append(1e-9 * (now_ns - stamp) if stamp else float('nan'))
        pictures.append(((picture.shape[1], picture.shape[0]), message.header.frame_id))

    def on_info(message: Any) -> None:
        if is_calibrated(message):
            infos.append(message)

    node.create_subscription(_KINDS[topics[topic]], topic, on_picture, _ASK)
    node.create_subscription(CameraInfo, info_topic(topic), on_info, _ASK)
    try:
        from tf2_msgs.msg import TFMessage

        node.create_subscription(TFMessage, '/tf_static', transforms.add, qos.LATCHED_OF_ALL)
    except ImportError:
        node.get_logger().warning('package tf2_msgs is not installed: /tf_static is not read')
    deadline = time.monotonic() + seconds
    while rclpy.ok() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(pictures) >= ENOUGH_PICTURES and infos and transforms.has(pictures[0][1]):
            break
    size, frame_id = pictures[-1] if pictures else (None, '')
    info = infos[-1] if infos else None
    return CameraSeen(topic, size, frame_id, tuple(ages_s), info, transforms, others)


def _spin(node: Node, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while rclpy.ok() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
