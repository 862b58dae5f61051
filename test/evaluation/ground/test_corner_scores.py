"""Scores of the topic hidden at blind corners, on a case built from true positions."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.ground.corner_drives import (
    RATE_HZ,
    CornerCase,
    drive_up,
    find_cases,
    map_of,
)
from avdet_ros.evaluation.ground.corner_scores import (
    HEAD,
    CornerResult,
    row,
    run_case,
    side_of,
    table,
)
from avdet_ros.evaluation.ground.drives import with_truth
from avdet_ros.progress import SILENT
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.junctions import meeting_m

SEED = 100_001


@pytest.fixture(scope='module')
def found(rig):
    ((scene, case),) = find_cases(Condition('furnished', 'ideal'), rig, SEED, 1, False)
    return scene, case


@pytest.fixture(scope='module')
def case(rig, found):
    """The vehicle is detected at its true bearing, with ranges one third too long."""
    scene, appearance = found
    stamps = np.arange(appearance.seen_s - 4.0, appearance.seen_s, 1 / RATE_HZ) - 0.5
    empty = with_truth(scene, scene.seed, stamps, RATE_HZ, {})
    row_ = int(np.flatnonzero(empty.ids == appearance.identity)[0])
    heard = []
    for step in range(len(stamps)):
        x, y = empty.places_m[row_, step]
        range_m = 1.33 * math.hypot(x, y)
        box = np.array([[-300.0, 280, -200, 330]], np.float32)
        ranges = np.array([[0.7, 1.0, 1.4]], np.float32) * range_m
        heard.append(Detections(box, np.array([0.9]), ranges, np.array([math.atan2(y, x)])))
    silent = [Detections() for _ in stamps]
    return CornerCase(
        scene, appearance, replace(empty, detections={'perfect': heard, 'deaf': silent})
    )


@pytest.mark.slow
@pytest.mark.parametrize('with_map', [False, True])
def test_heard_vehicle_is_reported_on_its_side(case, rig, with_map):
    result = run_case(case, 'perfect', rig, with_map)
    assert result.right[result.at(1.0)]
    assert result.answers[result.at(1.0)] == result.side
    assert not result.other.any()


@pytest.mark.slow
def test_no_vehicle_is_reported_without_detections(case, rig):
    result = run_case(case, 'deaf', rig, True)
    assert not result.right.any()
    assert not result.answers.any()
    cells = row('deaf', [result])
    assert cells[1:5] == ['1', '0.00', '0.00', '0.00']
    assert cells[7:9] == ['-', '0.00']


@pytest.mark.slow
def test_table_rows_have_as_many_columns_as_the_header(case, rig):
    lines = table([case], 'standing', ['perfect'], rig, SILENT)
    assert len(lines) == 2
    assert {line.count('|') for line in (*HEAD.splitlines(), *lines)} == {11}


def test_side_of_is_positive_on_the_left(rig):
    assert side_of(np.array([5.0, 2.0]), rig) == 1
    assert side_of(np.array([5.0, -2.0]), rig) == -1


def test_side_of_follows_the_heading_of_a_turned_camera(rig):
    """A camera 1 m to the left, turned 30 degrees to the left, divides sides by its heading."""
    turn = Rotation.from_euler('z', 30, degrees=True).as_matrix()
    camera = replace(
        rig.camera,
        rotation=rig.camera.rotation @ turn.T,
        position_m=np.array([2.0, 1.0, 1.5]),
    )
    turned = replace(rig, camera=camera)
    for angle_deg, side in ((25, -1), (35, 1), (-100, -1), (160, 1)):
        angle = math.radians(angle_deg)
        place = np.array([2.0 + 9 * math.cos(angle), 1.0 + 9 * math.sin(angle)])
        assert side_of(place, turned) == side, angle_deg


def result(side, answers, right, other, sight_s):
    """Results of windows that end 2.1 s to 0.1 s before sight, and one after it."""
    before_s = np.array([2.1, 1.6, 1.1, 0.6, 0.1, -0.2])
    return CornerResult(
        side, before_s, np.array(answers), right > np.zeros(6), other > np.zeros(6), sight_s
    )


def test_row_matches_hand_calculation():
    unknown = np.full(6, -1.0)
    results = [
        result(
            1,
            answers=[0, 1, 1, -1, 1, 1],
            right=np.array([0, 1, 1, 0, 1, 1]),
            other=np.array([0, 0, 1, 1, 0, 1]),
            sight_s=np.array([-1, 1.5, 1.3, -1, 0.7, 0]),
        ),
        result(-1, [0, 0, 0, 0, -1, -1], np.array([0, 0, 0, 0, 1, 1]), np.zeros(6), unknown),
        result(
            -1,
            answers=[1, 1, 1, -1, -1, -1],
            right=np.array([0, 0, 0, 1, 1, 1]),
            other=np.array([1, 1, 1, 0, 0, 0]),
            sight_s=np.array([0.4, -1, -1, 0.9, 0.1, 0.1]),
        ),
    ]
    assert [results[0].at(lead_s) for lead_s in (2.1, 2.0, 1.5, 1.1, 0.0)] == [0, 0, 1, 2, 4]
    # One of the two sides reported a second before sight is right; five of fifteen windows before
    # sight have a vehicle on the wrong side; times are wrong by 0.1, 0.2 and 0.3 s.
    assert row('name', results) == [
        *('name', '3', '0.00', '0.33', '0.33', '0.33', '1.00'),
        *('0.50 of 2', '0.33', '0.2 s (3)'),
    ]
    assert row('deaf', results[1:2])[-3:] == ['-', '0.00', '-']


@pytest.mark.slow
def test_ego_vehicle_drives_up_to_the_junction_without_collisions(found):
    scene = drive_up(found[0])
    end = float(scene.ego.motion.along_m(scene.duration_s))
    assert end == pytest.approx(meeting_m(scene.ego.road, scene.crossing) - 6.0)
    assert scene.ego.sound.running
    times = np.arange(0, scene.duration_s, 0.5)
    mine = scene.ego.pose(times)[0]
    for vehicle in scene.vehicles:
        if vehicle.road is scene.ego.road:
            apart = np.linalg.norm(vehicle.pose(times)[0] - mine, axis=-1)
            assert apart.min() > 1.5


@pytest.mark.slow
def test_map_contains_the_buildings(found):
    scene = found[0]
    middle = scene.ego.pose(0.0)[0][:2]
    cells = map_of(scene.buildings, middle)
    for building in scene.buildings:
        corner = building.corners_m.mean(axis=0)
        if np.abs(corner - middle).max() < 70:
            assert cells.blocked(middle, corner[None])[0]
    area = sum(building.front_m * building.deep_m for building in scene.buildings)
    assert cells.occupied.sum() * cells.cell_m**2 <= area * 1.05
