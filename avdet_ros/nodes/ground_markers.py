"""Tracks in metres as RViz markers: 90 % ellipses on the road, boxes and trails.

An arrow with a description points to each vehicle that is hidden from the camera.
"""

from __future__ import annotations

from collections import deque
import math

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from avdet_ros.drawing.style import colour
from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.hidden_points import decode_hidden, hidden_words
from avdet_ros.tracking.ground_track import CHI2_90

THIN_M = 0.03
"""Thickness of an ellipse on the road."""

_LIFETIME = Duration(nanosec=500_000_000)
_MOST_POINTS = 512
_MOST_IDS = 1 << 31


class GroundMarkers:
    """Makes markers, and remembers past positions of vehicles, in base_link at that time."""

    def __init__(self) -> None:
        """Begin without past positions."""
        self._trails: dict[str, deque[tuple[int, float, float]]] = {}
        self._newest_ns = 0

    def make(self, message: Detection3DArray, trail_s: float) -> MarkerArray:
        """Make one ellipse, box, label and trail per vehicle.

        Args:
            message: message on topic `tracks_3d`.
            trail_s: length of the trail, seconds.
        """
        now_ns = stamp_ns(message)
        if now_ns < self._newest_ns:
            self._trails.clear()
        self._newest_ns = now_ns
        out = MarkerArray()
        for entry in message.detections:
            number = int(entry.id) if entry.id.isdecimal() and len(entry.id) < 10 else 0
            pose, size = entry.bbox.center, entry.bbox.size
            trail = self._trails.setdefault(entry.id, deque(maxlen=_MOST_POINTS))
            trail.append((now_ns, pose.position.x, pose.position.y))
            while trail[0][0] < now_ns - trail_s * 1e9:
                trail.popleft()
            ellipse = _marker(message, 'ellipse', Marker.CYLINDER, number, 0.35)
            covariance = np.asarray(entry.results[0].pose.covariance).reshape(6, 6)[:2, :2]
            long, short, angle = half_axes(covariance)
            ellipse.pose.position = Point(x=pose.position.x, y=pose.position.y, z=THIN_M / 2)
            ellipse.pose.orientation.z = math.sin(angle / 2)
            ellipse.pose.orientation.w = math.cos(angle / 2)
            ellipse.scale.x, ellipse.scale.y, ellipse.scale.z = 2 * long, 2 * short, THIN_M
            box = _marker(message, 'box', Marker.CUBE, number, 0.7)
            box.pose, box.scale = pose, size
            label = _marker(message, 'label', Marker.TEXT_VIEW_FACING, number, 1.0)
            away_m = math.hypot(pose.position.x, pose.position.y)
            label.text, label.scale.z = f'#{entry.id} {away_m:.0f} m', 1.2
            label.pose.position = Point(
                x=pose.position.x, y=pose.position.y, z=pose.position.z + size.z
            )
            out.markers += [ellipse, box, label]
            if len(trail) > 1:
                line = _marker(message, 'trail', Marker.LINE_STRIP, number, 0.8)
                line.scale.x = 0.15
                line.points = [Point(x=x, y=y, z=THIN_M) for _, x, y in trail]
                out.markers.append(line)
        alive = {entry.id for entry in message.detections}
        self._trails = {name: trail for name, trail in self._trails.items() if name in alive}
        return out


def hidden_markers(message: PointCloud2) -> MarkerArray:
    """Make an arrow from the ego vehicle's middle and a label for each hidden vehicle.

    Args:
        message: message on topic `hidden`.

    Raises:
        AvdetError: the message is not in the topic's format.
    """
    out = MarkerArray()
    for point in decode_hidden(message):
        x, y, z = (float(point[name]) for name in 'xyz')
        arrow = _marker(message, 'hidden', Marker.ARROW, int(point['id']) % _MOST_IDS, 0.9)
        arrow.points = [Point(z=z), Point(x=x, y=y, z=z)]
        arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.2, 0.8, 1.5  # shaft, head and its length
        label = _marker(message, 'hidden_words', Marker.TEXT_VIEW_FACING, arrow.id, 1.0)
        label.text, label.scale.z = hidden_words(point), 1.2
        label.pose.position = Point(x=x, y=y, z=z + 2.0)
        out.markers += [arrow, label]
    return out


def _marker(
    message: Detection3DArray | PointCloud2, name: str, kind: int, number: int, alpha: float
) -> Marker:
    """Make a marker in the colour of its identity."""
    blue, green, red = (part / 255 for part in colour(number))
    marker = Marker(header=message.header, ns=name, id=number, type=kind)
    marker.pose.orientation.w = 1.0
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    marker.lifetime = _LIFETIME
    return marker


def half_axes(covariance: np.ndarray) -> tuple[float, float, float]:
    """Return the half axes of a (2, 2) covariance's 90 % ellipse, and the longer one's angle."""
    values, vectors = np.linalg.eigh(covariance)
    long, short = np.sqrt(np.maximum(values[::-1], 1e-6) * CHI2_90)
    return float(long), float(short), math.atan2(vectors[1, 1], vectors[0, 1])
