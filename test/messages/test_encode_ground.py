"""Messages of vehicles in metres: every number against hand calculations."""

from __future__ import annotations

from dataclasses import replace

from helpers.ground_tracks import ground_track
import numpy as np
import pytest

pytest.importorskip('vision_msgs.msg')

from sensor_msgs.msg import PointField

from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import (
    POINT,
    box_size,
    encode_ground,
    encode_nearest,
    encode_points,
    heading_of,
    pose_of,
)
from avdet_ros.messages.places import TURN_VARIANCE

COVARIANCE = np.array(
    [[4.0, 1.0, 0.1, 0.2], [1.0, 9.0, 0.3, 0.4], [0.1, 0.3, 0.25, 0.05], [0.2, 0.4, 0.05, 0.16]]
)
TRACK = ground_track(COVARIANCE)
HEAD = encode_header(7_000_000_123, 'base_link')
SLOW = replace(TRACK, velocity_mps=np.array([1.2, 1.6]))  # 2 m/s, too slow for a heading
DOUBTED = replace(TRACK, covariance=COVARIANCE * 200)
RELATIVE = replace(TRACK, over_ground=False)


def test_heading_follows_the_velocity():
    heading, variance = heading_of(TRACK)
    assert heading == pytest.approx(np.arctan2(4, 3))
    across = np.array([-0.8, 0.6])
    assert variance == pytest.approx(across @ COVARIANCE[2:, 2:] @ across / 25)


@pytest.mark.parametrize('track', [SLOW, DOUBTED, RELATIVE])
def test_unknown_heading_is_along_the_line_of_sight(track):
    assert heading_of(track) == pytest.approx((np.arctan2(-5, 20), TURN_VARIANCE))


def test_heading_is_known_just_beyond_the_limits():
    assert heading_of(replace(TRACK, velocity_mps=np.array([1.21, 1.61])))[1] < TURN_VARIANCE
    # The variance of the heading is just below, and just above, a quarter of the unknown one.
    _, variance = heading_of(TRACK)
    factor = TURN_VARIANCE / 4 / variance
    below = replace(TRACK, covariance=COVARIANCE * factor * 0.99)
    above = replace(TRACK, covariance=COVARIANCE * factor * 1.01)
    assert heading_of(below)[1] < TURN_VARIANCE / 4
    assert heading_of(above)[1] == TURN_VARIANCE


@pytest.mark.parametrize(
    ('track', 'across', 'size'),
    [
        (TRACK, 1.8, (4.4, 1.9, 1.5)),
        (TRACK, 4.0, (4.4, 1.9, 1.5)),
        (TRACK, 12.0, (12.0, 1.9, 1.5)),
        (TRACK, 3.0, (4.4, 1.9, 1.5)),
        (RELATIVE, 1.8, (4.4, 1.8, 1.5)),
        (RELATIVE, 3.0, (4.4, 3.0, 1.5)),
        (RELATIVE, 3.1, (1.9, 3.1, 1.5)),
    ],
)
def test_box_size_depends_on_the_apparent_width(track, across, size):
    assert box_size(replace(track, size_m=np.array([across, 1.5]))) == pytest.approx(size)


def test_pose_contains_position_heading_and_covariance():
    pose = pose_of(TRACK)
    at, turn = pose.pose.position, pose.pose.orientation
    assert (at.x, at.y, at.z) == (20, -5, 0.75)
    assert 2 * np.arctan2(turn.z, turn.w) == pytest.approx(np.arctan2(4, 3))
    assert (turn.x, turn.y) == (0, 0)
    whole = np.array(pose.covariance).reshape(6, 6)
    assert whole[:2, :2].tolist() == [[4, 1], [1, 9]]
    assert np.diag(whole)[2:5] == pytest.approx([0.0625, np.radians(3) ** 2, np.radians(3) ** 2])
    assert whole[5, 5] == pytest.approx(heading_of(TRACK)[1])
    assert np.count_nonzero(whole) == 8


def test_encode_ground_writes_boxes_of_vehicles():
    message = encode_ground(HEAD, [TRACK, replace(RELATIVE, track_id=3)])
    first, second = message.detections
    assert (message.header.stamp.nanosec, first.header.frame_id) == (123, 'base_link')
    assert (first.id, second.id) == ('12', '3')
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('0', 0.75)
    assert result.pose == pose_of(TRACK)
    assert first.bbox.center == pose_of(TRACK).pose
    sizes = [
        (entry.bbox.size.x, entry.bbox.size.y, entry.bbox.size.z) for entry in (first, second)
    ]
    assert sizes == [(4.4, 1.9, 1.5), (4.4, 1.8, 1.5)]


def test_encode_nearest_chooses_by_distance_or_returns_none():
    ahead = replace(TRACK, position_m=np.array([20.5, 0.0]))
    beside = replace(TRACK, position_m=np.array([-3.0, -19.0]))
    message = encode_nearest(HEAD, [TRACK, beside, ahead])
    assert (message.pose.pose.position.x, message.header.frame_id) == (-3, 'base_link')
    assert encode_nearest(HEAD, []) is None


def test_points_have_velocity_and_standard_deviations():
    message = encode_points(HEAD, [TRACK, replace(TRACK, track_id=70_000)])
    table = np.frombuffer(bytes(message.data), POINT)
    names = ('x', 'y', 'z', 'vx', 'vy', 'vz', 'std_x', 'std_y', 'std_vx', 'std_vy', 'score', 'id')
    assert table.dtype.names == names
    expected = (20, -5, 0.75, 3, 4, 0, 2, 3, 0.5, 0.4, 0.75, 12)
    assert tuple(table[0].tolist()) == pytest.approx(expected)
    assert table[1]['id'] == 70_000
    assert [field.name for field in message.fields] == list(names)
    assert [field.offset for field in message.fields] == list(range(0, 48, 4))
    kinds = [field.datatype for field in message.fields]
    assert kinds == [PointField.FLOAT32] * 11 + [PointField.UINT32]
    assert {field.count for field in message.fields} == {1}
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 2, 48, 96)
    assert message.is_dense
    assert not message.is_bigendian
    assert message.header == HEAD
    negative = encode_points(HEAD, [replace(TRACK, covariance=-COVARIANCE)])
    assert np.frombuffer(bytes(negative.data), POINT)[0]['std_x'] == 0
