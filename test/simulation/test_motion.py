"""Position and speed of a vehicle match numeric derivatives and hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.angles import AHEAD_M, box_angles
from avdet_ros.simulation.motion import LaneChange, Motion, Slowing
from avdet_ros.simulation.white_noise import noise_bank

TIMES_S = np.linspace(-6.0, 14.0, 201)
STEP_S = 1e-5

MOTION = Motion(
    start_m=30.0,
    speed_mps=-12.0,
    sway_m=1.5,
    sway_rate_rad_s=0.7,
    sway_phase_rad=0.4,
    lane=-0.5,
    changes=(LaneChange(1.0, 2.0, 3.0), LaneChange(-2.0, 8.0, 4.0)),
    slowings=(Slowing(-8.0, 4.0, 1.2), Slowing(-3.0, 9.0, 0.8)),
)


def slope(function):
    return (function(TIMES_S + STEP_S) - function(TIMES_S - STEP_S)) / (2 * STEP_S)


@pytest.mark.parametrize('part', [MOTION.changes[0], MOTION.changes[1]])
def test_lane_change_starts_and_ends_without_lateral_speed(part):
    begin, end = part.middle_s - part.length_s / 2, part.middle_s + part.length_s / 2
    assert part.part([begin - 1, begin, part.middle_s, end, end + 1]) == pytest.approx(
        [0, 0, 0.5, 1, 1]
    )
    assert part.part_per_s([begin, part.middle_s, end, end + 9]) == pytest.approx(
        [0, 2 / part.length_s, 0, 0], abs=1e-12
    )
    assert part.part_per_s(TIMES_S) == pytest.approx(slope(part.part), abs=1e-6)
    assert part.part(begin + 0.25 * part.length_s) == pytest.approx(0.25 - 1 / (2 * np.pi))


def test_distance_lost_by_slowing_is_integral_of_lost_speed():
    slowing = Slowing(6.0, 4.0, 1.2)
    assert slowing.mps([4.0, 4.0 + 1.2, 100.0, 1e9]) == pytest.approx(
        [6, 6 / np.cosh(1) ** 2, 0, 0], abs=1e-12
    )
    assert slowing.way_m([4.0, 1e3, -1e3]) == pytest.approx([0, 7.2, -7.2])
    assert slowing.mps(TIMES_S) == pytest.approx(slope(slowing.way_m), abs=1e-6)


def test_speeds_along_and_across_road_are_position_derivatives():
    assert MOTION.along_mps(TIMES_S) == pytest.approx(slope(MOTION.along_m), abs=1e-5)
    assert MOTION.lanes_per_s(TIMES_S) == pytest.approx(slope(MOTION.lane_at), abs=1e-6)


def test_position_along_road_matches_hand_calculation():
    t = 5.0
    expected = 30 - 60 + 1.5 * np.sin(3.5 + 0.4)
    expected += 8 * 1.2 * np.tanh(1 / 1.2) + 3 * 0.8 * np.tanh(-4 / 0.8)
    assert MOTION.along_m(t) == pytest.approx(expected)
    assert MOTION.lane_at([0.0, 5.0, 20.0]) == pytest.approx([-0.5, 0.5, -1.5])
    plain = Motion(5.0, 3.0, lane=1.5)
    assert (plain.along_m(2.0), plain.along_mps(2.0)) == (11.0, 3.0)
    assert (plain.lane_at(2.0), plain.lanes_per_s(2.0)) == (1.5, 0)


def test_body_box_matches_level_camera_at_array():
    """Its corners on the plane x = 1 are y = tan(azimuth), z = tan(elevation) / cos(azimuth)."""
    rng = np.random.default_rng(0)
    corners = rng.uniform([10, 4, -1.5], [14, 9, 0.8], (40, 3))
    azimuth, elevation, width, height = np.radians(box_angles(corners))
    plane = corners[:, 1:] / corners[:, :1]
    assert np.tan(azimuth + width / 2) == pytest.approx(plane[:, 0].max())
    assert np.tan(azimuth - width / 2) == pytest.approx(plane[:, 0].min())
    assert np.tan(elevation + height / 2) / np.cos(azimuth) == pytest.approx(plane[:, 1].max())
    assert np.tan(elevation - height / 2) / np.cos(azimuth) == pytest.approx(plane[:, 1].min())
    corners[3, 0] = AHEAD_M
    assert np.isnan(box_angles(corners)).all()
    corners[3, 0] = AHEAD_M + 1e-6
    assert np.isfinite(box_angles(corners)).all()


def test_noise_bank_is_white_with_unit_mean_square():
    bank = noise_bank(16000, 1 << 14)
    power = bank.spectra_re.astype(np.float64) ** 2 + bank.spectra_im.astype(np.float64) ** 2
    frame = 2 * (bank.spectra_re.shape[1] - 1)
    # The Hann window has a mean square of three eighths.
    assert power[:, 1:-1].mean() == pytest.approx(frame * 0.375, rel=0.04)
    quarters = [part.mean() for part in np.array_split(power[:, 1:-1], 4, axis=1)]
    assert np.ptp(quarters) / np.mean(quarters) < 0.05
    assert noise_bank(16000, 1 << 14) is bank
