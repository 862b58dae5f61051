"""Encode numpy arrays as messages without ROS, for bags written offline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.decode import DETECTIONS, IMAGE, ODOMETRY, TEMPERATURE
from avdet_ros.messages.places import covariance36, find_places
from avdet_ros.messages.typestore import typestore
from avdet_ros.rig import Rig
from avdet_ros.tracking.track import Track


def make_header(stamp: int, frame_id: str) -> Any:
    """Make a ``std_msgs/Header`` from nanoseconds and a frame."""
    types = typestore().types
    time = types['builtin_interfaces/msg/Time'](*divmod(stamp, 1_000_000_000))
    return types['std_msgs/msg/Header'](time, frame_id)


def make_image(header: Any, encoding: str, height: int, width: int, data: np.ndarray) -> Any:
    """Make a ``sensor_msgs/Image`` whose data are an array's bytes, row by row."""
    raw = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
    step = raw.size // height if height else 0
    return typestore().types[IMAGE](header, height, width, encoding, 0, step, raw)


def make_sound(header: Any, block: np.ndarray) -> Any:
    """Encode a block of sound, (samples, channels) int16 or float32."""
    encoding = f'{"16S" if block.dtype == np.int16 else "32F"}C{block.shape[1]}'
    return make_image(header, encoding, len(block), 1, block)


def make_spectrogram(header: Any, features: np.ndarray) -> Any:
    """Encode a window's features, (channels, n_mels, frames) float32."""
    channels, n_mels, frames = features.shape
    pixels = np.ascontiguousarray(features.transpose(1, 2, 0), np.float32)
    return make_image(header, f'32FC{channels}', n_mels, frames, pixels)


def make_odometry(
    header: Any,
    child_frame_id: str,
    pose: tuple[float, float, float],
    ahead_mps: float,
    turning_rad_s: float,
) -> Any:
    """Make a ``nav_msgs/Odometry`` of a vehicle that moves in the plane.

    Args:
        header: stamp and fixed frame.
        child_frame_id: the vehicle's frame.
        pose: x and y in metres, yaw in radians.
        ahead_mps: speed along the vehicle's x axis.
        turning_rad_s: yaw rate, positive to the left.
    """
    types = typestore().types
    x_m, y_m, yaw_rad = pose
    vector, covariance = types['geometry_msgs/msg/Vector3'], np.zeros(36)
    at = types['geometry_msgs/msg/Pose'](
        types['geometry_msgs/msg/Point'](x_m, y_m, 0.0),
        types['geometry_msgs/msg/Quaternion'](
            0.0, 0.0, math.sin(yaw_rad / 2), math.cos(yaw_rad / 2)
        ),
    )
    twist = types['geometry_msgs/msg/Twist'](
        vector(ahead_mps, 0.0, 0.0), vector(0.0, 0.0, turning_rad_s)
    )
    return types[ODOMETRY](
        header,
        child_frame_id,
        types['geometry_msgs/msg/PoseWithCovariance'](at, covariance),
        types['geometry_msgs/msg/TwistWithCovariance'](twist, covariance),
    )


def make_temperature(header: Any, celsius: float) -> Any:
    """Make a ``sensor_msgs/Temperature``."""
    return typestore().types[TEMPERATURE](header, celsius, 0.0)


def make_detections(
    header: Any, found: Detections, class_id: str = '0', rig: Rig | None = None
) -> Any:
    """Make a ``vision_msgs/Detection2DArray`` from detections, without ids.

    Args:
        header: see `avdet_ros.messages.encode.encode_detections`.
        found: the detections.
        class_id: number of the class in `label_info`.
        rig: converts ranges and bearings, if there are any, to poses; None leaves them empty.
    """
    places = None if rig is None else find_places(found, rig)
    entries = [
        _detection(
            header,
            box,
            score,
            '',
            class_id,
            None if places is None else (places[0][i], places[1][i]),
        )
        for i, (box, score) in enumerate(zip(found.boxes_px, found.scores, strict=True))
    ]
    return typestore().types[DETECTIONS](header, entries)


def make_tracks(header: Any, tracks: list[Track], class_id: str = '0') -> Any:
    """Make a ``vision_msgs/Detection2DArray`` from tracks, with their ids."""
    entries = [
        _detection(header, track.box_px, track.score, str(track.track_id), class_id)
        for track in tracks
    ]
    return typestore().types[DETECTIONS](header, entries)


def _detection(
    header: Any,
    box_px: np.ndarray,
    score: float,
    track_id: str,
    class_id: str,
    place: tuple[np.ndarray, np.ndarray] | None = None,
) -> Any:
    types = typestore().types
    x_min, y_min, x_max, y_max = (float(edge) for edge in box_px)
    position = types['vision_msgs/msg/Point2D']((x_min + x_max) / 2, (y_min + y_max) / 2)
    box = types['vision_msgs/msg/BoundingBox2D'](
        types['vision_msgs/msg/Pose2D'](position, 0.0), x_max - x_min, y_max - y_min
    )
    at = (0.0, 0.0, 0.0) if place is None else place[0].tolist()
    pose = types['geometry_msgs/msg/PoseWithCovariance'](
        types['geometry_msgs/msg/Pose'](
            types['geometry_msgs/msg/Point'](*at),
            types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0),
        ),
        np.zeros(36) if place is None else covariance36(place[1]),
    )
    result = types['vision_msgs/msg/ObjectHypothesisWithPose'](
        types['vision_msgs/msg/ObjectHypothesis'](class_id, float(score)), pose
    )
    return types['vision_msgs/msg/Detection2D'](header, [result], box, track_id)
