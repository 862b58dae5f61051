"""Decode vehicles hidden from the camera, and describe them in words.

Like `avdet_ros.messages.decode`, this accepts messages of rclpy and of rosbags.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError

HIDDEN_POINT = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('bearing', '<f4'),
        ('bearing_rate', '<f4'),
        ('range_rate', '<f4'),
        ('std_range_rate', '<f4'),
        ('time_to_sight', '<f4'),
        ('std_time_to_sight', '<f4'),
        ('hidden', '<f4'),
        ('approaching', '<f4'),
        ('score', '<f4'),
        ('by', '<u4'),
        ('id', '<u4'),
    ]
)
"""A point of topic `hidden`: one vehicle; docs/tracks.md has the units."""

LIKELY = 0.8
"""Probability above which a vehicle is reported as coming nearer."""


def decode_hidden(message: Any) -> np.ndarray:
    """Decode the points of `encode_hidden`, (N,) of `HIDDEN_POINT`.

    Args:
        message: ``sensor_msgs/PointCloud2``.

    Raises:
        AvdetError: its points have another format, or are not finite.
    """
    data, size = bytes(message.data), HIDDEN_POINT.itemsize
    if message.point_step != size or len(data) != message.width * message.height * size:
        raise AvdetError(
            f'hidden: expected {message.width} x {message.height} points of {size} bytes, '
            f'found points of {message.point_step} and {len(data)} bytes'
        )
    points = np.frombuffer(data, HIDDEN_POINT)
    if not all(np.isfinite(points[name]).all() for name in HIDDEN_POINT.names or ()):
        raise AvdetError('hidden: expected finite numbers, found others')
    return points


def hidden_words(point: Any) -> str:
    """Describe one point of `decode_hidden` in words."""
    bearing_deg = round(math.degrees(point['bearing']))
    side = f'{abs(bearing_deg)} left' if bearing_deg > 0 else f'{abs(bearing_deg)} right'
    words = [f'#{point["id"]} heard, not seen', side if bearing_deg else 'ahead']
    if point['approaching'] > LIKELY:
        words.append('comes nearer')
    if point['time_to_sight'] >= 0:
        words.append(f'in sight in {point["time_to_sight"]:.1f} s')
    return ', '.join(words)


def hidden_lines(message: Any) -> tuple[np.ndarray, list[int], list[str]]:
    """Decode positions (N, 2) in metres, identities and descriptions from topic `hidden`.

    Raises:
        AvdetError: see `decode_hidden`.
    """
    points = decode_hidden(message)
    places_m = np.stack([points['x'], points['y']], axis=-1)
    return places_m, points['id'].tolist(), [hidden_words(point) for point in points]
