"""Frames that cannot be used are named up to a number, counted, and too many stop the run."""

from __future__ import annotations

import pytest

from avdet_ros.dataset.skipped import Skipped
from avdet_ros.errors import AvdetError


def test_five_of_a_hundred_may_fail_and_the_sixth_stops(log_lines):
    skipped = Skipped('labels', 100)
    for number in range(5):
        skipped.add(f'frame {number}')
    words = 'labels: expected at most 5% of 100 frames to be unusable, found 6, the last: frame 5'
    with pytest.raises(AvdetError, match=f'^{words}$'):
        skipped.add('frame 5')
    # The sixth is in the error alone.
    assert log_lines == [f'skipped: frame {number}' for number in range(5)]


def test_one_may_always_fail_and_what_failed_before_counts(log_lines):
    one = Skipped('sound', 3)
    one.add('a')
    one.close()
    assert log_lines == ['skipped: a', 'sound: 1 of 3 frames skipped']
    with pytest.raises(AvdetError, match='found 2, the last: b'):
        one.add('b')
    again = Skipped('sound', 100)
    again.recall(2)
    again.recall(2)
    again.add('a drive', 1)
    with pytest.raises(AvdetError, match='found 8, the last: a drive of three'):
        again.add('a drive of three', 3)


def test_nothing_skipped_is_not_mentioned(log_lines):
    Skipped('sound', 3).close()
    assert log_lines == []
