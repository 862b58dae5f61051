"""Samples that a card lost, from arrivals that are known to the microsecond."""

from __future__ import annotations

import pytest

from avdet_ros.audio.dropouts import LossFinder

RATE_HZ = 44100
BLOCK = 441
BLOCK_S = 0.01


def told(arrivals, overflows=(), finder=None):
    """The finder's answers to blocks of 10 ms that arrive at these times."""
    finder = finder or LossFinder(RATE_HZ)
    return [finder.add(BLOCK, arrival_s, i in overflows) for i, arrival_s in enumerate(arrivals)]


def steady(count, late_s=0.0, first=0):
    return [7.0 + BLOCK_S * (first + i + 1) + late_s for i in range(count)]


def test_blocks_in_time_lose_nothing():
    # Any of them may come late.
    arrivals = [t + 0.004 * (i % 3) for i, t in enumerate(steady(300))]
    assert told(arrivals) == [0] * 300


@pytest.mark.parametrize('lost', [45, 441, 2205, 44100])
def test_after_an_overflow_the_step_of_the_edge_is_what_was_lost(lost):
    arrivals = steady(150) + steady(60, lost / RATE_HZ, 150)
    answers = told(arrivals, {150})
    assert answers[:150] == [0] * 150
    # It is believed once it has stood for a quarter of a second.
    assert answers[150:175] == [None] * 25
    assert answers[175] == lost
    assert answers[176:] == [0] * 34


def test_an_overflow_that_lost_less_than_a_millisecond_lost_nothing():
    arrivals = steady(150) + steady(60, 0.0009, 150)
    assert told(arrivals, {150})[150:] == [None] * 25 + [0] * 35


def test_a_backlog_is_worked_off_before_the_loss_is_counted():
    """The blocks after the overflow come 0.4 s late, then faster than they were captured."""
    backlog = [max(0.4 - 0.02 * i, 0.1) for i in range(100)]
    arrivals = steady(150) + [
        t + late for t, late in zip(steady(100, first=150), backlog, strict=True)
    ]
    answers = told(arrivals, {150})
    number = next(i for i, answer in enumerate(answers) if answer)
    assert number == 150 + 15 + 25
    assert answers[number] == 4410
    assert None not in answers[number:]


def test_a_second_overflow_while_waiting_begins_no_second_wait():
    arrivals = steady(150) + steady(60, 0.1, 150)
    assert told(arrivals, {150, 160})[175] == 4410


def test_an_unannounced_loss_is_believed_after_half_a_second():
    arrivals = steady(150) + steady(100, 0.1, 150)
    answers = told(arrivals)
    assert answers[:200] == [0] * 200
    assert answers[200] == 4410
    assert answers[201:] == [0] * 49


@pytest.mark.parametrize('late_s', [0.049, 0.02])
def test_a_small_unannounced_step_is_a_buffer_that_was_shifted(late_s):
    assert told(steady(150) + steady(300, late_s, 150)) == [0] * 450


def test_blocks_that_were_held_up_for_a_while_lose_nothing():
    """For 0.4 s all come late; then one in time shows that nothing is missing."""
    arrivals = steady(150) + steady(40, 0.3, 150) + steady(200, 0.0, 190)
    assert told(arrivals) == [0] * 390
    # And a second time, the wait begins anew.
    arrivals = steady(150) + steady(40, 0.3, 150) + steady(1, 0, 190) + steady(40, 0.3, 191)
    assert told(arrivals) == [0] * 231


def test_a_clock_that_drifts_is_followed():
    """The edge rises by 100 ppm, by 3 ms in half a minute: that is no loss."""
    arrivals = [t * (1 + 1e-4) for t in steady(3000)]
    assert told(arrivals, {2000})[2026:] == [0] * 974


def test_two_losses_are_counted_one_after_the_other():
    arrivals = steady(150) + steady(100, 0.1, 150) + steady(100, 0.3, 250)
    answers = told(arrivals, {150, 250})
    assert [answer for answer in answers if answer] == [4410, 8820]
