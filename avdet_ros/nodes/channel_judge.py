"""Check levels and failures of node capture's channels, several blocks at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.nodes.capture_array import CaptureArray
from avdet_ros.nodes.channel_levels import ChannelLevels
from avdet_ros.sources.base import Block

JUDGED_S = 0.24
"""Least sound to check at once: at 20 windows a second, five blocks together cost a third of the
same blocks one by one."""


class ChannelJudge:
    """Joins blocks without a gap and passes them to the checks of the channels."""

    def __init__(self, sample_rate_hz: int, levels: ChannelLevels, array: CaptureArray) -> None:
        """Prepare.

        Args:
            sample_rate_hz: sample rate of the blocks.
            levels: checks level, mean and clipping of each channel.
            array: checks which channels work, and where the microphones are.
        """
        self._enough = round(JUDGED_S * sample_rate_hz)
        self._levels, self._array = levels, array
        self._blocks: list[Block] = []
        self._count = 0

    def add(self, block: Block) -> None:
        """Take the next block of the stream."""
        kept = self._blocks
        if kept and (block.lost or kept[0].samples.dtype != block.samples.dtype):
            self._judge()
        self._blocks.append(block)
        self._count += len(block.samples)
        if self._count >= self._enough:
            self._judge()

    def clear(self) -> None:
        """Start again: the next sound does not continue the earlier one."""
        self._blocks, self._count = [], 0
        self._levels.reset()
        self._array.clear()

    def _judge(self) -> None:
        blocks, self._blocks, self._count = self._blocks, [], 0
        samples = np.concatenate([block.samples for block in blocks])
        sums = ChannelSums.of(samples)
        self._levels.add(sums)
        self._array.add(replace(blocks[0], samples=samples), sums)
