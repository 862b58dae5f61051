"""Bearings of boxes seen from the camera, and scores of quiet drives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.of_boxes import (
    WindowRecord,
    bearings_of,
    box_azimuth_deg,
    found_bearings,
    true_bearings,
)
from avdet_ros.evaluation.bearings.quiet_drives import OTHER_CUT, quiet_drives, quiet_scores
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.tracking.iou import IouTracker


@pytest.fixture
def wide(rig):
    """A level camera facing ahead: fx 500, principal point at 800, 300."""
    ahead = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    camera = replace(rig.camera, fx=500.0, fy=700.0, cx=800.0, cy=300.0, rotation=ahead)
    return replace(rig, camera=camera)


def box(x, y=300, half=10):
    return [x - half, y - half, x + half, y + half]


def test_box_azimuth_is_of_its_centre_and_positive_to_the_left(wide):
    boxes = np.array([box(800), box(300), box(1300, half=70)])
    assert box_azimuth_deg(boxes, wide) == pytest.approx([0, 45, -45])
    # Above the axis too, the azimuth is that of the ray seen from above.
    assert box_azimuth_deg(np.array([box(300, 100)]), wide) == pytest.approx([45])
    assert box_azimuth_deg(np.zeros((0, 4)), wide).shape == (0,)


def test_bearings_keep_ranges_scores_levels_and_visibility(wide):
    boxes = np.array([box(300), box(800)], np.float32)
    ranges = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    found = found_bearings(Detections(boxes, np.array([0.5, 0.7], np.float32), ranges), wide)
    assert (found.azimuth_deg, found.scores) == (
        pytest.approx([45, 0]),
        pytest.approx([0.5, 0.7]),
    )
    assert found.range_m.tolist() == ranges.tolist()
    assert found_bearings(Detections(boxes, np.ones(2)), wide).range_m is None
    frame = TruthFrame(
        boxes, np.array([3, 4]), np.array([9.0, 20]), np.array([0.2, 1]), np.array([-3.0, 4])
    )
    true = true_bearings(frame, wide)
    assert true.azimuth_deg == pytest.approx([45, 0])
    assert [value.tolist() for value in vars(true).values()][1:4] == [[9, 20], [-3, 4], [0.2, 1]]


def test_bearings_use_the_camera_of_each_drive(wide):
    turned = replace(wide, camera=replace(wide.camera, cx=300.0))
    record = DriveRecord('x', [1.0], [TruthFrame.of([box(300)], [1])])
    record.detections = {'a': [Detections(np.array([box(800)]), np.ones(1))], 'b': []}
    drives = bearings_of([WindowRecord(record, wide), WindowRecord(record, turned)], 'a')
    pairs = [(found.azimuth_deg[0], true.azimuth_deg[0]) for ((found, true),) in drives]
    assert pairs[0] == pytest.approx((0, 45))
    assert pairs[1] == pytest.approx((-45, 0))


def test_quiet_drive_count_follows_the_requested_minutes():
    """Drives of twenty seconds give windows after the first full second: 19.1 s."""
    assert quiet_drives(60) == round(3600 / 19.1)
    assert quiet_drives(10, OTHER_CUT) == round(600 / 9.1)
    assert quiet_drives(0.01) == 1


def test_false_vehicles_are_counted_as_tracks_per_minute():
    record = DriveRecord('x', [k / 10 for k in range(30)], [TruthFrame.of([], [])] * 30)
    at = Detections(np.array([[100.0, 100, 200, 200]]), np.array([0.9]))
    away = Detections(np.array([[900.0, 100, 990, 200]]), np.array([0.9]))
    nothing = Detections()
    record.detections = {'a': [at] * 6 + [nothing] * 18 + [away] * 6}
    scores = quiet_scores([record, record], 'a', IouTracker(new_track_threshold=0.5), 10.0)
    assert (scores['minutes'], scores['vehicles']) == (pytest.approx(0.1), 4)
    assert scores['a_minute'] == pytest.approx(40)
    assert scores['shown'] == pytest.approx(24 / 60, abs=0.001)
