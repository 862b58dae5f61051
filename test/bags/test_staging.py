"""Files of a split bag are read in the order of recording."""

from __future__ import annotations

from pathlib import Path
import random

from avdet_ros.bags.staging import _part_number


def test_part_ten_comes_after_part_two_and_a_name_without_a_number_first():
    names = ['drive.mcap', *(f'drive_{number}.mcap' for number in (0, 1, 2, 3, 9, 10, 11, 100))]
    files = [Path(name) for name in names]
    mixed = files[:]
    random.Random(5).shuffle(mixed)
    assert sorted(mixed, key=_part_number) == files
