"""Message types of the package's bags, for reading and writing them without ROS.

The standard types come with rosbags; vision_msgs (4.1.1, as in ROS 2 Jazzy) is defined here.
A type's hash follows from its fields' names, types and order, and endpoints communicate only if
their hashes are equal. So the definitions below match those of the public package exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from avdet_ros.errors import AvdetError

VISION_MSGS = {
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'vision_msgs/msg/BoundingBox2D': ('vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y'),
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'vision_msgs/msg/Detection2D': (
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id'
    ),
    'vision_msgs/msg/Detection2DArray': 'std_msgs/Header header\nDetection2D[] detections',
    'vision_msgs/msg/BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'vision_msgs/msg/Detection3D': (
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id'
    ),
    'vision_msgs/msg/Detection3DArray': 'std_msgs/Header header\nDetection3D[] detections',
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name',
    'vision_msgs/msg/LabelInfo': (
        'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold'
    ),
}
"""Field lists by message type."""


@cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy's common interfaces and of vision_msgs."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for name, text in VISION_MSGS.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


def type_hash(msgtype: str) -> str:
    """Return a message type's RIHS01 hash, which endpoints compare before they communicate.

    Args:
        msgtype: e.g. ``sensor_msgs/msg/Image``.

    Raises:
        AvdetError: the type is not one of `typestore`.
    """
    known(msgtype)
    return typestore().hash_rihs01(msgtype)


def known(msgtype: str) -> str:
    """Return the type's name if `typestore` describes it.

    Raises:
        AvdetError: it does not.
    """
    if msgtype not in typestore().fielddefs:
        raise AvdetError(
            f'message type {msgtype}: expected one of the common interfaces of ROS 2 or of '
            f'vision_msgs, found an unknown one'
        )
    return msgtype


def serialize(message: Any) -> bytes:
    """Encode a message built from `typestore` types as CDR bytes, little endian."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))
