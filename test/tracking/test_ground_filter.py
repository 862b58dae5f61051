"""The filter on the ground plane against what can be said in closed form."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.tracking.ground_filter import (
    LOG_RANGE,
    GroundFilter,
    GroundNoise,
    PlaneMeasurement,
    wrap,
)

HERE = np.zeros(2)
WHITE = GroundNoise(
    bearing_rad=0.02,
    bearing_error_rad=1e-6,
    range_share=1.0,
    range_error_share=1e-6,
    acceleration=0.0,
)


def at(x_m, y_m, std=0.3):
    return PlaneMeasurement(float(np.arctan2(y_m, x_m)), float(np.log(np.hypot(x_m, y_m))), std)


def test_independent_errors_average_as_one_over_n():
    ground = GroundFilter(at(20, 5), WHITE, speed_mps=1e-6)
    for _ in range(8):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(20, 5))
    spread = np.sqrt(np.diag(ground.covariance)[:2])
    np.testing.assert_allclose(spread, [0.02 / 3, 0.3 / 3], rtol=1e-3)


def test_an_error_that_lasts_is_not_averaged_away():
    noise = GroundNoise(
        range_share=1.0, range_error_share=1.0, range_error_s=1e9, acceleration=0.0
    )
    ground = GroundFilter(at(20, 5), noise, speed_mps=1e-6)
    for _ in range(99):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(20, 5))
    expected = 0.3**2 * (1 + 1 / 100)
    assert ground.covariance[LOG_RANGE, LOG_RANGE] == pytest.approx(expected, rel=1e-3)


def test_driving_past_a_standing_vehicle_shows_its_range():
    """Bearings from a base of 10 m triangulate: the measured range is wrong by half."""
    true_m, noise = np.array([10.0, 15.0]), GroundNoise(acceleration=1e-3)

    def seen(array_m):
        x, y = true_m - array_m
        return PlaneMeasurement(np.arctan2(y, x), np.log(1.5 * np.hypot(x, y)), 0.5)

    ground, before = GroundFilter(seen(HERE), noise, speed_mps=0.01), HERE
    first = np.sqrt(ground.covariance[LOG_RANGE, LOG_RANGE])
    for step in range(1, 51):
        after = np.array([0.2 * step, 0.0])
        ground.predict(0.1, before, after)
        ground.correct(seen(after))
        before = after
    plane, covariance = ground.on_plane()
    assert np.sqrt(ground.covariance[LOG_RANGE, LOG_RANGE]) < first / 3
    assert np.hypot(*(plane[:2] + before - true_m)) < 1.0
    # Not better than bearings of this error from both ends of the base can tell.
    bound = noise.bearing_error_rad / 2 * 15.0 / 10.0
    assert np.sqrt(covariance[:2, :2].trace()) / 15.0 > bound / 4


def test_both_moments_on_the_plane_are_those_of_samples():
    ground = GroundFilter(at(30, -12, std=0.4), WHITE, speed_mps=5.0)
    ground.covariance[0, 0] = np.radians(0.5) ** 2
    plane, covariance = ground.on_plane()
    rng = np.random.default_rng(1)
    samples = rng.multivariate_normal(ground.state, ground.covariance, 200_000)
    away = np.exp(samples[:, 1])
    places = np.stack([away * np.cos(samples[:, 0]), away * np.sin(samples[:, 0])], axis=1)
    np.testing.assert_allclose(plane[:2], places.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(covariance[:2, :2], np.cov(places.T), rtol=0.06, atol=0.3)


places = st.tuples(st.floats(-60, 60), st.floats(-60, 60)).filter(lambda p: np.hypot(*p) > 4)
speeds = st.tuples(st.floats(-20, 20), st.floats(-20, 20))


def filter_with(place, speed):
    ground = GroundFilter(at(*place), GroundNoise(), speed_mps=5.0)
    ground.state[2:4] = speed
    return ground


@settings(max_examples=60, deadline=None)
@given(place=places, speed=speeds, moved=speeds, angle=st.floats(-3, 3))
def test_another_frame_tells_the_same(place, speed, moved, angle):
    """Turned before or after a step: the same vehicle."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    one, two = filter_with(place, speed), filter_with(place, speed)
    moved = np.array(moved) * 0.1
    one.predict(0.1, HERE, moved)
    one.turn(angle, np.zeros(2), 0.0)
    two.turn(angle, np.zeros(2), 0.0)
    two.predict(0.1, HERE, turn @ moved)
    assert abs(wrap(one.state[0] - two.state[0])) < 1e-9
    np.testing.assert_allclose(one.state[1:], two.state[1:], atol=1e-9)
    np.testing.assert_allclose(one.covariance, two.covariance, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(place=places, speed=speeds, moved=speeds)
def test_a_step_moves_the_mean_as_straight_motion_and_the_covariance_as_its_slope(
    place, speed, moved
):
    ground, moved = filter_with(place, speed), np.array(moved) * 0.1
    after_m = np.array(place) + 0.1 * np.array(speed) - moved
    if np.hypot(*after_m) < 2:
        return
    noiseless = GroundNoise(
        acceleration=0.0, bearing_error_rad=0.0, range_error_share=0.0, range_error_s=1e9
    )
    ground.noise = noiseless
    ground.covariance = np.eye(6) * 1e-6
    slope = np.zeros((6, 6))
    for column in range(4):
        ends = []
        for sign in (1, -1):
            twin = ground.copy()
            twin.state[column] += sign * 1e-5
            twin.predict(0.1, HERE, moved)
            ends.append(twin.state)
        apart = ends[0] - ends[1]
        apart[0] = wrap(apart[0])
        slope[:, column] = apart / 2e-5
    slope[4, 4], slope[5, 5] = np.exp(-0.1 / noiseless.bearing_error_s), 1.0
    expected = slope @ ground.covariance @ slope.T
    ground.predict(0.1, HERE, moved)
    away = np.exp(ground.state[1])
    np.testing.assert_allclose(
        away * np.array([np.cos(ground.state[0]), np.sin(ground.state[0])]), after_m, atol=1e-6
    )
    np.testing.assert_allclose(ground.covariance, expected, atol=1e-10)


def test_ellipses_hold_what_they_say_when_the_model_is_true():
    """Vehicles drawn from the filter's own model lie in 90 % of the 90 % ellipses."""
    rng, noise = np.random.default_rng(5), GroundNoise()
    inside = []
    for _ in range(150):
        place = np.array([rng.uniform(15, 40), rng.uniform(-20, 20)])
        speed = rng.normal(0, noise.speed_mps, 2)
        lasting = rng.normal(0, [noise.bearing_error_rad, 0.25 * noise.range_error_share])

        def seen(place, lasting):
            white = rng.normal(0, [noise.bearing_rad, 0.25 * noise.range_share])
            error = lasting + white
            return PlaneMeasurement(
                np.arctan2(place[1], place[0]) + error[0],
                np.log(np.hypot(*place)) + error[1],
                0.25,
            )

        ground = GroundFilter(seen(place, lasting), noise, noise.speed_mps)
        for _ in range(12):
            fade = np.exp(-0.1 / np.array([noise.bearing_error_s, noise.range_error_s]))
            drawn = [noise.bearing_error_rad, 0.25 * noise.range_error_share]
            lasting = fade * lasting + rng.normal(0, drawn * np.sqrt(1 - fade**2))
            kick = rng.normal(0, noise.acceleration * np.sqrt(0.1), 2)
            place, speed = place + 0.1 * speed + 0.05 * kick, speed + kick
            if np.hypot(*place) < 5:
                break
            ground.predict(0.1, HERE, HERE)
            ground.correct(seen(place, lasting))
        else:
            plane, covariance = ground.on_plane()
            apart = plane[:2] - place
            inside.append(apart @ np.linalg.solve(covariance[:2, :2], apart) <= 4.605)
    assert 0.83 < np.mean(inside) < 0.96


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 3), st.floats(-3.1, 3.1), st.floats(0, 5.5), st.floats(0.05, 1.2), speeds
        ),
        max_size=12,
    )
)
def test_whatever_comes_the_covariance_stays_one(steps):
    ground, before = GroundFilter(at(9, 3), GroundNoise(), 10.0), HERE
    for seconds, bearing, log_range, std, moved in steps:
        after = before + np.array(moved)
        ground.predict(seconds, before, after)
        ground.correct(PlaneMeasurement(bearing, log_range, std))
        before = after
        plane, covariance = ground.on_plane()
        assert np.isfinite(ground.state).all()
        assert np.isfinite(plane).all()
        assert np.isfinite(covariance).all()
        assert np.linalg.eigvalsh(covariance)[0] > -1e-6 * np.trace(covariance)
