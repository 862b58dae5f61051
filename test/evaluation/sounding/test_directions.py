"""Sound by direction: A-weighting against the standard's table, bands, and boxes by hand."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import FRONT_DEG
from avdet_ros.evaluation.sounding.directions import (
    AZIMUTHS_DEG,
    a_weighting_db,
    at_boxes,
    band_middles_hz,
    band_widths,
    best_of_others,
    box_sides_deg,
)

# IEC 61672-1:2013, table 3
A_WEIGHTING = {
    31.5: -39.4,
    63: -26.2,
    125: -16.1,
    250: -8.6,
    500: -3.2,
    1000: 0,
    2000: 1.2,
    4000: 1.0,
    8000: -1.1,
    16000: -6.6,
}


def test_a_weighting_matches_the_standard():
    # The nominal frequencies stand for powers of 10^0.1.
    exact_hz = 1000 * 10.0 ** (np.round(10 * np.log10(np.array(list(A_WEIGHTING)) / 1000)) / 10)
    assert a_weighting_db(exact_hz) == pytest.approx(list(A_WEIGHTING.values()), abs=0.06)
    assert a_weighting_db(np.zeros(1))[0] < -100


def test_directions_go_from_left_to_right_in_one_degree_steps():
    assert AZIMUTHS_DEG[[0, -1]].tolist() == [FRONT_DEG, -FRONT_DEG]
    assert (np.diff(AZIMUTHS_DEG) == -1).all()


def test_band_middles_and_widths_match_the_mel_filters():
    """In white noise all bands have the same mean power; total power grows with their width."""
    front_end = FrontEnd()
    middles = band_middles_hz(front_end)
    assert (np.diff(middles) > 0).all()
    assert 20 < middles[0] < 100
    assert middles[-1] == pytest.approx(21_000, rel=0.04)
    widths = band_widths(front_end)
    filters = front_end.mel_filters
    top = filters[40].max()
    assert widths[40] == pytest.approx(filters[40].sum() / top)
    # A triangle's area over its height: half its foot.
    foot = np.count_nonzero(filters[70])
    assert widths[70] == pytest.approx(foot / 2, rel=0.1)


def test_box_gets_the_largest_value_within_its_sides_and_margin():
    values = np.zeros((2, len(AZIMUTHS_DEG)))
    place = {degree: AZIMUTHS_DEG.tolist().index(degree) for degree in (-14, 10, 13)}
    values[0, place[10]], values[0, place[13]], values[1, place[-14]] = 0.3, 0.9, 0.7
    sides = np.array([[10.0, 6], [9.9, 6], [10, 6], [-10, -12], [-9.9, -10.1]])
    frame = np.array([0, 0, 1, 1, 1])
    assert at_boxes(values, frame, sides).tolist() == [0.9, 0.3, 0, 0.7, 0]
    assert at_boxes(values, frame, sides, 1.0).tolist() == [0.3, 0.3, 0, 0, 0]
    # A box between two directions still gets the nearest one.
    narrow = np.array([[10.3, 10.2]])
    assert at_boxes(values, np.array([0]), narrow, 0.0).tolist() == [0.3]


def test_best_of_others_compares_boxes_of_the_same_frame():
    values, frame = np.array([3.0, 7, 5, 1, 2]), np.array([0, 0, 0, 2, 4])
    assert best_of_others(values, frame).tolist() == [7, 5, 7, -np.inf, -np.inf]


def test_sides_of_a_distant_box_match_the_camera_view(rig):
    camera = rig.camera
    left, right = camera.cx - 0.2 * camera.fx, camera.cx + 0.1 * camera.fx
    # For a distant box, its foot just below the horizon, array and camera agree.
    box = np.array([[left, camera.cy - 20, right, camera.cy + 0.02 * camera.fy]])
    sides = box_sides_deg(box, rig)[0]
    assert sides == pytest.approx(np.degrees([np.arctan(0.2), -np.arctan(0.1)]), abs=0.5)
