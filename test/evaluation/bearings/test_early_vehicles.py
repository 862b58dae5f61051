"""Vehicles behind corners: which ones count, and when one is found early enough."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import lone_scene
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.early_vehicles import (
    behind_building,
    corner_drives,
    early_scores,
)
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.conditions import Condition

CONDITION = Condition('furnished', 'ideal')


@pytest.fixture(scope='module')
def drive(rig):
    (found,) = corner_drives(CONDITION, rig, 100_000, 1)
    assert len(found.cases) == 1, 'the tests below expect one vehicle'
    return found


def test_counted_vehicle_comes_out_from_behind_a_building(drive):
    scene, (case,) = drive.scene, drive.cases
    visible = {}
    for before_s in (0.0, 0.2, 1.5, 3.0):
        truth = scene.truth(case.seen_s - before_s)
        row = np.flatnonzero(truth.ids == case.identity)
        visible[before_s] = float(truth.visible_fraction[row[0]]) if len(row) else 0.0
    assert visible[0.0] >= 0.3 > visible[0.2]
    assert visible[1.5] == visible[3.0] == 0
    assert behind_building(scene, case.identity, case.seen_s - 1.5)
    assert not behind_building(scene, case.identity, case.seen_s)


def test_vehicle_with_one_of_five_points_hidden_is_not_behind_a_building():
    """A 10 m lorry ahead on the road: five points on it, 2.5 m apart, are checked."""
    scene = lone_scene('lorry', ahead_m=30.0, lane=0.5, speed=-10.0)
    vehicle = replace(scene.vehicles[0], length_m=10.0)
    place, turn = vehicle.pose(0.0)
    eye = scene.ego.pose(0.0)[0] + scene.rig.camera.position_m
    ends = [place[:2] + part * 10.0 * turn[:2, 0] for part in (-0.5, -0.25, 0.0, 0.25, 0.5)]

    def hidden(spots):
        """Whether it is hidden with a small house in front of each of these points."""
        houses = tuple(_house(vehicle.road, eye[:2], spot) for spot in spots)
        return behind_building(replace(scene, vehicles=(vehicle,), buildings=houses), 1, 0.0)

    seen = [part for part in range(5) if not hidden([ends[part]])]
    assert seen == list(range(5)), 'one hidden point of five does not hide the vehicle'
    assert hidden(ends)


def _house(road, eye, spot):
    """A house of 0.2 m between the camera and a point, with a free view past it."""
    x, y = eye + 0.8 * (spot - eye)  # the road goes along x
    return Building(road, x, front_m=0.2, aside_m=y - 0.1, deep_m=0.2)


def test_plain_scenes_have_no_buildings(rig):
    scene = Condition('plain', 'ideal').scene(100_000, rig, 5.0)
    assert not scene.buildings


def record(drive, rig, azimuth_deg, since_s, until_s, score=0.8):
    """Windows that have one box at a bearing if they end between two times, relative to the
    first vehicle's appearance."""
    seen_s = drive.cases[0].seen_s
    ends_s = np.arange(1.0, drive.scene.duration_s, 0.2)
    ahead = np.array([np.cos(np.radians(azimuth_deg)), np.sin(np.radians(azimuth_deg)), 0])
    (x, y), _ = rig.camera.project(rig.camera.position_m + 20 * ahead)
    box = Detections(np.float32([[x - 20, y - 10, x + 20, y + 10]]), np.float32([score]))
    frames = [
        box if since_s - 1e-6 <= end - seen_s <= until_s + 1e-6 else Detections() for end in ends_s
    ]
    its = DriveRecord(
        'one',
        list(ends_s - 0.5),
        [TruthFrame.of([], [])] * len(ends_s),
        {'it': frames},
        {'it': [1.0] * len(ends_s)},
    )
    return WindowRecord(its, rig)


def side_of(drive):
    scene, (case,) = drive.scene, drive.cases
    vehicle = next(v for v in scene.vehicles if v.vehicle_id == case.identity)
    position, rotation = scene.ego_pose(case.seen_s - 2)
    return np.sign(((vehicle.pose(case.seen_s - 2)[0] - position) @ rotation)[1])


@pytest.mark.parametrize(
    ('side', 'since_s', 'until_s', 'score', 'found', 'wrong'),
    [
        (1, -4.0, -1.5, 0.8, True, False),
        (-1, -4.0, -1.5, 0.8, False, True),
        (1, -4.0, -1.5, 0.4, False, False),
        (1, -1.3, 3.0, 0.8, False, False),
        (1, -9.0, -4.4, 0.8, False, False),
    ],
    ids=['in time', 'other side', 'too low a score', 'too late', 'long before'],
)
def test_early_scores_require_a_timely_box_on_the_right_side(
    drive, rig, side, since_s, until_s, score, found, wrong
):
    its = record(drive, rig, 35.0 * side * side_of(drive), since_s, until_s, score)
    scores = early_scores([its], [drive], 'it', 0.5, -0.5)
    assert scores == {'vehicles': 1, 'found': found, 'wrong_side': wrong}
