"""True boxes between two instants, and the report of messages left out."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.errors import AvdetError

BOX = np.array([10.0, 20.0, 40.0, 60.0], np.float32)


@pytest.fixture
def truth():
    """Vehicle 0 moves 100 px in 0.2 s, 1 leaves, 2 appears, an unnamed one stays; then a gap."""
    recorded = object.__new__(RecordedTruth)
    recorded._stamps = [1_000_000_000, 1_200_000_000, 1_500_000_000]
    recorded._boxes = [
        {0: BOX, 1: BOX + 1, -1: BOX + 7},
        {0: BOX + [100, 0, 100, 0], 2: BOX + 2, -1: BOX + 7},
        {0: BOX + 500},
    ]
    return recorded


def at(truth, instant_s):
    boxes, ids = truth.at(round(instant_s * 1e9))
    return dict(zip(ids, boxes.tolist(), strict=True))


def test_boxes_at_a_recorded_instant_are_unchanged(truth):
    for instant_s in (1.0, 0.9995, 1.0005):
        assert at(truth, instant_s) == {
            0: [10, 20, 40, 60],
            1: [11, 21, 41, 61],
            -1: [17, 27, 47, 67],
        }
    assert truth.at(1_500_900_000)[1] == [0]


def test_boxes_between_two_instants_are_interpolated_linearly(truth):
    early, late = at(truth, 1.05), at(truth, 1.15)
    assert early[0] == pytest.approx([35, 20, 65, 60])
    assert late[0] == pytest.approx([85, 20, 115, 60])
    assert (set(early), set(late)) == ({0, 1, -1}, {0, 2, -1})
    assert early[1] == [11, 21, 41, 61]
    assert late[2] == [12, 22, 42, 62]
    boxes, _ = truth.at(1_050_000_000)
    assert (boxes.dtype, boxes.shape) == (np.float32, (3, 4))


@pytest.mark.parametrize('instant_s', [0.998, 1.3, 1.498, 1.502])
def test_truth_is_none_before_after_and_in_a_gap(truth, instant_s):
    assert truth.at(round(instant_s * 1e9)) is None


def test_step_of_a_quarter_of_a_second_is_no_gap(truth):
    truth._stamps[2] = 1_450_000_000
    assert at(truth, 1.3)[0] is not None
    truth._stamps[2] = 1_450_000_001
    assert truth.at(1_300_000_000) is None
    empty = object.__new__(RecordedTruth)
    empty._stamps, empty._boxes = [], []
    assert empty.at(5) is None


def test_left_out_messages_are_counted_and_the_first_is_named(caplog):
    caplog.set_level('INFO')
    left = LeftOut('bag: /topic')
    assert left.sentence is None
    left.check()
    left.good = 10
    for number in range(5):
        left.add(AvdetError(f'reason {number}'))
    left.check()
    assert left.sentence == '5 of 15 messages left out, the first: reason 0'
    assert left.reasons == ['reason 0', 'reason 1', 'reason 2']
    assert [each.message for each in caplog.records] == [
        f'left out: reason {number}' for number in range(3)
    ]
    left.good = 5
    left.check()
    left.good = 4
    with pytest.raises(AvdetError, match=r'^reason 0; 5 of 9 messages are like that$'):
        left.check()
    left.good = 0
    with pytest.raises(AvdetError, match=r'^reason 0$'):
        left.check()
