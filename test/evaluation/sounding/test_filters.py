"""Labels that a filter keeps, on frames whose sounding vehicles are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.dataset.label_filter import KEEP, OPEN, ROAD, read_filtered
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG, Received, box_sides_deg
from avdet_ros.evaluation.sounding.filters import (
    Thresholds,
    by_score,
    by_truth,
    check_speeds,
    strip_px,
    write_filter,
)

DRIVE = 'drive_day_2030_01_01_10_00_00'


@pytest.fixture
def written_set(sounding_drives, make_vehicle):
    """Three frames: two boxes and a hidden vehicle, one box, and no vehicle."""
    frames = [
        [
            make_vehicle(1, 400, 55.0),
            make_vehicle(2, 1500, None, speed_mps=0.0),
            make_vehicle(3, 960, 50.0, visible_fraction=0.1),
        ],
        [make_vehicle(1, 960, 50.0)],
        [],
    ]
    return sounding_drives({DRIVE: frames})


def heard_from(*azimuths_deg):
    """Sound of -40 dB from everywhere, and -3 dB from one direction in each frame."""
    level = np.full((len(azimuths_deg), len(AZIMUTHS_DEG)), -40.0, np.float32)
    for row, azimuth in zip(level, azimuths_deg, strict=True):
        row[np.abs(AZIMUTHS_DEG - azimuth).argmin()] = -3
    return Received(np.zeros_like(level), level, np.zeros(len(level), np.float32))


def test_by_truth_leaves_silent_and_hidden_vehicles_open(written_set):
    root, drives = written_set
    boxes = true_boxes(root, drives)
    found = by_truth(boxes, root, boxes.sounds, hidden=True)
    assert [its.verdict.tolist() for its in found] == [[KEEP, OPEN], [KEEP], []]
    assert found[0].open_px.tolist() == [[920, 300, 1000, 360]]
    assert len(found[0].left_open_px) == 2
    assert not len(by_truth(boxes, root, boxes.sounds, hidden=False)[0].open_px)
    counts = write_filter(root / 'labels', 'oracle', boxes, found)
    assert counts == {'kept': 2, 'open': 1, 'road': 0, 'hidden': 1}
    again = read_filtered(root / 'labels', 'oracle', DRIVE)
    assert [len(its.boxes_px) for its in again.values()] == [2, 1, 0]


def test_by_score_keeps_sure_boxes_and_turns_quiet_ones_into_road(written_set, rig):
    boxes = true_boxes(*written_set)
    left, right, middle = box_sides_deg(boxes.boxes_px, rig).mean(axis=1)
    assert left > middle > right
    chance = np.array([0.9, 0.1, 0.5])
    found = by_score(boxes, chance, heard_from(left, 35.0, 35.0), rig, Thresholds(quiet=0.4))
    assert found[0].verdict.tolist() == [KEEP, ROAD]
    assert found[0].score == pytest.approx([0.9, 0.1])
    # No box lies where the sound of the second and third frame comes from.
    assert found[1].verdict.tolist() == [OPEN]
    np.testing.assert_allclose(found[1].open_px, [strip_px(35.0, rig)])
    assert len(found[2].open_px) == 1
    unsure = by_score(boxes, chance, heard_from(left, middle, 35.0), rig, Thresholds(0.95, 0.2))
    assert unsure[0].verdict.tolist()[0] == KEEP, 'the box in the direction of the sound stays'
    assert unsure[1].verdict.tolist() == [KEEP]
    assert not len(unsure[1].open_px)


def test_strip_covers_its_direction(rig):
    left, top, right, bottom = strip_px(0.0, rig)
    assert left < rig.camera.cx < right
    assert (top, bottom) == (0, rig.camera.height_px)
    assert strip_px(43.0, rig)[0] == 0
    assert 60 < right - left < 120


def test_check_speeds_rejects_unknown_speeds(written_set):
    boxes = true_boxes(*written_set)
    check_speeds(boxes, 'labels')
    unknown = replace(boxes, speed_mps=np.full(len(boxes), np.nan))
    with pytest.raises(AvdetError, match='whose speed the truth knows, for what moves, found'):
        check_speeds(unknown, 'labels')
