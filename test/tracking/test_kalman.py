"""The Kalman filter of a box against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.tracking.kalman import BoxFilter, to_box, to_coordinates

BOX = np.array([100.0, 300.0, 200.0, 400.0])
TALL = np.array([100.0, 300.0, 150.0, 500.0])


def box_filter(box=BOX, measurement=0.1, velocity=0.7, acceleration=0.7):
    return BoxFilter(box, measurement, velocity, acceleration)


def test_uncertainty_grows_as_white_acceleration_integrated_twice():
    kalman = box_filter()
    kalman.predict(1.0)
    # 10 px of measurement, 70 px/s of initial velocity, 70 px/s^1.5 of acceleration.
    assert kalman.covariance[0, 0, 0] == pytest.approx(10**2 + 70**2 + 70**2 / 3)
    assert kalman.covariance[0, 0, 1] == pytest.approx(70**2 + 70**2 / 2)
    assert kalman.covariance[0, 1, 1] == pytest.approx(70**2 + 70**2)
    # Logarithms of the size have no unit.
    assert kalman.covariance[2, 0, 0] == pytest.approx(0.1**2 + 0.7**2 + 0.7**2 / 3)


def test_two_steps_equal_one_step_of_the_same_duration():
    once, twice = box_filter(), box_filter()
    once.predict(0.5)
    twice.predict(0.2)
    twice.predict(0.3)
    assert twice.covariance == pytest.approx(once.covariance)


def test_position_uncertainty_scales_with_box_width_and_height():
    kalman = box_filter(TALL)
    assert kalman.covariance[0, 0, 0] == pytest.approx((0.1 * 50) ** 2)
    assert kalman.covariance[1, 0, 0] == pytest.approx((0.1 * 200) ** 2)


def test_equally_uncertain_detection_moves_the_box_halfway():
    kalman = box_filter(velocity=0.0, acceleration=0.0)
    kalman.correct(BOX + [40, 20, 40, 20])
    assert kalman.box_px == pytest.approx(BOX + [20, 10, 20, 10])
    assert kalman.covariance[0, 0, 0] == pytest.approx(50)  # half of 10^2


def test_velocity_is_learned_from_two_detections():
    kalman = box_filter(measurement=1e-4, acceleration=1e-6)
    kalman.predict(0.5)
    kalman.correct(BOX + [30, -10, 30, -10])
    kalman.predict(1.0)
    assert kalman.box_px == pytest.approx(BOX + [90, -30, 90, -30], abs=0.1)


def test_box_coordinates_are_centre_and_log_size():
    assert to_coordinates(TALL) == pytest.approx([125, 400, np.log(50), np.log(200)])
    assert to_box(to_coordinates(TALL)) == pytest.approx(TALL)
    # Sizes are limited to one pixel up to e^12 pixels.
    assert to_coordinates(np.array([5.0, 5, 5, 5.5])).tolist() == [5, 5.25, 0, 0]
    assert to_box(np.array([10.0, 20, -3, -3])) == pytest.approx([9.5, 19.5, 10.5, 20.5])
    assert to_box(np.array([0.0, 0, 13, 0]))[2] == pytest.approx(np.exp(12) / 2)


def test_growing_size_continues_by_the_same_factor():
    kalman = box_filter(TALL, measurement=1e-4, acceleration=1e-6)
    kalman.predict(1.0)
    kalman.correct(np.array([75.0, 200.0, 175.0, 600.0]))  # twice as large about the middle
    kalman.predict(1.0)
    assert kalman.box_px == pytest.approx([25, 0, 225, 800], abs=0.2)


def test_corrected_covariance_matches_the_textbook_formula():
    kalman = box_filter(TALL)
    kalman.predict(0.4)
    before = kalman.covariance[1].copy()
    noise = (0.1 * 200) ** 2
    kalman.correct(TALL)
    expected = np.linalg.inv(np.linalg.inv(before) + np.diag([1 / noise, 0]))
    assert kalman.covariance[1] == pytest.approx(expected)
