"""The filter on the ground plane against closed-form results."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.tracking import ground_filter
from avdet_ros.tracking.ground_filter import (
    FASTEST_MPS,
    LARGEST_RANGE_ERROR,
    LOG_RANGE,
    LOG_RANGE_ERROR,
    SURPRISING,
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


def test_variance_of_independent_errors_falls_as_one_over_n():
    ground = GroundFilter(at(20, 5), WHITE, speed_mps=1e-6)
    for _ in range(8):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(20, 5))
    spread = np.sqrt(np.diag(ground.covariance)[:2])
    np.testing.assert_allclose(spread, [0.02 / 3, 0.3 / 3], rtol=1e-3)


def test_persistent_error_is_not_averaged_out():
    noise = GroundNoise(
        range_share=1.0, range_error_share=1.0, range_error_s=1e9, acceleration=0.0
    )
    ground = GroundFilter(at(20, 5), noise, speed_mps=1e-6)
    for _ in range(99):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(20, 5))
    expected = 0.3**2 * (1 + 1 / 100)
    assert ground.covariance[LOG_RANGE, LOG_RANGE] == pytest.approx(expected, rel=1e-3)


def test_driving_past_a_standing_vehicle_reveals_its_range():
    """Bearings over a baseline of 10 m triangulate; the measured range is 50 % too long."""
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
    # Not better than bearings of this error from both ends of the baseline allow.
    bound = noise.bearing_error_rad / 2 * 15.0 / 10.0
    assert np.sqrt(covariance[:2, :2].trace()) / 15.0 > bound / 4


def test_position_is_the_median_with_the_second_moment_about_it():
    ground = GroundFilter(at(30, -12, std=0.4), WHITE, speed_mps=5.0)
    ground.covariance[0, 0] = np.radians(0.5) ** 2
    plane, covariance = ground.on_plane()
    rng = np.random.default_rng(1)
    samples = rng.multivariate_normal(ground.state, ground.covariance, 200_000)
    away = np.exp(samples[:, 1])
    places = np.stack([away * np.cos(samples[:, 0]), away * np.sin(samples[:, 0])], axis=1)
    assert np.hypot(*plane[:2]) == pytest.approx(np.median(away), rel=0.01)
    apart = places - plane[:2]
    second = apart.T @ apart / len(apart)
    np.testing.assert_allclose(covariance[:2, :2], second, rtol=0.06, atol=0.3)


places = st.tuples(st.floats(-60, 60), st.floats(-60, 60)).filter(lambda p: np.hypot(*p) > 4)
speeds = st.tuples(st.floats(-20, 20), st.floats(-20, 20))


def filter_with(place, speed):
    ground = GroundFilter(at(*place), GroundNoise(), speed_mps=5.0)
    ground.state[2:4] = speed
    return ground


@settings(max_examples=60, deadline=None)
@given(place=places, speed=speeds, moved=speeds, angle=st.floats(-3, 3))
def test_prediction_does_not_depend_on_the_frame(place, speed, moved, angle):
    """Rotation before or after a prediction gives the same state."""
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
def test_predict_moves_the_mean_linearly_and_covariance_by_jacobian(place, speed, moved):
    ground, moved = filter_with(place, speed), np.array(moved) * 0.1
    after_m = np.array(place) + 0.1 * np.array(speed) - moved
    if np.hypot(*after_m) < 2:
        return
    noiseless = GroundNoise(
        acceleration=0.0, bearing_error_rad=0.0, range_error_share=0.0, range_error_s=1e9
    )
    ground.noise = noiseless
    ground.covariance = np.eye(6) * 1e-6
    jacobian = np.zeros((6, 6))
    for column in range(4):
        ends = []
        for sign in (1, -1):
            twin = ground.copy()
            twin.state[column] += sign * 1e-5
            twin.predict(0.1, HERE, moved)
            ends.append(twin.state)
        apart = ends[0] - ends[1]
        apart[0] = wrap(apart[0])
        jacobian[:, column] = apart / 2e-5
    jacobian[4, 4], jacobian[5, 5] = np.exp(-0.1 / noiseless.bearing_error_s), 1.0
    expected = jacobian @ ground.covariance @ jacobian.T
    ground.predict(0.1, HERE, moved)
    away = np.exp(ground.state[1])
    np.testing.assert_allclose(
        away * np.array([np.cos(ground.state[0]), np.sin(ground.state[0])]), after_m, atol=1e-6
    )
    np.testing.assert_allclose(ground.covariance, expected, atol=1e-10)


@pytest.mark.parametrize(
    ('surprising', 'least', 'most'), [(np.inf, 0.83, 0.96), (None, 0.86, 0.985)]
)
def test_ellipses_contain_their_share_if_the_model_is_true(monkeypatch, surprising, least, most):
    """Of vehicles drawn from the model of the filter, 90 % lie in their 90 % ellipses.

    One bearing in eleven is surprising by chance: if surprises widen ellipses, more lie inside.
    """
    if surprising is not None:
        monkeypatch.setattr(ground_filter, 'SURPRISING', surprising)
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
    assert least < np.mean(inside) < most


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 3), st.floats(-3.1, 3.1), st.floats(0, 5.5), st.floats(0.05, 1.2), speeds
        ),
        max_size=12,
    )
)
def test_covariance_stays_valid_for_any_measurements(steps):
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


def test_array_drift_widens_only_the_position():
    ground = GroundFilter(at(20, 0), WHITE, speed_mps=1e-6)
    before = ground.covariance.copy()
    ground.predict(0.0, HERE, HERE, extra_m=3.0)
    grown = ground.covariance - before
    assert np.diag(grown) == pytest.approx([9 / 400, 9 / 400, 0, 0, 0, 0], abs=1e-12)


def test_white_acceleration_noise_matches_the_closed_form():
    """The vehicle is 20 m to the left: x is across, y along the line of sight."""
    noise = GroundNoise(acceleration=2.0, bearing_error_s=1e9, range_error_s=1e9)
    ground = GroundFilter(at(0, 20), noise, speed_mps=0.0)
    before = ground.covariance.copy()
    ground.predict(0.5, HERE, HERE, widening=1.5)
    grown = ground.covariance - before
    density = 9.0
    place, cross, speed = density * 0.5**3 / 3, density * 0.5**2 / 2, density * 0.5
    assert grown[0, 0] == pytest.approx(place / 400)
    assert grown[LOG_RANGE, LOG_RANGE] == pytest.approx(place / 400)
    assert np.diag(grown)[2:4] == pytest.approx([speed, speed])
    # Here the bearing increases towards negative x, the range along y.
    assert grown[0, 2] == pytest.approx(-cross / 20)
    assert grown[LOG_RANGE, 3] == pytest.approx(cross / 20)
    assert grown[0, 3] == pytest.approx(0, abs=1e-12)


def test_persistent_errors_decay_and_are_renewed():
    noise = GroundNoise(
        bearing_error_rad=0.03, bearing_error_s=2.0, range_error_share=0.5, range_error_s=4.0
    )
    ground = GroundFilter(at(20, 5), noise, speed_mps=1.0)
    ground.state[4:] = [0.02, -0.1]
    ground.covariance[4, 4], ground.covariance[5, 5] = 0.0, 0.0
    ground.covariance[[0, 4, 1, 5], [4, 0, 5, 1]] = 0.0
    ground.predict(1.0, HERE, HERE)
    assert ground.state[4:] == pytest.approx([0.02 * np.exp(-0.5), -0.1 * np.exp(-0.25)])
    renewed = [0.03**2 * (1 - np.exp(-1)), (0.5 * 0.3) ** 2 * (1 - np.exp(-0.5))]
    assert np.diag(ground.covariance)[4:] == pytest.approx(renewed)


def test_first_covariance_combines_white_and_persistent_errors():
    noise = GroundNoise(
        bearing_rad=0.02, bearing_error_rad=0.03, range_share=0.4, range_error_share=0.5
    )
    ground = GroundFilter(at(20, 5, std=0.3), noise, speed_mps=7.0)
    lasting = [0.03**2, 0.15**2]
    expected = [0.02**2 + lasting[0], 0.12**2 + lasting[1], 49, 49, *lasting]
    assert np.diag(ground.covariance) == pytest.approx(expected)
    assert ground.covariance[0, 4] == pytest.approx(-lasting[0])
    assert ground.covariance[5, 1] == pytest.approx(-lasting[1])
    # A repeated measurement there differs only by the white part of both.
    apart, spread = ground.innovation(at(20, 5, std=0.3))
    assert apart == pytest.approx([0, 0])
    assert np.diag(spread) == pytest.approx([2 * 0.02**2, 2 * 0.12**2])


def test_turn_rotates_the_velocity_and_adds_an_offset():
    ground = GroundFilter(at(20, 0), WHITE, speed_mps=2.0)
    ground.state[2:4] = [3.0, 1.0]
    ground.covariance[2, 2] = 9.0
    ground.turn(np.pi / 2, np.array([10.0, 20.0]), 5.0)
    assert ground.state[:4] == pytest.approx([np.pi / 2, np.log(20), 9, 23])
    assert np.diag(ground.covariance)[2:4] == pytest.approx([4 + 25, 9 + 25])


def test_implausible_state_and_covariance_are_limited():
    ground = GroundFilter(at(20, 0, std=9.0), GroundNoise(range_share=1.0), speed_mps=500.0)
    spread = np.sqrt(np.diag(ground.covariance))
    assert (spread[LOG_RANGE], spread[2], spread[3]) == pytest.approx((1.5, 100, 100))
    near = GroundFilter(at(3, 0), WHITE, speed_mps=1.0)
    near.predict(1.0, HERE, np.array([3.0, 0.1]))
    assert near.state[LOG_RANGE] == pytest.approx(0)
    far = GroundFilter(at(299, 0), WHITE, speed_mps=1.0)
    far.predict(1.0, HERE, np.array([-50.0, 0.0]))
    assert far.state[LOG_RANGE] == pytest.approx(np.log(300))
    assert wrap(np.pi + 0.1) == pytest.approx(0.1 - np.pi)
    assert wrap(-7.0) == pytest.approx(2 * np.pi - 7)


def test_surprising_bearing_widens_the_covariance():
    ground = GroundFilter(at(30, 0), GroundNoise(), 10.0)
    for _ in range(10):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(30, 0))
    ground.predict(0.1, HERE, HERE)
    _, spread = ground.innovation(at(30, 0))
    bearing_std = np.sqrt(spread[0, 0])

    def after(deviations):
        twin = ground.copy()
        turned = deviations * bearing_std
        twin.correct(at(30 * np.cos(turned), 30 * np.sin(turned)))
        return np.diag(twin.covariance)

    expected, barely, far = after(0.0), after(0.99 * SURPRISING), after(2.0 * SURPRISING)
    np.testing.assert_allclose(barely, expected)
    assert np.all(far > 2 * expected)


def test_bearings_of_another_vehicle_leave_no_overconfident_position():
    """A car crosses at 12 m; then measurements of another one standing at 35 m follow."""
    noise = GroundNoise()
    ground = GroundFilter(at(12, -8, std=0.65), noise, 10.0)
    for step in range(1, 12):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(12, -8 + 1.2 * step, std=0.65))
    standing = np.array([34.0, 9.0])
    for _ in range(15):
        ground.predict(0.1, HERE, HERE)
        ground.correct(at(*standing, std=0.65))
        plane, covariance = ground.on_plane()
    apart = plane[:2] - standing
    assert apart @ np.linalg.solve(covariance[:2, :2], apart) < 4.605
    assert np.hypot(*plane[2:]) < 12.0


def test_is_implausible_detects_impossible_states():
    ground = GroundFilter(at(30, 0, std=0.4), GroundNoise(), 10.0)
    assert not ground.is_implausible(FASTEST_MPS)
    ground.state[2:4] = 0.8 * FASTEST_MPS
    assert ground.is_implausible(FASTEST_MPS)
    assert not ground.is_implausible(2 * FASTEST_MPS)
    ground.state[2:4] = 0.0
    ground.state[LOG_RANGE_ERROR] = -0.4 * LARGEST_RANGE_ERROR - 0.01
    assert ground.is_implausible(FASTEST_MPS)
    ground.state[LOG_RANGE_ERROR] = -0.4 * LARGEST_RANGE_ERROR + 0.01
    assert not ground.is_implausible(FASTEST_MPS)
