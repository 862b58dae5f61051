"""ChannelJudge joins blocks until they are long enough, and never across a gap."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.nodes.channel_judge import JUDGED_S, ChannelJudge
from avdet_ros.sources.base import Block

pytestmark = pytest.mark.ros

RATE_HZ = 1000


class BlockRecorder:
    """Stands in for the levels or the array and records what it receives."""

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
def parts():
    levels, array = BlockRecorder(), BlockRecorder()
    return ChannelJudge(RATE_HZ, levels, array), levels, array


def block(first, count, lost=0, kind=np.int16):
    samples = (np.arange(first, first + count)[:, None] * np.ones(8)).astype(kind)
    return Block(samples, first, first / RATE_HZ, lost)


def test_sound_is_judged_once_it_is_long_enough(parts):
    judge, levels, array = parts
    for first in (0, 85, 170):
        judge.add(block(first, 85))
        assert len(array.blocks) == (first == 170)
    (judged,) = array.blocks
    assert (judged.first_sample, judged.time_s, len(judged.samples)) == (0, 0, 255)
    assert judged.samples[:, 3].tolist() == list(range(255))
    assert [sums.count for sums in levels.sums] == [sums.count for sums in array.sums] == [255]
    judge.add(block(255, round(JUDGED_S * RATE_HZ)))
    assert [part.first_sample for part in array.blocks] == [0, 255]
    judge.add(block(495, round(JUDGED_S * RATE_HZ) - 1))
    assert len(array.blocks) == 2


def test_sound_before_a_gap_or_a_type_change_is_judged_separately(parts):
    judge, _, array = parts
    judge.add(block(0, 10))
    judge.add(block(30, 15, lost=20))
    assert [len(part.samples) for part in array.blocks] == [10]
    judge.add(block(45, 5, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15]
    judge.add(block(50, 240, kind=np.float32))
    assert [len(part.samples) for part in array.blocks] == [10, 15, 245]
    judge.add(block(300, 5, lost=10))  # a gap with nothing before it
    assert len(array.blocks) == 3


def test_clear_drops_the_sound_before_it(parts):
    judge, levels, array = parts
    judge.add(block(0, 30))
    judge.clear()
    assert (levels.cleared, array.cleared) == (1, 1)
    judge.add(block(500, 239))
    assert array.blocks == []
    judge.add(block(739, 1))
    assert (array.blocks[0].first_sample, len(array.blocks[0].samples)) == (500, 240)
