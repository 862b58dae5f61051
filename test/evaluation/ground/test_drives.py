"""Truth in metres: positions and velocities calculated by hand, and files of drives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from helpers.lone_vehicle import lone_scene
import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.ground.drives import (
    GroundPlan,
    ground_drives,
    read_ground_drive,
    with_truth,
)
from avdet_ros.evaluation.ground.drives import write_ground_drive as write
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import straight_road

STAMPS_S = np.arange(0.5, 2.01, 0.1)
TURN_RAD = 0.6


@pytest.fixture(scope='module')
def drive():
    """The ego vehicle drives to the north-east at 8 m/s; another vehicle comes towards it."""
    scene = lone_scene()
    road = straight_road(heading_rad=TURN_RAD)
    ego = replace(scene.ego, road=road, motion=Motion(2.0, 8.0, lane=-0.5))
    other = replace(scene.vehicles[0], road=road, motion=Motion(50.0, -10.0, lane=0.5))
    scene = replace(scene, ego=ego, vehicles=(other,), seed=9)
    found = {'a': [Detections() for _ in STAMPS_S]}
    return scene, with_truth(scene, 9, STAMPS_S, 10.0, found)


def test_positions_are_in_the_ego_frame_and_velocities_over_ground(drive):
    scene, its = drive
    width = scene.ego.road.lane_width_m
    times = np.concatenate([STAMPS_S, STAMPS_S[-1] + 0.1 * np.arange(1, 6)])
    ahead = 50 - 10 * times - (2 + 8 * times)
    assert its.ids.tolist() == [1]
    assert its.places_m.shape == its.velocities_mps.shape == (1, len(times), 2)
    assert its.places_m[0, :, 0] == pytest.approx(ahead, abs=0.05)
    assert its.places_m[0, :, 1] == pytest.approx(np.full(len(times), width), rel=0.15)
    assert its.velocities_mps[0] == pytest.approx(np.tile([-10.0, 0], (len(times), 1)), abs=0.05)
    assert len(its.ego) == len(times)
    way = np.array([[pose.x_m, pose.y_m] for pose in its.ego])
    along = way @ [np.cos(TURN_RAD), np.sin(TURN_RAD)]
    assert along == pytest.approx(2 + 8 * times, abs=0.01)
    assert [pose.yaw_rad for pose in its.ego] == pytest.approx([TURN_RAD] * len(times), abs=0.01)
    for step in (0, 7, len(times) - 1):
        assert its.ego_mps(step) == pytest.approx([8, 0], abs=0.05)
    assert its.rate_hz == pytest.approx(10)


def test_truth_includes_audibility_visibility_and_distance(drive):
    scene, its = drive
    frames = [scene.truth(float(t)) for t in STAMPS_S]
    assert its.audible[0].tolist() == [bool(frame.audible[0]) for frame in frames]
    assert its.visible[0] == pytest.approx([frame.visible_fraction[0] for frame in frames])
    assert its.distance_m[0] == pytest.approx([frame.distance_m[0] for frame in frames])
    assert [len(frame) for frame in its.truth] == [len(frame.labels()) for frame in frames]
    assert (its.seed, its.setting) == (9, 'country')


def test_vehicle_beyond_the_horizon_is_inaudible_with_unknown_distance(drive):
    scene, _ = drive
    far = replace(scene.vehicles[0], motion=Motion(145.0, -10.0, lane=0.5))
    its = with_truth(replace(scene, vehicles=(far,)), 9, STAMPS_S, 10.0, {})
    there = np.isfinite(its.distance_m[0])
    assert not there[0]
    assert there[-1]
    assert not its.audible[0, ~there].any()
    assert not its.visible[0, ~there].any()
    assert np.isfinite(its.places_m).all()


def test_ground_drives_detect_every_window_and_keep_the_best_100_boxes(rig, tmp_path, counted):
    """A detector finds 150 boxes; the best 100 are kept, as in the detector node."""
    calls = []

    def detect(spectrogram, beyond_image):
        calls.append((spectrogram.shape, beyond_image))
        scores = np.linspace(0.9, 0.01, 150).astype(np.float32)
        return Detections(np.tile(np.float32([1, 2, 30, 40]), (150, 1)), scores)

    contract = SimpleNamespace(label_offset_s=-0.5)
    fewer, all_pairs = (
        SimpleNamespace(contract=contract, sha256=digest, front_end=FrontEnd(pair_count=pairs))
        for digest, pairs in (('4' * 64, 12), ('5' * 64, 28))
    )
    fewer.detect, all_pairs.detect = detect, lambda *window, **how: Detections()
    plan = GroundPlan(1.6, 4.0, {'a': fewer, 'b': all_pairs}, rig)
    (drive,) = ground_drives(plan, [300_003], tmp_path / 'deep', counted)
    assert counted.totals == {'drives': 1} == dict(counted.done)
    assert calls == 3 * [((64, 80, 173), True), ((64, 80, 173), False)], 'both lists'
    assert drive.stamps_s == pytest.approx([0.5, 0.75, 1.0], abs=1e-3)
    for found in (*drive.detections['a'], *drive.in_image['a']):
        assert len(found) == 100
        assert found.scores[[0, -1]] == pytest.approx([0.9, 0.9 - 0.89 * 99 / 149], abs=1e-4)
    assert (drive.seed, len(drive.ego), len(drive.truth)) == (300_003, 5, 3)
    (again,) = ground_drives(plan, [300_003], tmp_path / 'deep')
    assert len(calls) == 6, 'read from disk'
    assert_same(again, drive)
    (path,) = (tmp_path / 'deep').iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    ground_drives(plan, [300_003], tmp_path / 'deep')
    assert len(calls) == 12, 'a damaged file is replaced'
    write(path, replace(drive, in_image={}))
    (again,) = ground_drives(plan, [300_003], tmp_path / 'deep')
    assert len(calls) == 18, 'so is an old file without the list of boxes in the image'
    assert_same(again, drive)
    (tmp_path / 'file').write_text('')
    with pytest.raises(AvdetError, match='expected a folder, found'):
        write(tmp_path / 'file' / 'a.npz', drive)


def assert_same(one, other):
    assert (one.seed, one.setting, one.ego) == (other.seed, other.setting, other.ego)
    names = ('stamps_s', 'ids', 'places_m', 'velocities_mps', 'audible', 'visible', 'distance_m')
    for name in names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for a, b in zip(one.truth, other.truth, strict=True):
        for name in ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db'):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    for mine, its in ((one.detections, other.detections), (one.in_image, other.in_image)):
        assert list(mine) == sorted(its)
        for model, frames in mine.items():
            for a, b in zip(frames, its[model], strict=True):
                assert_same_boxes(a, b)


def assert_same_boxes(one, other):
    for name in ('boxes_px', 'scores', 'range_m', 'azimuth_rad'):
        there, before = getattr(one, name), getattr(other, name)
        assert (there is None) == (before is None), name
        if there is not None:
            np.testing.assert_array_equal(there, before, err_msg=name)


def test_drive_file_is_named_after_seed_duration_rate_and_models(drive, rig, tmp_path):
    detectors = {'b': SimpleNamespace(sha256='1' * 64), 'a': SimpleNamespace(sha256='2' * 64)}
    plan = GroundPlan(20.0, 10.0, detectors, rig)
    assert plan.path(tmp_path, 7) == tmp_path / 'ground_7_20s_10hz_22222222-11111111.npz'
    _, its = drive
    write(tmp_path / 'a.npz', its)
    again = read_ground_drive(tmp_path / 'a.npz', 9)
    assert_same(again, its)


def test_ranges_and_bearings_survive_writing_and_reading(drive, tmp_path):
    """One model gives them, the other does not; windows have no, two and one detections."""
    _, its = drive
    counts = [0, 2, 1, *[0] * (len(STAMPS_S) - 3)]
    rng = np.random.default_rng(3)

    def frames(ranged):
        for count in counts:
            more = {}
            if ranged:
                more = {'range_m': rng.random((count, 3)), 'azimuth_rad': rng.random(count)}
            boxes = rng.random((count, 4)).astype(np.float32)
            yield Detections(boxes, np.linspace(0.9, 0.5, count, dtype=np.float32), **more)

    kept = replace(its, detections={'z': list(frames(True)), 'b': list(frames(False))})
    write(tmp_path / 'b.npz', kept)
    assert_same(read_ground_drive(tmp_path / 'b.npz', 9), kept)
