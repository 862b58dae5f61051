"""Vehicles hidden from the camera, and the time until they become visible."""

from __future__ import annotations

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.tracking.around_corner import hidden_sights, look
from avdet_ros.tracking.cells import make_cells
from avdet_ros.tracking.ego_motion import PlanarPose
from avdet_ros.tracking.ground_track import GroundTrack

RIG = load_rig()
CAMERA = RIG.camera


def vehicle(place_m, velocity_mps, std_m=0.5, track_id=1, ego_mps=(0.0, 0.0)):
    return GroundTrack(
        track_id,
        np.array(place_m, float),
        np.array(velocity_mps, float),
        np.diag([std_m**2, std_m**2, 0.25, 0.25]),
        np.array([4.0, 1.6]),
        score=0.8,
        age_s=2.0,
        unseen_s=0.0,
        over_ground=True,
        ego_mps=np.array(ego_mps, float),
    )


def houses(yaw_rad=0.0):
    """A row of houses to the left, x from 8 to 12 m and y from 4 m, in a rotated map frame."""
    percent = np.zeros((160, 160), np.int8)  # from -20 m in x and y, cells of 0.25 m
    percent[96:, 112:128] = 100
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return make_cells(
        percent, 0.25, PlanarPose(-20 * cos + 20 * sin, -20 * sin - 20 * cos, yaw_rad)
    )


def test_vehicle_outside_the_image_is_hidden_until_it_enters():
    """A point 10 m ahead reaches the left edge of the image at y = 9.4 m."""
    (sight,) = look([vehicle((10, 18), (0, -4))], CAMERA)
    assert (sight.hidden, sight.by) == (1.0, 'image')
    edge_m = (10 - CAMERA.position_m[0]) * CAMERA.cx / CAMERA.fx
    assert sight.sight_s == pytest.approx((18 - edge_m) / 4, abs=0.4)
    assert 0 < sight.sight_std_s < 1
    assert sight.approaching > 0.99
    assert sight.range_rate_mps == pytest.approx(-4 * 18 / np.hypot(10, 18), abs=0.01)
    assert sight.bearing_rate_rad_s == pytest.approx(-4 * 10 / (10**2 + 18**2), abs=0.001)


def test_departing_hidden_vehicle_has_no_sight_time():
    (sight,) = look([vehicle((10, 18), (0, 4))], CAMERA)
    assert sight.hidden == 1
    assert sight.approaching < 0.01
    assert (sight.sight_s, sight.sight_std_s) == (-1, -1)


def test_ego_motion_gives_a_standing_vehicle_a_range_rate():
    (sight,) = look([vehicle((30, 4), (0, 0), ego_mps=(8, 0))], CAMERA)
    assert sight.by == ''
    assert sight.range_rate_mps == pytest.approx(-8, abs=0.1)


@pytest.mark.parametrize('yaw_rad', [0.0, 1.1])
def test_vehicle_behind_houses_is_hidden_until_it_emerges(yaw_rad):
    """Inside the image at x = 20 m, but hidden by the corner at (12, 4) above y = 6.7 m."""
    ego = PlanarPose(0.0, 0.0, yaw_rad)
    crossing = vehicle((20, 12), (0, -5), std_m=0.2)
    (free,) = look([crossing], CAMERA)
    assert free.by == ''
    (sight,) = look([crossing], CAMERA, houses(yaw_rad), ego)
    assert (sight.hidden, sight.by) == (1.0, 'cells')
    corner = np.array([12.0, 4.0]) - CAMERA.position_m[:2]
    seen_y = corner[1] / corner[0] * (20 - CAMERA.position_m[0])
    assert sight.sight_s == pytest.approx((12 - seen_y) / 5, abs=0.35)


def test_ego_motion_reveals_a_vehicle_behind_the_corner():
    """A standing vehicle behind the corner becomes visible as the ego vehicle moves."""
    standing = vehicle((20, 10), (0, 0), std_m=0.2)
    (still,) = look([standing], CAMERA, houses())
    assert (still.by, still.sight_s) == ('cells', -1)
    (driven,) = look([vehicle((20, 10), (0, 0), 0.2, ego_mps=(3, 0))], CAMERA, houses())
    assert 1.0 < driven.sight_s < 6.0
    # The ego vehicle moves along its own axes, whatever its yaw in the map frame.
    times_s = []
    for yaw_rad in (0.0, 1.1, -2.0):
        moving = vehicle((20, 10), (0, 0), 0.2, ego_mps=(2.5, 0.6))
        turned = PlanarPose(0.0, 0.0, yaw_rad)
        (sight,) = look([moving], CAMERA, houses(yaw_rad), turned)
        times_s.append(sight.sight_s)
    assert 1.0 < times_s[0] < 6.0
    assert times_s[1:] == pytest.approx([times_s[0]] * 2, abs=0.35)


def test_vehicle_behind_another_one_is_hidden():
    near, far = vehicle((12, 1), (0, 0)), vehicle((40, 3.4), (0, 0), track_id=2)
    first, second = look([near, far], CAMERA)
    assert first.by == ''
    assert second.by == 'vehicle'
    assert [sight.track.track_id for sight in hidden_sights([first, second])] == [2]


def test_approaching_vehicle_is_listed_first():
    away, near = vehicle((10, 18), (0, 4)), vehicle((10, -18), (0, 4), track_id=2)
    assert [s.track.track_id for s in hidden_sights(look([away, near], CAMERA))] == [2, 1]


_metre = st.floats(-90, 90)


@settings(max_examples=examples(60), deadline=None)
@given(places=st.lists(st.tuples(_metre, _metre, _metre, _metre, st.floats(0.01, 40)), max_size=4))
def test_sight_values_are_always_finite(places):
    tracks = [
        vehicle((x, y), (vx, vy), std, number) for number, (x, y, vx, vy, std) in enumerate(places)
    ]
    for sight in look(tracks, CAMERA, houses(), PlanarPose(1.0, 2.0, 0.5)):
        numbers = (
            sight.hidden,
            sight.approaching,
            sight.bearing_rate_rad_s,
            sight.range_rate_mps,
            sight.range_rate_std_mps,
            sight.sight_s,
            sight.sight_std_s,
        )
        assert np.isfinite(numbers).all()
        assert 0 <= sight.hidden <= 1
        assert 0 <= sight.approaching <= 1
