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


def test_sound_is_judged_once_there_is_enough(judge):
    its, levels, array = judge
    for first in (0, 85, 170):
        its.add(block(first, 85))
        assert len(array.blocks) == (first == 170)
    (judged,) = array.blocks
    assert (judged.first_sample, judged.time_s, len(judged.samples)) == (0, 0, 255)
    assert judged.samples[:, 3].tolist() == list(range(255))
    assert [sums.count for sums in levels.sums] == [sums.count for sums in array.sums] == [255]
    its.add(block(255, round(JUDGED_S * RATE_HZ)))
    assert [part.first_sample for part in array.blocks] == [0, 255]
    its.add(block(495, round(JUDGED_S * RATE_HZ) - 1))
    assert len(array.blocks) == 2


def test_what_came_before_a_gap_or_another_type_is_judged_alone(judge):
    its, _, array = judge
    its.add(block(0, 10))
    its.add(block(30, 15, lost=20))
    assert [len(part.samples) for part in array.blocks] == [10]
    its.add(block(45, 5, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15]
    its.add(block(50, 240, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15, 245]
    its.add(block(300, 5, lost=10))  # a gap with nothing before it
    assert len(array.blocks) == 3


def test_sound_after_a_break_does_not_belong_to_what_came_before(judge):
    its, levels, array = judge
    its.add(block(0, 30))
    its.clear()
    assert (levels.cleared, array.cleared) == (1, 1)
    its.add(block(500, 239))
    assert array.blocks == []
    its.add(block(739, 1))
    assert (array.blocks[0].first_sample, len(array.blocks[0].samples)) == (500, 240)
