"""Encode tracks in metres as Autoware messages, if autoware_perception_msgs is installed.

Autoware's tracker takes `DetectedObjects`, its prediction `TrackedObjects`. Both are in base_link
here; Autoware's modules that work on the map transform them by TF.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from std_msgs.msg import Header

from avdet_ros.messages.encode_ground import box_size, heading_of, pose_of
from avdet_ros.tracking.ground_track import GroundTrack


def autoware_messages() -> Any | None:
    """Return the module with Autoware's messages, or None if it is not installed."""
    try:
        from autoware_perception_msgs import msg
    except ImportError:
        return None
    return msg


def encode_detected(head: Header, tracks: list[GroundTrack]) -> Any:
    """Encode the vehicles as a ``DetectedObjects``.

    Raises:
        ImportError: the messages are not installed.
    """
    from autoware_perception_msgs import msg

    message = msg.DetectedObjects(header=head)
    for track in tracks:
        entry = msg.DetectedObject(existence_probability=track.score)
        _fill(entry, track, msg)
        entry.kinematics.has_position_covariance = True
        entry.kinematics.has_twist = True
        entry.kinematics.has_twist_covariance = True
        message.objects.append(entry)
    return message


def encode_tracked(head: Header, tracks: list[GroundTrack]) -> Any:
    """Encode the vehicles as a ``TrackedObjects``.

    Raises:
        ImportError: the messages are not installed.
    """
    from autoware_perception_msgs import msg

    message = msg.TrackedObjects(header=head)
    for track in tracks:
        entry = msg.TrackedObject(existence_probability=track.score)
        entry.object_id.uuid = uuid_of(track.track_id)
        _fill(entry, track, msg)
        message.objects.append(entry)
    return message


def uuid_of(track_id: int) -> list[int]:
    """Return 16 bytes that stand for an identity, always the same for the same identity."""
    return list(hashlib.sha256(f'avdet track {track_id}'.encode()).digest()[:16])


def _fill(entry: Any, track: GroundTrack, msg: Any) -> None:
    """Fill in class, kinematics and shape, which both messages share."""
    entry.classification = [
        msg.ObjectClassification(label=msg.ObjectClassification.CAR, probability=track.score)
    ]
    pose = pose_of(track)
    entry.kinematics.pose_with_covariance = pose
    heading, _ = heading_of(track)
    turn = _turn(heading)
    # Autoware's velocities are along the object's own axes.
    along = turn @ track.velocity_mps
    twist = entry.kinematics.twist_with_covariance
    twist.twist.linear.x, twist.twist.linear.y = along.tolist()
    whole = twist.covariance.reshape(6, 6)
    whole[:2, :2] = turn @ track.covariance[2:, 2:] @ turn.T
    kinds = type(entry.kinematics)
    entry.kinematics.orientation_availability = (
        kinds.AVAILABLE if pose.covariance[35] < 1.0 else kinds.UNAVAILABLE
    )
    entry.shape.type = msg.Shape.BOUNDING_BOX
    size = entry.shape.dimensions
    size.x, size.y, size.z = box_size(track)


def _turn(heading: float) -> np.ndarray:
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, sin], [-sin, cos]])
