"""The ego vehicle's motion as messages tell it: frames chained by hand, and what is refused."""

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


def turned(yaw_deg, roll_deg=0.0):
    """A quaternion of a turn about z after one about x."""
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
    """One that was not asked to subscribe, and is told messages by hand."""
    node = SimpleNamespace(refuse=refused.__setitem__)
    return EgoReader(node, 'none', 'map', 'base_link')


def odometry(stamp_s, x_m=0.0, y_m=0.0, yaw_deg=0.0, child='base_link'):
    message = Odometry(header=encode_header(round(stamp_s * 1e9), 'odom'), child_frame_id=child)
    message.pose.pose.position.x, message.pose.pose.position.y = x_m, y_m
    message.pose.pose.orientation = turned(yaw_deg)
    return message


def frame(stamp_s, parent, child, x_m=0.0, y_m=0.0, yaw_deg=0.0):
    message = TransformStamped(header=encode_header(round(stamp_s * 1e9), parent))
    message.child_frame_id = child
    message.transform.translation.x, message.transform.translation.y = x_m, y_m
    message.transform.rotation = turned(yaw_deg)
    return message


def tell(reader, *frames):
    reader._on_tf(SimpleNamespace(transforms=frames))


@pytest.mark.parametrize('yaw_deg', [-170, -30, 0, 50, 120])
@pytest.mark.parametrize('roll_deg', [0, 20])
def test_a_quaternions_turn_about_z(yaw_deg, roll_deg):
    assert np.degrees(yaw_of(turned(yaw_deg, roll_deg))) == pytest.approx(yaw_deg)


@pytest.mark.parametrize('w', [0.0, 0.7, 1.42, float('nan'), float('inf')])
def test_what_is_no_rotation_is_refused(w):
    with pytest.raises(AvdetError, match='expected a quaternion of length 1, found'):
        yaw_of(Quaternion(w=w, x=0.0, y=0.0, z=0.0))


def test_odometry_is_the_path(reader, refused):
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


def test_frames_are_chained_up_to_the_fixed_one(reader):
    """The vehicle is 2 m ahead in odom, which lies at (10, 5) in map, turned by 90 degrees."""
    for stamp_s, ahead_m in ((20.0, 1.0), (20.1, 2.0)):
        tell(
            reader,
            frame(stamp_s - 0.02, 'map', '/odom', 10.0, 5.0, 90),
            frame(stamp_s, 'odom', 'base_link', ahead_m, 0.5, -20),
        )
    pose = reader.at(20.1)
    assert (pose.x_m, pose.y_m) == pytest.approx((10 - 0.5, 5 + 2.0))
    assert np.degrees(pose.yaw_rad) == pytest.approx(70)
    assert reader.at(20.0).y_m == pytest.approx(6.0)


def test_a_chain_that_does_not_end_or_is_old_gives_no_pose(reader, refused):
    for stamp_s in (20.0, 20.1):
        tell(reader, frame(stamp_s, 'odom', 'base_link'))  # nobody says where odom is
    assert reader.at(20.1) is None
    for stamp_s in (20.2, 20.3):  # a circle
        tell(reader, frame(stamp_s, 'base_link', 'odom'))
    assert reader.at(20.3) is None
    tell(reader, frame(20.0, 'map', 'odom'), frame(21.1, 'map', 'trailer'))
    tell(reader, frame(22.3, 'map', 'trailer'))
    assert reader.at(20.3) is None  # base_link's own frames are more than a second old
    broken = frame(22.4, 'map', 'odom')
    broken.transform.rotation.w = 5.0
    tell(reader, broken)
    assert refused['tf'].startswith('/tf: odom: expected a quaternion of length 1')


def test_jumps_and_returns_are_counted_and_a_stop_is_reported(refused):
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
    assert 'begun anew' in refused['odometry']
    reader._on_odometry(odometry(1.0))
    reader._on_odometry(odometry(2.1))
    values = status().values
    assert (values['ego_jumps'], values['ego_time_jumps']) == ('1', '1')
    reader._last_s -= 3.0
    report = status()
    assert report.level == WARN
    assert 'odometry of the ego vehicle stopped 3 s ago' in report.message


def test_none_is_said_to_be_none(reader):
    report = Report()
    reader.diagnose(report)
    assert report.values['ego_motion'] == 'none: velocities are relative'


def test_the_speed_follows_from_poses_alone_and_bad_ones_never_reach_it(reader, refused):
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


def test_what_follows_from_no_motion_is_the_nodes_own_business(refused):
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
