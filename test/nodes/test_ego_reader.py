"""EgoReader: ego motion from odometry and /tf messages, and the messages it rejects."""

from __future__ import annotations

from types import SimpleNamespace

from geometry_msgs.msg import Quaternion, TransformStamped
from nav_msgs.msg import Odometry
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode import encode_header
from avdet_ros.nodes.diagnostics import OK, WARN, Report
from avdet_ros.nodes.ego_reader import EgoReader, yaw_of


def rotation_of(yaw_deg, roll_deg=0.0):
    """The quaternion of a rotation about z after one about x."""
    half, tilt = np.radians([yaw_deg, roll_deg]) / 2
    return Quaternion(
        w=np.cos(half) * np.cos(tilt),
        x=np.cos(half) * np.sin(tilt),
        y=np.sin(half) * np.sin(tilt),
        z=np.sin(half) * np.cos(tilt),
    )


@pytest.fixture
def refused():
    return {}


@pytest.fixture
def reader(refused):
    """An EgoReader without subscriptions; tests call its callbacks directly."""
    node = SimpleNamespace(refuse=refused.__setitem__)
    return EgoReader(node, 'none', 'map', 'base_link')


def odometry(stamp_s, x_m=0.0, y_m=0.0, yaw_deg=0.0, child='base_link'):
    message = Odometry(header=encode_header(round(stamp_s * 1e9), 'odom'), child_frame_id=child)
    message.pose.pose.position.x, message.pose.pose.position.y = x_m, y_m
    message.pose.pose.orientation = rotation_of(yaw_deg)
    return message


def frame(stamp_s, parent, child, x_m=0.0, y_m=0.0, yaw_deg=0.0):
    message = TransformStamped(header=encode_header(round(stamp_s * 1e9), parent))
    message.child_frame_id = child
    message.transform.translation.x, message.transform.translation.y = x_m, y_m
    message.transform.rotation = rotation_of(yaw_deg)
    return message


def send_tf(reader, *frames):
    reader._on_tf(SimpleNamespace(transforms=frames))


@pytest.mark.parametrize('yaw_deg', [-170, -30, 0, 50, 120])
@pytest.mark.parametrize('roll_deg', [0, 20])
def test_yaw_of_returns_the_rotation_about_z(yaw_deg, roll_deg):
    assert np.degrees(yaw_of(rotation_of(yaw_deg, roll_deg))) == pytest.approx(yaw_deg)


@pytest.mark.parametrize('w', [0.0, 0.7, 1.42, float('nan'), float('inf')])
def test_quaternion_not_of_unit_length_is_rejected(w):
    with pytest.raises(AvdetError, match='expected a quaternion of length 1, found'):
        yaw_of(Quaternion(w=w, x=0.0, y=0.0, z=0.0))


def test_odometry_gives_poses_and_bad_messages_are_rejected(reader, refused):
    reader._on_odometry(odometry(10.0, 1.0, 2.0, 80))
    reader._on_odometry(odometry(10.1, 3.0, 4.0, 90, child=''))
    half_way = reader.at(10.05)
    assert (half_way.x_m, half_way.y_m) == pytest.approx((2, 3), abs=0.1)
    assert np.degrees(half_way.yaw_rad) == pytest.approx(85)
    assert refused == {}
    reader._on_odometry(odometry(10.2, 50.0, child='camera'))
    assert 'expected child_frame_id base_link' in refused['odometry']
    reader._on_odometry(odometry(0.0))
    assert 'expected a stamp, found 0 ns' in refused['odometry']
    assert reader.at(10.1).y_m == pytest.approx(4.0)


def test_tf_frames_are_chained_up_to_the_fixed_frame(reader):
    """The vehicle is 2 m ahead in odom, which lies at (10, 5) in map, rotated by 90 degrees."""
    for stamp_s, ahead_m in ((20.0, 1.0), (20.1, 2.0)):
        send_tf(
            reader,
            frame(stamp_s - 0.02, 'map', '/odom', 10.0, 5.0, 90),
            frame(stamp_s, 'odom', 'base_link', ahead_m, 0.5, -20),
        )
    pose = reader.at(20.1)
    assert (pose.x_m, pose.y_m) == pytest.approx((10 - 0.5, 5 + 2.0))
    assert np.degrees(pose.yaw_rad) == pytest.approx(70)
    assert reader.at(20.0).y_m == pytest.approx(6.0)


