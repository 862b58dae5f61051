"""Tracks as wedges and boxes on the road, for RViz."""

from __future__ import annotations

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
import numpy as np
from scipy.spatial.transform import Rotation
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from avdet_ros.drawing.picture import Box
from avdet_ros.drawing.style import colour
from avdet_ros.drawing.trails import ground_place
from avdet_ros.rig import Camera

FARTHEST_M = 80.0
"""Largest distance at which a wedge ends."""

SHORT_M, LONG_M = 1.9, 4.4
"""Depth of a vehicle seen from its side, and from its front or back."""

_SIDE_VIEW_M = 3.0
_LIFETIME = Duration(nanosec=500_000_000)


def wedges(head: Header, boxes: list[Box], camera: Camera) -> MarkerArray:
    """Make one wedge, one box and one label per track, in the camera's optical frame.

    A wedge spans the bearings of its box's sides, on the road, from below the camera to where
    the box stands; there the box stands upright, see `cuboid`.

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
        solid = Marker(header=head, ns='vehicle', id=box.track_id, type=Marker.CUBE)
        centre, size, quaternion = cuboid(box.box_px, camera)
        solid.pose.position = Point(x=centre[0], y=centre[1], z=centre[2])
        turn = solid.pose.orientation
        turn.x, turn.y, turn.z, turn.w = quaternion
        solid.scale.x, solid.scale.y, solid.scale.z = size
        solid.color = ColorRGBA(r=red, g=green, b=blue, a=0.6)
        for marker in (wedge, solid, label):
            marker.lifetime = _LIFETIME
            message.markers.append(marker)
    return message


def cuboid(box_px: np.ndarray, camera: Camera) -> tuple[list[float], list[float], list[float]]:
    """Convert a box in the image to an upright box on the road.

    Its near face stands where the image box's lower edge meets the road and is as wide and high
    as the image box is there. The image does not show its depth: a face wider than a car is
    taken for its side.

    Args:
        box_px: (4,) image box.
        camera: projects it.

    Returns:
        centre: x, y, z in the camera's optical frame, metres.
        size: along the line of sight, across it, and upwards, metres.
        quaternion: x, y, z, w of those three directions in the optical frame.
    """
    place = ground_place(camera, box_px, FARTHEST_M)
    away = place - camera.position_m[:2]
    distance = max(float(np.hypot(*away)), 1e-6)
    bearing = float(np.arctan2(away[1], away[0]))
    # Sizes in pixels depend on the depth along the optical axis, which is less than the distance.
    depth = max(float(camera.rotation[2] @ [*away, -camera.position_m[2]]), 1.0)
    width = float(np.clip((box_px[2] - box_px[0]) * depth / camera.fx, 0.4, 15.0))
    height = float(np.clip((box_px[3] - box_px[1]) * depth / camera.fy, 0.4, 5.0))
    length = SHORT_M if width > _SIDE_VIEW_M else LONG_M
    middle = np.array([*(place + away / distance * length / 2), height / 2])
    centre = camera.rotation @ (middle - camera.position_m)
    turn = Rotation.from_matrix(camera.rotation) * Rotation.from_euler('z', bearing)
    return centre.tolist(), [length, width, height], turn.as_quat().tolist()


def _corners(box: Box, camera: Camera) -> list[Point]:
    """Return the wedge's apex, its left and right end, and the label's position."""
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
