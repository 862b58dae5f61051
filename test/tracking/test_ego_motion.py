"""The path of the ego vehicle from incoming odometry."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.tracking.ego_motion import EgoMotion, PlanarPose


def circular_motion(speed_mps=10.0, turn_rad_s=0.2, until_s=2.0, start_s=100.0):
    motion = EgoMotion()
    for step in range(round(until_s * 50) + 1):
        t = step / 50
        yaw = turn_rad_s * t
        radius = speed_mps / turn_rad_s
        motion.add(start_s + t, radius * math.sin(yaw), radius * (1 - math.cos(yaw)), yaw)
    return motion


@pytest.mark.parametrize('t', [-0.1, 0.0, 0.5, 1.234, 2.0, 2.2])
def test_circular_path_is_interpolated_and_extrapolated(t):
    pose = circular_motion().at(100.0 + t)
    expected = (50 * math.sin(0.2 * t), 50 * (1 - math.cos(0.2 * t)), 0.2 * t)
    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx(expected, abs=0.02)


def test_path_is_extrapolated_for_half_a_second_at_both_ends():
    motion = circular_motion()
    assert motion.at(102.45) is not None
    assert motion.at(99.55) is not None
    assert motion.at(99.45) is None
    assert motion.at(102.55) is None
    assert EgoMotion().at(1.0) is None


def test_speed_is_correct_from_the_first_pose():
    motion = circular_motion(speed_mps=-8.0, turn_rad_s=1e-6)
    assert [motion.speed_mps(100.0 + t) for t in (0.0, 0.1, 1.0)] == pytest.approx([-8.0] * 3)


def test_jump_is_left_out_and_reported():
    motion = circular_motion(turn_rad_s=1e-6)
    message = motion.add(102.02, 500.0, 0.0, 0.0)
    assert 'found one of 480.0 m' in message
    assert motion.add(102.04, 500.2, 0.0, 0.0) == ''
    assert motion.jumps == 1
    assert motion.at(102.04).x_m == pytest.approx(20.4, abs=0.01)


def test_time_reset_restarts_the_path_and_late_pose_is_left_out():
    motion = circular_motion()
    assert 'left out' in motion.add(101.9, 0.0, 0.0, 0.0)
    assert motion.at(102.0).x_m == pytest.approx(50 * math.sin(0.4), abs=0.01)
    assert 'started again' in motion.add(3.0, 0.0, 0.0, 0.0)
    motion.add(3.1, 1.0, 0.0, 0.0)
    assert motion.at(3.05).x_m == pytest.approx(0.5)
    assert motion.at(101.0) is None


@pytest.mark.parametrize('place', range(4))
@pytest.mark.parametrize('value', [math.nan, math.inf, 1e9])
def test_non_finite_or_huge_odometry_is_rejected(place, value):
    if value == 1e9 and place in (0, 3):
        return
    motion = circular_motion()
    values = [103.0, 1.0, 2.0, 0.1]
    values[place] = value
    with pytest.raises(AvdetError, match='odometry: expected finite'):
        motion.add(*values)
    assert motion.at(102.0) is not None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(-9, 9)),
        max_size=20,
    )
)
def test_poses_are_always_finite(steps):
    motion, stamp_s = EgoMotion(), 50.0
    for step_s, x_m, y_m, yaw in steps:
        stamp_s += step_s
        motion.add(stamp_s, x_m, y_m, yaw)
        pose = motion.at(stamp_s + 0.1)
        assert pose is None or np.isfinite([pose.x_m, pose.y_m, pose.yaw_rad]).all()


def test_place_transforms_a_point_to_the_fixed_frame():
    place = PlanarPose(3.0, 4.0, math.pi / 2).place(np.array([2.0, 1.0, 9.0]))
    assert place == pytest.approx([2.0, 6.0])


@pytest.mark.parametrize(
    ('step_m', 'turn', 'is_jump'),
    [(2.4, 0.0, False), (2.6, 0.0, True), (0.0, 0.17, False), (0.0, -0.19, True)],
)
def test_step_beyond_vehicle_limits_is_a_jump(step_m, turn, is_jump):
    """In 20 ms: 2 m and 0.08 rad of motion, plus 0.5 m and 0.1 rad of odometry error."""
    motion = EgoMotion()
    motion.add(10.0, 5.0, 7.0, 0.3)
    message = motion.add(10.02, 5.0, 7.0 + step_m, 0.3 + turn)
    assert bool(message) == is_jump
    assert motion.jumps == is_jump


@pytest.mark.parametrize(
    ('back_s', 'words'),
    [(0.0, ''), (0.0005, ''), (-0.0005, ''), (0.0015, 'left out'), (4.9, 'left out')],
)
def test_repeated_stamps_are_ignored_and_earlier_ones_are_reported(back_s, words):
    motion = circular_motion(turn_rad_s=1e-6)
    message = motion.add(102.0 - back_s, 900.0, 0.0, 0.0)
    assert words in message if words else message == ''
    assert motion.at(102.0).x_m == pytest.approx(20)
    assert (motion.jumps, motion.returns) == (0, 0)


def test_jump_back_of_over_five_seconds_restarts_the_path():
    motion = circular_motion()
    assert 'found one 5.100 s back: started again' in motion.add(96.9, 0.0, 0.0, 0.0)
    assert motion.returns == 1


def test_extrapolated_poses_continue_a_straight_path():
    motion = circular_motion(turn_rad_s=1e-6)
    assert motion.at(99.55).x_m == pytest.approx(-4.5)
    assert motion.at(99.45) is None
    assert motion.at(102.4).x_m == pytest.approx(24)
    assert motion.newest_s() == 102.0
    assert EgoMotion().newest_s() == -math.inf


def test_path_keeps_twenty_seconds():
    motion = EgoMotion()
    for step in range(300):
        motion.add(step / 10, step / 10, 0.0, 0.0)
    assert motion.at(9.95).x_m == pytest.approx(9.95)
    assert motion.at(9.0) is None


def test_extrapolation_speed_tolerates_jitter_of_poses():
    """Poses are 10 ms apart with a jitter of 5 cm."""
    motion = EgoMotion()
    for step in range(100):
        motion.add(step / 100, 0.1 * step + 0.05 * (step % 2), 0.0, 0.0)
    speed = (motion.at(1.19).x_m - motion.at(0.99).x_m) / 0.2
    assert speed == pytest.approx(10, abs=0.6)


@pytest.mark.parametrize('speed_mps', [10.0, -3.0, 0.0])
def test_speed_is_signed_along_the_heading(speed_mps):
    motion = circular_motion(speed_mps)
    assert motion.speed_mps(101.0) == pytest.approx(speed_mps, abs=0.01)
    assert motion.speed_mps(102.1) == pytest.approx(speed_mps, abs=0.05), 'extrapolated'
    assert motion.speed_mps(102.3) is None
    assert EgoMotion().speed_mps(101.0) is None


def test_jump_does_not_affect_speed_and_excessive_speed_is_unknown():
    motion = circular_motion(turn_rad_s=1e-6)
    motion.add(102.02, 500.0, 0.0, 0.0)
    for step in range(2, 15):
        motion.add(102.0 + 0.02 * step, 500.0 + 0.2 * (step - 1), 0.0, 0.0)
    assert motion.speed_mps(102.02) == pytest.approx(10.0, abs=0.1)
    fast = EgoMotion()
    for step in range(60):  # each step is slightly below the limit of a jump
        fast.add(100 + 0.02 * step, 2.4 * step, 0.0, 0.0)
    assert fast.speed_mps(100.6) is None
