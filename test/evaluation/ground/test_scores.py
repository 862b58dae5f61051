"""Tracks in metres against the truth, on a synthetic drive."""

from __future__ import annotations

from dataclasses import replace
import re

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.ground.drives import GroundDrive, read_ground_drive, write_ground_drive
from avdet_ros.evaluation.ground.scores import (
    coverage,
    ground_errors,
    interval,
    road_rows,
    row,
    size_errors,
)
from avdet_ros.evaluation.ground.study import (
    every_in_metres,
    image_table,
    metres_table,
)
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.tracking.ego_motion import PlanarPose

STEPS, AHEAD = 30, 5


def synthetic_drive(rig, factor=1.0):
    """The ego vehicle passes at 5 m/s a vehicle that stands 30 m ahead, 6 m to the left."""
    times = np.arange(STEPS + AHEAD) / 10
    places = np.stack([30 - 5 * times, np.full(len(times), 6.0)], axis=-1)
    found, truth = [], []
    for x, y in places[:STEPS]:
        place = np.array([x, y, 0.8])
        range_m = np.linalg.norm(place - rig.array_position_m) * factor
        (px, py), _ = rig.camera.project(place)
        box = np.array([[px - 800 / x, py - 800 / x, px + 800 / x, py + 800 / x]], np.float32)
        ranges = (range_m * np.array([[0.7, 1, 1.4]])).astype(np.float32)
        angle = np.array([np.arctan2(y, x)], np.float32)
        found.append(Detections(box, np.array([0.9], np.float32), ranges, angle))
        truth.append(TruthFrame.of(box, [7]))
    return GroundDrive(
        seed=1,
        setting='city',
        stamps_s=times[:STEPS],
        ego=[PlanarPose(5 * t, 0.0, 0.0) for t in times],
        ids=np.array([7]),
        places_m=places[None],
        velocities_mps=np.zeros((1, len(times), 2)),
        audible=np.ones((1, STEPS), bool),
        visible=np.ones((1, STEPS)),
        distance_m=np.hypot(*places[None, :STEPS].T).T,
        truth=truth,
        detections={'model': found},
        in_image={'model': found},
    )


def test_true_detections_give_accurate_tracks(rig):
    errors = ground_errors([synthetic_drive(rig)], 'model', rig)
    assert errors.alone == 0
    assert coverage(errors.column('distance2')) == 1
    late = errors.column('age_s') > 1.5
    assert np.abs(errors.column('bearing_deg')[late]).max() < 2
    assert np.median(errors.column('speed_error_mps')[late]) < 1.5
    assert np.median(np.abs(errors.column('log_range')[late])) < 0.1


def test_wrong_ranges_lower_the_ellipse_coverage(rig):
    errors = ground_errors([synthetic_drive(rig, factor=0.2)], 'model', rig)
    assert coverage(errors.column('distance2')[:10]) < 0.5


def test_velocities_are_compared_as_relative_without_odometry(rig):
    errors = ground_errors([synthetic_drive(rig)], 'model', rig, odometry=False)
    late = errors.column('age_s') > 1.5
    assert np.median(errors.column('speed_error_mps')[late]) < 2.5


def test_drive_is_read_as_it_was_written(rig, tmp_path):
    drive = synthetic_drive(rig)
    write_ground_drive(tmp_path / 'kept' / 'drive.npz', drive)
    back = read_ground_drive(tmp_path / 'kept' / 'drive.npz', 1)
    assert back.ego == drive.ego
    assert back.rate_hz == pytest.approx(10)
    for mine, its in zip(drive.detections['model'], back.detections['model'], strict=True):
        for name in ('boxes_px', 'scores', 'range_m', 'azimuth_rad'):
            np.testing.assert_array_equal(getattr(mine, name), getattr(its, name))
    one, two = (ground_errors([each], 'model', rig).table for each in (drive, back))
    np.testing.assert_allclose(one, two)


def test_ellipse_coverage_is_reported_by_kind_of_road(rig):
    drives = [
        synthetic_drive(rig),
        replace(synthetic_drive(rig, factor=0.2), setting='country'),
        synthetic_drive(rig),
    ]
    errors = ground_errors(drives, 'model', rig)
    country, city = road_rows(errors, ['country' if k == 1 else 'city' for k in range(3)])[::-1]
    assert city[:3] == ['city', '2', '100 % (100 to 100)']
    assert country[:2] == ['country', '1']
    assert int(country[2].split()[0]) < 80
    assert int(city[4]) + int(country[4]) == len(errors.table)


