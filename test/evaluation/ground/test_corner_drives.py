"""Windows before a vehicle leaves a blind corner, and the map of the surrounding houses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from helpers.lone_vehicle import lone_scene
import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.early_vehicles import Appearance
from avdet_ros.evaluation.ground import corner_drives
from avdet_ros.evaluation.ground.corner_drives import corner_cases, drive_up, map_of
from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.sound import SoundRenderer


def recording_detector(spectrograms):
    """A detector that returns 150 boxes and records the windows it receives."""

    def detect(spectrogram, beyond_image):
        spectrograms.append((spectrogram, beyond_image))
        scores = np.linspace(0.9, 0.01, 150).astype(np.float32)
        return Detections(np.tile(np.float32([1, 2, 30, 40]), (150, 1)), scores)

    contract = SimpleNamespace(label_offset_s=-0.5)
    return SimpleNamespace(detect=detect, contract=contract, sha256='3' * 64, front_end=FrontEnd())


def test_windows_around_an_appearance_are_rendered_once_and_cached(monkeypatch, tmp_path, counted):
    """Windows end from 0.1 s before to 0.2 s after the vehicle is seen, 20 a second."""
    monkeypatch.setattr(corner_drives, 'BEFORE_S', 0.1)
    monkeypatch.setattr(corner_drives, 'AFTER_S', 0.2)
    monkeypatch.setattr(corner_drives, 'RATE_HZ', 20.0)
    scene = replace(lone_scene(), seed=77)
    found = [(scene, Appearance(1, 1.5))]
    given = []
    (case,) = corner_cases(found, {'a': recording_detector(given)}, tmp_path, False, counted)
    drive = case.windows
    ends_s = np.array([1.4, 1.45, 1.5, 1.55, 1.6, 1.65, 1.7])
    assert drive.stamps_s == pytest.approx(ends_s - 0.5)
    assert (drive.seed, drive.ids.tolist(), len(drive.ego)) == (77, [1], 7 + 10)
    assert (case.scene, case.appearance) == found[0]
    front_end = FrontEnd.of(scene.rig)
    assert [beyond for _, beyond in given] == [True] * 7
    sound = SoundRenderer(scene).read(round(0.4 * 44100), 44100).astype(np.float32)
    np.testing.assert_allclose(given[0][0], front_end.compute(sound), atol=1e-3)
    # As the detector node publishes: at most 100 boxes, none with a score below 0.05.
    assert [len(its) for its in drive.detections['a']] == [100] * 7
    yaw_deg = scene.corruption.array_yaw_deg
    name = f'corner_standing_77_1_{yaw_deg:.3f}_33333333.npz'
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert counted.totals == {'corners, standing': 1} == dict(counted.done)

    (again,) = corner_cases(found, {'a': recording_detector(given)}, tmp_path, False, counted)
    assert len(given) == 7, 'read from disk'
    np.testing.assert_array_equal(again.windows.places_m, drive.places_m)
    (tmp_path / name).write_bytes(b'damaged')
    corner_cases(found, {'a': recording_detector(given)}, tmp_path, False, counted)
    assert len(given) == 14
    assert len(list(tmp_path.iterdir())) == 1


def test_map_of_two_houses_matches_hand_calculation():
    """A road to the north, with a house on its left and one farther on, on its right."""
    road = straight_road(heading_rad=np.pi / 2)
    houses = (Building(road, 10.0, 20.0, 8.0, 6.0), Building(road, 40.0, 10.0, -5.0, 12.0))
    cells = map_of(houses, np.array([3.0, 20.0]))
    assert cells.cell_m == 0.25
    area = cells.occupied.sum() * cells.cell_m**2
    assert area == pytest.approx(20 * 6 + 10 * 12, rel=0.03)
    eye = np.array([0.0, 20.0])
    for place, hidden in (
        ([-11.0, 10.0], True),
        ([-11.0, 0.5], True),
        ([-7.0, 10.0], False),
        ([11.0, 40.0], True),
        ([4.0, 40.0], False),
        ([11.0, 20.0], False),
    ):
        assert cells.blocked(eye, np.array([place]))[0] == hidden, place


def junction(rig):
    """The first scene with a junction in the furnished world."""
    condition = Condition('furnished', 'ideal')
    scenes = (condition.scene(seed, rig, 20.0) for seed in range(100_000, 100_100))
    return next(scene for scene in scenes if scene.crossing is not None)


def test_drive_up_removes_vehicles_in_the_ego_lane(rig):
    scene = junction(rig)
    ego = scene.ego
    lanes = (ego.motion.lane, ego.motion.lane + 0.5, ego.motion.lane - 0.7)
    others = tuple(
        replace(ego, vehicle_id=50 + index, motion=Motion(30.0, 0.0, lane=lane))
        for index, lane in enumerate(lanes)
    )
    crossing = replace(ego, vehicle_id=60, road=scene.crossing)
    changed = drive_up(replace(scene, vehicles=(*others, crossing)))
    assert [vehicle.vehicle_id for vehicle in changed.vehicles] == [52, 60]
    assert changed.ego.motion.lane == ego.motion.lane
    assert float(changed.ego.speed_mps(10.0)) == pytest.approx(4.0)
    assert drive_up(lone_scene()) is None, 'no junction'
