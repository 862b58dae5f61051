"""Hand-made scores of boxes whose vehicles are known to sound or not."""

from __future__ import annotations

from helpers.plane_waves import column_px, plane_wave
import numpy as np
import pytest

from avdet_ros.evaluation.sounding import directions
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.evaluation.sounding.hand_made import ROWS, first_then, scored
from avdet_ros.evaluation.sounding.ranking import rank
from avdet_ros.simulation import cnossos

DRIVE = 'drive_day_2030_01_01_10_00_00'


@pytest.mark.parametrize('azimuth_deg', [-31, 0, 18])
def test_response_peaks_in_the_direction_of_the_wave(rig, azimuth_deg):
    heard = directions.received([plane_wave(rig, azimuth_deg)], rig)
    for values in (heard.coherent, heard.level_db):
        best = directions.AZIMUTHS_DEG[values[0].argmax()]
        assert best == pytest.approx(azimuth_deg, abs=1.0)
    assert heard.coherent.max() > 0.8
    assert heard.level_db.max() <= 0.01


def test_level_uses_the_a_weighting(rig):
    quiet, loud = (
        directions.received([plane_wave(rig, 0, level)], rig).total_db for level in (-60.0, -40.0)
    )
    assert loud - quiet == pytest.approx(20, abs=1e-3)
    expected = cnossos.A_WEIGHTING_DB
    assert directions.a_weighting_db(cnossos.BANDS_HZ) == pytest.approx(expected, abs=0.2)


def test_array_scores_separate_sounding_from_silent_vehicles(rig, sounding_drives, make_vehicle):
    """A distant vehicle sounds, a near one is parked: nearness is wrong, the array is right."""
    frames = []
    for index, side in enumerate((20, -10, 25, 5)):
        left, right = (column_px(rig, azimuth) for azimuth in (side, side - 25))
        frames.append(
            [
                make_vehicle(2 * index, left, 55.0, distance_m=40.0),
                make_vehicle(2 * index + 1, right, None, speed_mps=0.0, distance_m=10.0),
            ]
        )
    boxes = true_boxes(*sounding_drives({DRIVE: frames}))
    heard = directions.received([plane_wave(rig, side) for side in (20, -10, 25, 5)], rig)
    sides = directions.box_sides_deg(boxes.boxes_px, rig)
    middle = sides.mean(axis=1)
    assert middle[::2] == pytest.approx([20, -10, 25, 5], abs=1.5)
    area = {
        row.title: rank(scored(row, boxes, heard, sides), boxes.sounds).roc_auc for row in ROWS
    }
    assert area['constant'] == 0.5
    assert area['nearest'] == 0.0
    assert area['moves first, then nearness'] == 1.0
    assert area['steered response'] == 1.0
    assert area['steered level'] == 1.0
    assert area['steered level against the other boxes'] == 1.0


def test_box_of_unknown_distance_gets_the_median_score(sounding_drives, make_vehicle):
    frames = [[make_vehicle(1, 500, 50.0), make_vehicle(2, 700, 50.0, distance_m=10.0)]]
    boxes = true_boxes(*sounding_drives({DRIVE: frames}))
    boxes.distance_m[0] = np.nan
    row = next(row for row in ROWS if row.title == 'nearest')
    assert scored(row, boxes, None, None).tolist() == [-10, -10]
    assert first_then([True, False], np.array([1.0, 2.0])).tolist() == pytest.approx(
        [4 / 3, 2 / 3]
    )


def test_best_other_box_is_of_the_same_frame():
    best = directions.best_of_others(np.array([1.0, 5, 3, 9]), np.array([0, 0, 0, 1]))
    assert best.tolist() == [5, 3, 5, -np.inf]
