"""Encode tracks in metres as messages in base_link; docs/tracks.md describes their content."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point, PoseWithCovariance, PoseWithCovarianceStamped, Quaternion
import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from avdet_ros.messages.encode import CLASS_ID
from avdet_ros.messages.places import HEIGHT_STD_M, TURN_VARIANCE
from avdet_ros.tracking.ground_track import GroundTrack

SHORT_M, LONG_M = 1.9, 4.4
"""Depth of a vehicle seen from its side, and from its front or back."""

SIDE_VIEW_M = 3.0
"""A vehicle that appears wider than this is taken to be seen from its side."""

LEAST_HEADING_MPS = 2.0
"""Least speed at which a vehicle's velocity determines its heading."""

POINT = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('vx', '<f4'),
        ('vy', '<f4'),
        ('vz', '<f4'),
        ('std_x', '<f4'),
        ('std_y', '<f4'),
        ('std_vx', '<f4'),
        ('std_vy', '<f4'),
        ('score', '<f4'),
        ('id', '<u4'),
    ]
)
"""A point of `encode_points`: one track."""


def encode_ground(head: Header, tracks: list[GroundTrack]) -> Detection3DArray:
    """Encode vehicles as boxes with the covariance of their position.

    Args:
        head: stamp is the instant the positions are valid for, frame base_link.
        tracks: the vehicles.
    """
    message = Detection3DArray(header=head)
    for track in tracks:
        pose = pose_of(track)
        entry = Detection3D(header=head, id=str(track.track_id))
        hypothesis = ObjectHypothesisWithPose(pose=pose)
        hypothesis.hypothesis.class_id = CLASS_ID
        hypothesis.hypothesis.score = track.score
        entry.results = [hypothesis]
        entry.bbox.center = pose.pose
        size = box_size(track)
        entry.bbox.size.x, entry.bbox.size.y, entry.bbox.size.z = size
        message.detections.append(entry)
    return message


def encode_nearest(head: Header, tracks: list[GroundTrack]) -> PoseWithCovarianceStamped | None:
    """Encode the vehicle nearest to base_link; None if there are no vehicles."""
    if not tracks:
        return None
    nearest = min(tracks, key=lambda track: track.range_m)
    return PoseWithCovarianceStamped(header=head, pose=pose_of(nearest))


def encode_points(head: Header, tracks: list[GroundTrack]) -> PointCloud2:
    """Encode vehicles as points with velocity, like a radar's: one `POINT` per track."""
    table = np.zeros(len(tracks), POINT)
    for row, track in zip(table, tracks, strict=True):
        row['x'], row['y'] = track.position_m
        row['z'] = float(track.size_m[1]) / 2
        row['vx'], row['vy'] = track.velocity_mps
        spread = np.sqrt(np.maximum(np.diag(track.covariance), 0))
        row['std_x'], row['std_y'], row['std_vx'], row['std_vy'] = spread
        row['score'], row['id'] = track.score, track.track_id
    return point_cloud(head, table)


def point_cloud(head: Header, table: np.ndarray) -> PointCloud2:
    """Encode a table of float32 and uint32 columns as a cloud with one point per row."""
    kinds = {'f': PointField.FLOAT32, 'u': PointField.UINT32}
    fields = [
        PointField(name=name, offset=offset, datatype=kinds[column.kind], count=1)
        for name, (column, offset, *_) in (table.dtype.fields or {}).items()
    ]
    return PointCloud2(
        header=head,
        height=1,
        width=len(table),
        fields=fields,
        point_step=table.dtype.itemsize,
        row_step=table.nbytes,
        data=table.tobytes(),
        is_dense=True,
    )


def pose_of(track: GroundTrack) -> PoseWithCovariance:
    """Return a vehicle's position and heading, with the covariance of both."""
    heading, variance = heading_of(track)
    whole = np.zeros((6, 6))
    whole[:2, :2] = track.covariance[:2, :2]
    whole[2, 2] = (HEIGHT_STD_M / 2) ** 2
    whole[3, 3] = whole[4, 4] = math.radians(3.0) ** 2  # the road is about level
    whole[5, 5] = variance
    pose = PoseWithCovariance(covariance=whole.ravel())
    x, y = track.position_m.tolist()
    pose.pose.position = Point(x=x, y=y, z=float(track.size_m[1]) / 2)
    pose.pose.orientation = Quaternion(z=math.sin(heading / 2), w=math.cos(heading / 2))
    return pose


def heading_of(track: GroundTrack) -> tuple[float, float]:
    """Return a vehicle's heading in radians, and its variance.

    The heading is the direction of the velocity over ground, where that is known; otherwise it is
    the line of sight, with the variance of an unknown angle.
    """
    speed = float(np.hypot(*track.velocity_mps))
    if track.over_ground and speed > LEAST_HEADING_MPS:
        across = np.array([-track.velocity_mps[1], track.velocity_mps[0]]) / speed
        variance = float(across @ track.covariance[2:, 2:] @ across) / speed**2
        if variance < TURN_VARIANCE / 4:
            return math.atan2(track.velocity_mps[1], track.velocity_mps[0]), variance
    return track.bearing_rad, TURN_VARIANCE


def box_size(track: GroundTrack) -> tuple[float, float, float]:
    """Return a vehicle's length along the heading of `heading_of`, width and height, metres.

    Sound and image show only the width across the line of sight. A vehicle wider than a car's
    front is taken to be seen from its side.
    """
    across, height = track.size_m.tolist()
    if heading_of(track)[1] < TURN_VARIANCE:  # along its heading
        return max(LONG_M, across if across > SIDE_VIEW_M else 0.0), SHORT_M, height
    return SHORT_M if across > SIDE_VIEW_M else LONG_M, across, height
