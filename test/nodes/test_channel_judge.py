"""Blocks are joined until they are worth judging, and never across a gap."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.nodes.channel_judge import JUDGED_S, ChannelJudge
from avdet_ros.sources.base import Block

pytestmark = pytest.mark.ros

RATE_HZ = 1000


class Judged:
    """Keeps what it is handed, as levels or as the array."""

    def __init__(self):
        self.sums, self.blocks, self.cleared = [], [], 0

    def add(self, first, sums=None):
        self.sums.append(sums or first)
        if sums is not None:
            self.blocks.append(first)

    def clear(self):
        self.cleared += 1

    reset = clear


@pytest.fixture
def judge():
    levels, array = Judged(), Judged()
    return ChannelJudge(RATE_HZ, levels, array), levels, array


def block(first, count, lost=0, kind=np.int16):
    samples = (np.arange(first, first + count)[:, None] * np.ones(8)).astype(kind)
    return Block(samples, first, first / RATE_HZ, lost)


def test_sound_is_judged_once_there_are_forty_milliseconds(judge):
    its, levels, array = judge
    for first in (0, 15, 30):
        its.add(block(first, 15))
        assert len(array.blocks) == (first == 30)
    (judged,) = array.blocks
    assert (judged.first_sample, judged.time_s, len(judged.samples)) == (0, 0, 45)
    assert judged.samples[:, 3].tolist() == list(range(45))
    assert [sums.count for sums in levels.sums] == [sums.count for sums in array.sums] == [45]
    its.add(block(45, round(JUDGED_S * RATE_HZ)))
    assert [part.first_sample for part in array.blocks] == [0, 45]
    its.add(block(85, round(JUDGED_S * RATE_HZ) - 1))
    assert len(array.blocks) == 2


def test_what_came_before_a_gap_or_another_type_is_judged_alone(judge):
    its, _, array = judge
    its.add(block(0, 10))
    its.add(block(30, 15, lost=20))
    assert [len(part.samples) for part in array.blocks] == [10]
    its.add(block(45, 5, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15]
    its.add(block(50, 40, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15, 45]
    its.add(block(100, 5, lost=10))  # a gap with nothing before it
    assert len(array.blocks) == 3


def test_sound_after_a_break_does_not_belong_to_what_came_before(judge):
    its, levels, array = judge
    its.add(block(0, 30))
    its.clear()
    assert (levels.cleared, array.cleared) == (1, 1)
    its.add(block(500, 39))
    assert array.blocks == []
    its.add(block(539, 1))
    assert (array.blocks[0].first_sample, len(array.blocks[0].samples)) == (500, 40)