def test_incomplete_circular_or_old_tf_chain_gives_no_pose(reader, refused):
    for stamp_s in (20.0, 20.1):
        send_tf(reader, frame(stamp_s, 'odom', 'base_link'))  # the pose of odom is unknown
    assert reader.at(20.1) is None
    for stamp_s in (20.2, 20.3):  # a circular chain
        send_tf(reader, frame(stamp_s, 'base_link', 'odom'))
    assert reader.at(20.3) is None
    send_tf(reader, frame(20.0, 'map', 'odom'), frame(21.1, 'map', 'trailer'))
    send_tf(reader, frame(22.3, 'map', 'trailer'))
    assert reader.at(20.3) is None  # the frames of base_link are more than a second old
    broken = frame(22.4, 'map', 'odom')
    broken.transform.rotation.w = 5.0
    send_tf(reader, broken)
    assert refused['tf'].startswith('/tf: odom: expected a quaternion of length 1')


def test_jumps_and_time_resets_are_counted_and_lost_odometry_is_reported(refused):
    reader = EgoReader(SimpleNamespace(refuse=refused.__setitem__), 'none', 'map', 'base_link')
    reader._source = 'odometry'  # as if it had subscribed

    def status():
        report = Report()
        reader.diagnose(report)
        return report

    assert status().values['ego_motion'] == 'no odometry yet: velocities are relative'
    for step in range(3):
        reader._on_odometry(odometry(10 + 0.1 * step, step))
    report = status()
    assert (report.level, report.values) == (
        OK,
        {'ego_motion': 'odometry', 'ego_jumps': '0', 'ego_time_jumps': '0'},
    )
    reader._on_odometry(odometry(10.3, 900.0))
    assert 'found one of 898.0 m' in refused['odometry']
    reader._on_odometry(odometry(2.0))
    assert 'started again' in refused['odometry']
    reader._on_odometry(odometry(1.0))
    reader._on_odometry(odometry(2.1))
    values = status().values
    assert (values['ego_jumps'], values['ego_time_jumps']) == ('1', '1')
    reader._last_s -= 3.0
    report = status()
    assert report.level == WARN
    assert 'odometry of the ego vehicle stopped 3 s ago' in report.message


def test_missing_ego_motion_is_reported(reader):
    report = Report()
    reader.diagnose(report)
    assert report.values['ego_motion'] == 'none: velocities are relative'


def test_speed_is_computed_from_poses_and_ignores_bad_ones(reader, refused):
    for step in range(21):
        reader._on_odometry(odometry(10 + 0.05 * step, 0.6 * step, child=''))
    assert reader.speed_mps(10.5) == pytest.approx(12.0)
    for bad in (
        odometry(11.05, float('nan')),
        odometry(11.1, 900.0),
        odometry(11.15, 900.6, child='camera'),
    ):
        reader._on_odometry(bad)
        assert reader.speed_mps(11.0) == pytest.approx(12.0, abs=0.1)
    assert 'expected child_frame_id' in refused['odometry']
    assert reader.speed_mps(13.0) is None


def test_node_chooses_the_status_text_for_missing_motion(refused):
    node = SimpleNamespace(refuse=refused.__setitem__)
    reader = EgoReader(node, 'none', 'map', 'base_link', ('it stands', 'it stands now'))
    report = Report()
    reader.diagnose(report)
    assert (report.level, report.values['ego_motion']) == (OK, 'none: it stands')
    reader._source, reader._last_s = 'odometry', -100.0
    ended, going = Report(), Report()
    reader.diagnose(ended, ended=True)
    reader.diagnose(going)
    assert (ended.level, going.level) == (OK, WARN)
    assert going.message.endswith('s ago: it stands now')
