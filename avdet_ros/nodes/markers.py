"""Tracks as wedges on the road, for RViz."""

from __future__ import annotations

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
import numpy as np
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from avdet_ros.drawing.picture import Box
from avdet_ros.drawing.style import colour
from avdet_ros.drawing.trails import ground_place
from avdet_ros.rig import Camera

FARTHEST_M = 80.0
"""Wedges end here at the latest."""

_LIFETIME = Duration(nanosec=500_000_000)


def wedges(head: Header, boxes: list[Box], camera: Camera) -> MarkerArray:
    """One wedge and one label a track, in the camera's optical frame.

    A wedge spans the bearings of its box's sides, on the road, from below the camera to where
    the box stands.

    Args:
        head: frame_id is the camera's optical frame.
        boxes: the tracks.
        camera: projects them.
    """
    message = MarkerArray()
    clear = Marker(header=head, action=Marker.DELETEALL)
    message.markers.append(clear)
    for box in boxes:
        blue, green, red = (part / 255 for part in colour(box.track_id))
        near, left, right, middle = _corners(box, camera)
        wedge = Marker(header=head, ns='bearing', id=box.track_id, type=Marker.TRIANGLE_LIST)
        wedge.scale.x = wedge.scale.y = wedge.scale.z = 1.0
        wedge.points = [near, left, right]
        wedge.color = ColorRGBA(r=red, g=green, b=blue, a=0.45)
        label = Marker(header=head, ns='identity', id=box.track_id, type=Marker.TEXT_VIEW_FACING)
        label.scale.z = 1.2
        label.pose.position = middle
        label.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        label.text = f'#{box.track_id}'
        for marker in (wedge, label):
            marker.pose.orientation.w = 1.0
            marker.lifetime = _LIFETIME
            message.markers.append(marker)
    return message


def _corners(box: Box, camera: Camera) -> list[Point]:
    """Apex, left and right end, and the label's place."""
    foot = camera.position_m * [1, 1, 0]
    place = ground_place(camera, box.box_px, FARTHEST_M) - camera.position_m[:2]
    distance = np.hypot(*place)
    corners = [foot]
    middle_y = (box.box_px[1] + box.box_px[3]) / 2
    for x in (box.box_px[0], box.box_px[2]):
        ray = camera.directions([x, middle_y])
        ray = ray[:2] / max(np.hypot(*ray[:2]), 1e-9)
        corners.append(foot + [*(distance * ray), 0])
    corners.append(foot + [*place, 1.5])
    points = (np.array(corners) - camera.position_m) @ camera.rotation.T
    return [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in points]
