"""Unusable frames are logged and counted; too many of them stop the run."""

from __future__ import annotations

import pytest

from avdet_ros.dataset.skipped import Skipped
from avdet_ros.errors import AvdetError


def test_five_of_100_frames_may_fail_and_the_sixth_raises(log_lines):
    skipped = Skipped('labels', 100)
    for number in range(5):
        skipped.add(f'frame {number}')
    words = 'labels: expected at most 5% of 100 frames to be unusable, found 6, the last: frame 5'
    with pytest.raises(AvdetError, match=f'^{words}$'):
        skipped.add('frame 5')
    # The sixth appears only in the error.
    assert log_lines == [f'skipped: frame {number}' for number in range(5)]


def test_one_frame_may_always_fail_and_earlier_failures_count(log_lines):
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


def test_nothing_is_logged_without_skipped_frames(log_lines):
    Skipped('sound', 3).close()
    assert log_lines == []
