"""Overtaking, lane changes and turns are complete and free of collisions."""

from __future__ import annotations

import cv2
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.simulation.manoeuvres import with_manoeuvres
from avdet_ros.simulation.motion import LaneChange, Motion, Slowing
from avdet_ros.simulation.road import Route
from avdet_ros.simulation.traffic import random_scene

DURATION_S = 20.0


@pytest.fixture(scope='module')
def drives():
    plain = [random_scene(seed, duration_s=DURATION_S) for seed in range(300_000, 300_036)]
    return [(scene, with_manoeuvres(scene)) for scene in plain]


def guests(scene, lively):
    known = {vehicle.vehicle_id for vehicle in scene.vehicles}
    return [vehicle for vehicle in lively.vehicles if vehicle.vehicle_id not in known]


def changed(scene, lively):
    before = {vehicle.vehicle_id: vehicle for vehicle in scene.vehicles}
    return [v for v in lively.vehicles if before.get(v.vehicle_id, v) is not v]


@settings(max_examples=examples(60), deadline=None)
@given(st.floats(0, 10), st.floats(-1, 1), st.floats(0.5, 5), st.floats(2, 9))
def test_speeds_are_derivatives_of_positions(t, lanes, length, by):
    motion = Motion(
        3.0, 12.0, changes=(LaneChange(lanes, 5.0, length),), slowings=(Slowing(by, 4.0, length),)
    )
    step = 1e-5
    slope = (motion.along_m(t + step) - motion.along_m(t - step)) / (2 * step)
    assert motion.along_mps(t) == pytest.approx(slope, abs=1e-4)
    slope = (motion.lane_at(t + step) - motion.lane_at(t - step)) / (2 * step)
    assert motion.lanes_per_s(t) == pytest.approx(slope, abs=1e-4)
    assert motion.lane_at(0.0 - length) == 0
    assert motion.lane_at(10.0 + length) == pytest.approx(lanes)


@pytest.mark.slow
def test_all_kinds_of_manoeuvres_occur(drives):
    turning = sum(isinstance(v.road, Route) for s, d in drives for v in guests(s, d))
    overtaking = sum(len(v.motion.changes) == 2 for s, d in drives for v in guests(s, d))
    changing = sum(len(v.motion.changes) == 1 for s, d in drives for v in changed(s, d))
    assert turning >= 5
    assert overtaking >= 5
    assert changing >= 5


def test_manoeuvres_repeat_for_a_seed_and_keep_existing_vehicles(drives):
    for scene, lively in drives[:6]:
        again = with_manoeuvres(scene)
        assert [v.vehicle_id for v in again.vehicles] == [v.vehicle_id for v in lively.vehicles]
        for one, other in zip(again.vehicles, lively.vehicles, strict=True):
            np.testing.assert_array_equal(one.pose(3.0)[0], other.pose(3.0)[0])
        old = {v.vehicle_id for v in scene.vehicles}
        assert old <= {v.vehicle_id for v in lively.vehicles}


def test_vehicles_point_in_their_direction_of_motion(drives):
    times = np.arange(0.5, DURATION_S - 0.5, 0.1)
    seen = 0
    for scene, lively in drives:
        for vehicle in guests(scene, lively) + changed(scene, lively):
            _, rotation = vehicle.pose(times)
            moved = vehicle.pose(times + 0.01)[0] - vehicle.pose(times - 0.01)[0]
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            cosine = np.sum(moved * rotation[..., 0], axis=1)
            assert cosine.min() > np.cos(np.deg2rad(3.0))
            np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-9)
            seen += 1
    assert seen > 15


def test_overtaking_vehicle_is_behind_then_beside_then_ahead(drives):
    for scene, lively in drives:
        for guest in guests(scene, lively):
            if len(guest.motion.changes) != 2:
                continue
            out, back = guest.motion.changes
            passing = (out.middle_s + back.middle_s) / 2
            lane = guest.motion.lane
            assert guest.motion.lane_at(passing) == lane + out.lanes
            assert guest.motion.lane_at(back.middle_s + back.length_s) == lane
            hosts = [
                v
                for v in (scene.ego, *scene.vehicles)
                if v.road is guest.road
                and v.motion.lane == lane
                and abs(v.motion.along_m(passing) - guest.motion.along_m(passing)) < 1e-6
            ]
            assert len(hosts) == 1
            way = np.sign(guest.motion.speed_mps)
            assert out.lanes == way  # on the left, seen from the driver
            for t, sign in ((out.middle_s - out.length_s, -1), (back.middle_s + back.length_s, 1)):
                ahead = way * (guest.motion.along_m(t) - hosts[0].motion.along_m(t))
                room = (guest.length_m + hosts[0].length_m) / 2
                assert sign * ahead > room


def test_turning_vehicle_enters_on_one_road_and_leaves_on_the_other(drives):
    for scene, lively in drives:
        for guest in guests(scene, lively):
            if not isinstance(guest.road, Route):
                continue
            ends = np.array([guest.road.start_m, guest.road.end_m])
            headings = guest.road.frame(ends)[1]
            assert headings[0] @ headings[1] < 0.75  # turned by more than 40 degrees
            along = np.linspace(*ends, 200)
            bend = np.linalg.norm(np.diff(guest.road.frame(along)[1], axis=0), axis=1)
            assert (np.diff(along)[0] / bend.max()) > 3.5  # radius in metres
            roads = [scene.ego.road, scene.crossing]
            for place in guest.road.point(ends):
                near = [
                    np.linalg.norm(road.point(np.linspace(-300, 300, 6001)) - place, axis=1).min()
                    for road in roads
                ]
                assert min(near) == pytest.approx(0.5 * scene.ego.road.lane_width_m, abs=0.6)


def footprint(vehicle, t):
    place, turn = vehicle.pose(t)
    degrees = float(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0])))
    centre = float(place[0]), float(place[1])
    return centre, (vehicle.length_m, vehicle.width_m), degrees


@pytest.mark.slow
def test_manoeuvring_vehicles_do_not_collide(drives):
    checked = 0
    for scene, lively in drives:
        for guest in guests(scene, lively) + changed(scene, lively):
            for t in np.arange(0.0, DURATION_S, 0.5):
                mine = footprint(guest, t)
                own = scene.ego.pose(t)[0]
                if np.linalg.norm(own[:2] - mine[0]) > 100:
                    continue
                for other in (lively.ego, *lively.vehicles):
                    if other is guest:
                        continue
                    theirs = footprint(other, t)
                    if np.hypot(*np.subtract(theirs[0], mine[0])) > 20:
                        continue
                    meets, _ = cv2.rotatedRectangleIntersection(mine, theirs)
                    assert meets == cv2.INTERSECT_NONE, (scene.seed, guest.vehicle_id, t)
                    checked += 1
    assert checked > 300