def test_tables_have_one_row_per_tracker_and_model(rig):
    drive = synthetic_drive(rig)
    metres, distances, roads = (
        part.splitlines() for part in metres_table([drive], ['model'], rig).split('\n\n')[::2]
    )
    assert [line.split('|')[1].strip() for line in distances[2:]] == [
        f'{low} to {high} m' for low, high in ((0, 10), (10, 20), (20, 40), (40, 70), (70, 100))
    ]
    assert '(1)' in distances[4]
    assert distances[6].split('|')[2:6] == [' - (0) '] * 3 + [' - ']
    assert [line.split('|')[1].strip() for line in metres[2:]] == [
        'model, odometry',
        'model, none',
    ]
    assert len({line.count('|') for line in metres}) == 1
    cells = row('name', ground_errors([drive], 'model', rig))
    assert float(cells[3].split('°')[0]) < 2, 'the bearing error of heard vehicles'
    assert cells[3].split(' / ')[1].startswith(('nan', '0', '1', '2'))
    assert 0 <= float(cells[-2].removesuffix(' m/s')) < 3
    assert cells[0] == 'name'
    assert re.fullmatch(r'[+-]\d+ %', distances[4].split('|')[5].strip())
    assert len(roads) == 3
    assert roads[2].startswith('| city | 1 | ')
    for line in (*metres, *distances, *roads):
        assert re.fullmatch(r'\|(( [^|]* |---)\|)+', line), line
    image = image_table([drive], ['model'], rig).splitlines()
    names = [line.split('|')[3].strip() for line in image[2:]]
    assert names == 2 * ['IoU, tuned', 'motion, tuned', 'ByteTrack (trackers), tuned', 'ground']
    ground = next(line for line in image if '| 10 | model | ground |' in line)
    assert float(ground.split('|')[6]) > 0.8, 'HOTA of one vehicle that is always visible'


def test_high_window_rates_are_thinned_to_about_10_hz():
    assert [every_in_metres(rate) for rate in (5, 10, 12, 20, 40)] == [1, 1, 1, 2, 4]


def test_image_trackers_use_only_detections_in_the_image(rig):
    drive = synthetic_drive(rig)
    nothing = [Detections()] * STEPS
    image = image_table([replace(drive, in_image={'model': nothing})], ['model'], rig)
    hota = {
        line.split('|')[3].strip(): float(line.split('|')[6])
        for line in image.splitlines()
        if line.startswith('| 10 ')
    }
    assert hota.pop('ground') > 0.8
    assert set(hota.values()) == {0.0}


def test_ranges_from_box_size_are_compared_with_true_ranges(rig):
    """The boxes show objects 1.6 m high and 6 m to the left, so ranges from size are right."""
    drive = synthetic_drive(rig)
    focal = rig.camera.fy
    boxes, found = np.float32([-0.8, -0.8, 0.8, 0.8]) * focal, []
    for step, each in enumerate(drive.detections['model']):
        depth_m = drive.places_m[0, step, 0] - rig.camera.position_m[0]
        middle = (each.boxes_px[:, :2] + each.boxes_px[:, 2:]) / 2
        found.append(Detections(np.tile(middle, 2) + boxes / depth_m, each.scores))
    drive = replace(drive, detections={'model': found})
    near = drive.places_m[0, :STEPS, 0] > 12
    errors = size_errors([drive], 'model', rig)[: near.sum()]
    assert len(errors) == near.sum() > 3
    assert np.abs(errors).max() < 0.15
    text = metres_table([drive], ['model'], rig).splitlines()[-1]
    assert re.fullmatch(
        r'Ranges by the size .* off by 0\.\d\d in the .*, \d+ detections\)\.', text
    )


def test_interval_contains_its_value_and_is_nan_without_drives(rig):
    errors = ground_errors([synthetic_drive(rig), synthetic_drive(rig, factor=1.3)], 'model', rig)
    low, high = interval(errors, np.ones(len(errors.table), bool))
    assert low <= coverage(errors.column('distance2')) <= high
    assert row('name', ground_errors([], 'model', rig))[1] == 'nan % (nan to nan)'
