"""The filter of a box against equations worked by hand."""

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
    # 10 px of measurement, 70 px/s of first velocity, 70 px/s^1.5 of acceleration.
    assert kalman.covariance[0, 0, 0] == pytest.approx(10**2 + 70**2 + 70**2 / 3)
    assert kalman.covariance[0, 0, 1] == pytest.approx(70**2 + 70**2 / 2)
    assert kalman.covariance[0, 1, 1] == pytest.approx(70**2 + 70**2)
    # The size's logarithms have no pixels.
    assert kalman.covariance[2, 0, 0] == pytest.approx(0.1**2 + 0.7**2 + 0.7**2 / 3)


def test_two_steps_are_one_of_twice_the_time():
    once, twice = box_filter(), box_filter()
    once.predict(0.5)
    twice.predict(0.2)
    twice.predict(0.3)
    assert twice.covariance == pytest.approx(once.covariance)


def test_a_tall_box_is_uncertain_by_its_width_across_and_its_height_down():
    kalman = box_filter(TALL)
    assert kalman.covariance[0, 0, 0] == pytest.approx((0.1 * 50) ** 2)
    assert kalman.covariance[1, 0, 0] == pytest.approx((0.1 * 200) ** 2)


def test_a_detection_of_equal_uncertainty_is_met_half_way():
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


def test_a_box_is_its_centre_and_the_logarithms_of_its_size():
    assert to_coordinates(TALL) == pytest.approx([125, 400, np.log(50), np.log(200)])
    assert to_box(to_coordinates(TALL)) == pytest.approx(TALL)
    # Nothing is smaller than a pixel, or larger than e^12.
    assert to_coordinates(np.array([5.0, 5, 5, 5.5])).tolist() == [5, 5.25, 0, 0]
    assert to_box(np.array([10.0, 20, -3, -3])) == pytest.approx([9.5, 19.5, 10.5, 20.5])
    assert to_box(np.array([0.0, 0, 13, 0]))[2] == pytest.approx(np.exp(12) / 2)


def test_a_size_that_grows_goes_on_growing_by_the_same_factor():
    kalman = box_filter(TALL, measurement=1e-4, acceleration=1e-6)
    kalman.predict(1.0)
    kalman.correct(np.array([75.0, 200.0, 175.0, 600.0]))  # twice as large about the middle
    kalman.predict(1.0)
    assert kalman.box_px == pytest.approx([25, 0, 225, 800], abs=0.2)


def test_uncertainty_after_a_detection_by_joseph_is_the_textbooks():
    kalman = box_filter(TALL)
    kalman.predict(0.4)
    before = kalman.covariance[1].copy()
    noise = (0.1 * 200) ** 2
    kalman.correct(TALL)
    expected = np.linalg.inv(np.linalg.inv(before) + np.diag([1 / noise, 0]))
    assert kalman.covariance[1] == pytest.approx(expected)
