"""MapReader uses a map that is fresh, or in whose frame odometry knows the pose."""

from __future__ import annotations

import time
from types import SimpleNamespace

from nav_msgs.msg import OccupancyGrid
import pytest

from avdet_ros.nodes import map_reader
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.map_reader import STALE_S, MapReader
from avdet_ros.tracking.ego_motion import PlanarPose

pytestmark = pytest.mark.ros

POSE = PlanarPose(3.0, 4.0, 0.5)


@pytest.fixture
def parts():
    """A MapReader, its fake odometry, and the messages that it refused."""
    refused = []
    subscription = SimpleNamespace(adapt=lambda may_latch: '')
    node = SimpleNamespace(
        create_subscription=lambda *_, **__: subscription,
        refuse=lambda key, sentence: refused.append((key, sentence)),
    )
    ego = SimpleNamespace(frame='odom', in_frame=lambda stamp_s: POSE if stamp_s < 10 else None)
    return MapReader(node, ego, 'base_link'), ego, refused


def grid(frame, width=3, height=2, count=6):
    message = OccupancyGrid()
    message.header.frame_id = frame
    message.info.width, message.info.height, message.info.resolution = width, height, 0.5
    message.info.origin.orientation.w = 1.0
    message.data = [0] * (count - 1) + [100]
    return message


def state(reader):
    report = Report()
    reader.diagnose(report)
    return report.values['map']


def test_without_a_map_no_cells_are_returned(parts):
    reader, _, _ = parts
    assert reader.at(5.0) == (None, PlanarPose(0.0, 0.0, 0.0))
    assert state(reader) == 'none'


def test_map_in_the_vehicle_frame_is_used_while_it_is_fresh(parts, monkeypatch):
    reader, _, refused = parts
    reader._on_map(grid('/base_link'))
    cells, pose = reader.at(99.0)
    assert (cells.occupied.shape, pose) == ((2, 3), PlanarPose(0.0, 0.0, 0.0))
    assert (state(reader), refused) == ('used', [])
    now_s = time.monotonic()
    monkeypatch.setattr(map_reader.time, 'monotonic', lambda: now_s + STALE_S + 0.01)
    assert reader.at(99.0)[0] is None
    assert state(reader) == 'not used: older than 2 s'
    reader._on_map(grid('base_link'))
    assert reader.at(99.0)[0] is not None
    assert state(reader) == 'used'


def test_map_in_the_odometry_frame_is_used_while_the_pose_is_known(parts, monkeypatch):
    reader, ego, _ = parts
    reader._on_map(grid('odom'))
    assert state(reader) == 'used'
    now_s = time.monotonic()
    monkeypatch.setattr(
        map_reader.time, 'monotonic', lambda: now_s + 1000
    )  # such a map does not age
    cells, pose = reader.at(9.0)
    assert cells is not None
    assert pose == POSE
    assert reader.at(11.0)[0] is None
    assert state(reader) == 'not used: the vehicle is not known in its frame odom'
    assert reader.at(9.0)[0] is not None
    assert state(reader) == 'used'
    ego.frame = 'map'  # odometry changed to another frame
    assert reader.at(9.0)[0] is None


def test_maps_in_other_frames_and_broken_maps_are_rejected(parts):
    reader, ego, refused = parts
    reader._on_map(grid('odom'))
    reader._on_map(grid('attic'))
    assert refused == [('map', "map: expected frame base_link or odom, found 'attic': left out")]
    reader._on_map(grid('odom', count=5))
    assert refused[1] == ('map', 'map: expected 3 x 2 cells, found 5 numbers: left out')
    assert reader.at(9.0)[0].occupied.shape == (2, 3)
    ego.frame = ''  # not known yet: any frame may be the right one
    reader._on_map(grid('attic'))
    assert len(refused) == 2
    assert reader.at(9.0)[0] is None
