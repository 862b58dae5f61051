"""A map of cells is used while it is fresh, or where odometry knows the vehicle in it."""

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
def reader():
    """A reader with the node and the odometry that it asks; what was refused is kept."""
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


def state(its):
    report = Report()
    its.diagnose(report)
    return report.values['map']


def test_without_a_map_nothing_stands_in_the_way(reader):
    its, _, _ = reader
    assert its.at(5.0) == (None, PlanarPose(0.0, 0.0, 0.0))
    assert state(its) == 'none'


def test_a_map_about_the_vehicle_is_used_while_it_is_fresh(reader, monkeypatch):
    its, _, refused = reader
    its._on_map(grid('/base_link'))
    cells, pose = its.at(99.0)
    assert (cells.occupied.shape, pose) == ((2, 3), PlanarPose(0.0, 0.0, 0.0))
    assert (state(its), refused) == ('used', [])
    now_s = time.monotonic()
    monkeypatch.setattr(map_reader.time, 'monotonic', lambda: now_s + STALE_S + 0.01)
    assert its.at(99.0)[0] is None
    assert state(its) == 'not used: older than 2 s'
    its._on_map(grid('base_link'))
    assert its.at(99.0)[0] is not None
    assert state(its) == 'used'


def test_a_map_of_the_world_is_used_where_the_vehicle_is_known_in_it(reader, monkeypatch):
    its, ego, _ = reader
    its._on_map(grid('odom'))
    assert state(its) == 'used'
    now_s = time.monotonic()
    monkeypatch.setattr(map_reader.time, 'monotonic', lambda: now_s + 1000)  # it does not age
    cells, pose = its.at(9.0)
    assert cells is not None
    assert pose == POSE
    assert its.at(11.0)[0] is None
    assert state(its) == 'not used: the vehicle is not known in its frame odom'
    assert its.at(9.0)[0] is not None
    assert state(its) == 'used'
    ego.frame = 'map'  # odometry turned to another frame
    assert its.at(9.0)[0] is None


def test_other_frames_and_broken_maps_are_left_out(reader):
    its, ego, refused = reader
    its._on_map(grid('odom'))
    its._on_map(grid('attic'))
    assert refused == [('map', "map: expected frame base_link or odom, found 'attic': left out")]
    its._on_map(grid('odom', count=5))
    assert refused[1] == ('map', 'map: expected 3 x 2 cells, found 5 numbers: left out')
    assert its.at(9.0)[0].occupied.shape == (2, 3)
    ego.frame = ''  # not known yet: any frame may be the right one
    its._on_map(grid('attic'))
    assert len(refused) == 2
    assert its.at(9.0)[0] is None
