"""Samples lost by a sound card are counted from exactly known arrival times."""

from __future__ import annotations

import pytest

from avdet_ros.audio.dropouts import LossFinder

RATE_HZ = 44100
BLOCK = 441
BLOCK_S = 0.01


def find_losses(arrivals, overflows=(), finder=None):
    """The finder's answers to blocks of 10 ms that arrive at these times."""
    finder = finder or LossFinder(RATE_HZ)
    return [finder.add(BLOCK, arrival_s, i in overflows) for i, arrival_s in enumerate(arrivals)]


def steady(count, late_s=0.0, first=0):
    return [7.0 + BLOCK_S * (first + i + 1) + late_s for i in range(count)]


def test_blocks_on_time_report_no_loss():
    # Some blocks are up to 8 ms late.
    arrivals = [t + 0.004 * (i % 3) for i, t in enumerate(steady(300))]
    assert find_losses(arrivals) == [0] * 300


@pytest.mark.parametrize('lost', [45, 441, 2205, 44100])
def test_loss_after_an_overflow_is_the_step_in_arrival_times(lost):
    arrivals = steady(150) + steady(60, lost / RATE_HZ, 150)
    answers = find_losses(arrivals, {150})
    assert answers[:150] == [0] * 150
    # The loss is reported once the step has lasted for a quarter of a second.
    assert answers[150:175] == [None] * 25
    assert answers[175] == lost
    assert answers[176:] == [0] * 34


def test_overflow_step_below_a_millisecond_is_no_loss():
    arrivals = steady(150) + steady(60, 0.0009, 150)
    assert find_losses(arrivals, {150})[150:] == [None] * 25 + [0] * 35


def test_loss_is_counted_after_the_backlog_is_worked_off():
    """Blocks after the overflow are 0.4 s late, then arrive faster than they were captured."""
    backlog = [max(0.4 - 0.02 * i, 0.1) for i in range(100)]
    arrivals = steady(150) + [
        t + late for t, late in zip(steady(100, first=150), backlog, strict=True)
    ]
    answers = find_losses(arrivals, {150})
    number = next(i for i, answer in enumerate(answers) if answer)
    assert number == 150 + 15 + 25
    assert answers[number] == 4410
    assert None not in answers[number:]


def test_second_overflow_while_waiting_does_not_restart_the_wait():
    arrivals = steady(150) + steady(60, 0.1, 150)
    assert find_losses(arrivals, {150, 160})[175] == 4410


def test_loss_without_overflow_is_reported_after_half_a_second():
    arrivals = steady(150) + steady(100, 0.1, 150)
    answers = find_losses(arrivals)
    assert answers[:200] == [0] * 200
    assert answers[200] == 4410
    assert answers[201:] == [0] * 49


@pytest.mark.parametrize('late_s', [0.049, 0.02])
def test_small_step_without_overflow_is_no_loss(late_s):
    assert find_losses(steady(150) + steady(300, late_s, 150)) == [0] * 450


def test_temporarily_delayed_blocks_report_no_loss():
    """All blocks are late for 0.4 s; then one on time shows that nothing is missing."""
    arrivals = steady(150) + steady(40, 0.3, 150) + steady(200, 0.0, 190)
    assert find_losses(arrivals) == [0] * 390
    # A second delay restarts the wait.
    arrivals = steady(150) + steady(40, 0.3, 150) + steady(1, 0, 190) + steady(40, 0.3, 191)
    assert find_losses(arrivals) == [0] * 231


def test_clock_drift_is_no_loss():
    """Arrival times drift by 100 ppm, 3 ms in half a minute, which is no loss."""
    arrivals = [t * (1 + 1e-4) for t in steady(3000)]
    assert find_losses(arrivals, {2000})[2026:] == [0] * 974


def test_consecutive_losses_are_counted_separately():
    arrivals = steady(150) + steady(100, 0.1, 150) + steady(100, 0.3, 250)
    answers = find_losses(arrivals, {150, 250})
    assert [answer for answer in answers if answer] == [4410, 8820]
