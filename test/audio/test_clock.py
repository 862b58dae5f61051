"""The sample clock against simulated sound cards with known times, faster than real time."""

import numpy as np
import pytest

from avdet_ros.audio.clock import SampleClock

RATE = 44100
BLOCK = 1024
EPOCH_S = 1.7e9


def late_s(rng, count):
    """Lateness of readings on a busy machine: mostly a fraction of a millisecond, heavy-tailed.

    One reading in fifty waits for the scheduler, and twice a minute everything stops.
    """
    late = rng.exponential(0.3e-3, count)
    late += np.where(rng.random(count) < 0.02, 2e-3 * rng.pareto(1.5, count), 0)
    stalls = rng.random(count) < 1 / (30 * RATE / BLOCK)
    for start in np.flatnonzero(stalls):
        late[start : start + 20] += np.linspace(0.4, 0, 20)[: len(late[start : start + 20])]
    return np.minimum(late, 0.8)


def run(seconds, drift, seed=0, skip_s=5.0):
    """Feed a clock and return its errors in seconds, one a block, after `skip_s`."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * RATE / BLOCK)) * BLOCK / RATE
    late = late_s(rng, len(times))
    clock = SampleClock()
    errors = np.empty(len(times))
    for index, time_s in enumerate(times):
        truth = EPOCH_S + time_s * (1 + drift)
        clock.update(time_s, truth + late[index])
        errors[index] = clock.to_ros(time_s) - truth
    return clock, errors[times > skip_s], times[times > skip_s]


@pytest.mark.parametrize('drift', [100e-6, pytest.param(-100e-6, marks=pytest.mark.slow)])
def test_error_stays_small_over_an_hour_at_100_ppm(drift):
    clock, errors, times = run(3600, drift)
    assert np.percentile(np.abs(errors), 99) < 0.5e-3
    assert np.abs(errors).max() < 2e-3
    assert np.abs(errors[times > 3000]).max() < 0.2e-3
    assert clock.drift == pytest.approx(drift, abs=3e-6)
    assert clock.jumps == 0


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('drift', [200e-6, 0.0, -200e-6])
def test_stamps_are_accurate_after_half_a_second(seed, drift):
    _, errors, _ = run(60, drift, seed, skip_s=0.5)
    assert np.percentile(np.abs(errors), 99) < 2e-3


def test_one_late_reading_does_not_move_the_clock():
    clock = SampleClock()
    for block in range(200):
        clock.update(block * 0.02, 100 + block * 0.02)
    before = clock.to_ros(4.0)
    clock.update(4.0, 104.0 + 0.9)
    assert clock.to_ros(4.0) == before
    assert clock.lateness_s == pytest.approx(0.9)
    assert clock.jumps == 0


def test_one_early_reading_does_not_move_the_clock():
    clock = SampleClock()
    for block in range(200):
        clock.update(block * 0.02, 100 + block * 0.02)
    clock.update(4.0, 104.0 - 0.5)
    assert clock.to_ros(4.0) == pytest.approx(104.0)
    assert clock.jumps == 0


@pytest.mark.parametrize('jump_s', [3600.0, 2.0, 0.3, 0.02, -0.02, -0.3, -2.0, -3600.0])
def test_clock_jump_is_followed(jump_s):
    rng = np.random.default_rng(4)
    clock = SampleClock()
    found_after = None
    for block in range(4000):
        time_s = block * BLOCK / RATE
        truth = EPOCH_S + time_s * (1 + 50e-6) + (jump_s if time_s > 40 else 0)
        clock.update(time_s, truth + rng.exponential(0.3e-3))
        if time_s > 40 and found_after is None and abs(clock.to_ros(time_s) - truth) < 2e-3:
            found_after = time_s - 40
    assert clock.jumps == 1
    assert found_after < 1.5
    assert clock.to_ros(time_s) == pytest.approx(truth, abs=2e-3)


def test_paused_ros_clock_is_followed_after_it_resumes():
    """With simulated time the ROS clock may pause while sound continues."""
    clock = SampleClock()
    ros_s = 50.0
    for block in range(6000):
        if not 1000 < block < 3000:
            ros_s += 0.02
        clock.update(block * 0.02, ros_s)
    assert clock.to_ros(5999 * 0.02) == pytest.approx(ros_s, abs=2e-3)
    assert abs(clock.drift) < 1e-4


def test_clock_is_not_ready_before_the_first_reading():
    clock = SampleClock()
    assert not clock.ready
    with pytest.raises(RuntimeError):
        clock.to_ros(0.0)
    clock.update(0.0, 1.0)
    assert clock.ready
    clock.reset()
    assert not clock.ready


def test_clock_set_back_by_over_a_second_jumps_at_once():
    clock = SampleClock()
    for block in range(200):
        assert not clock.update(block * 0.02, 100 + block * 0.02)
    assert clock.update(4.0, 102.0)
    assert clock.jumps == 1
    assert clock.to_ros(4.0) == pytest.approx(102.0)


def test_clock_set_ahead_by_over_a_second_jumps_at_once():
    clock = SampleClock()
    for block in range(200):
        clock.update(block * 0.02, 100 + block * 0.02)
    assert clock.update(4.0, 106.0)
    assert clock.to_ros(4.0) == pytest.approx(106.0)
