"""Drives are named after their bags."""

from __future__ import annotations

from pathlib import Path

import pytest

from avdet_ros.bags.dataset import drive_names
from avdet_ros.errors import AvdetError


@pytest.mark.parametrize(
    ('bag', 'name'),
    [
        ('/bags/one.mcap', 'one'),
        ('/bags/two.db3', 'two'),
        ('/bags/a.day', 'a_day'),
        ('/bags/Tür (3)/', 'T_r_3'),
        ('/bags/x_0.mcap', 'x_0'),
        ('/bags/...', 'drive'),
    ],
)
def test_drive_name_is_the_bag_name_with_safe_characters(bag, name):
    assert drive_names([Path(bag)]) == {Path(bag): name}


def test_duplicate_bag_names_and_empty_lists_are_rejected():
    with pytest.raises(
        AvdetError, match=r'^/b/one: expected bags of different names, found one tw'
    ):
        drive_names([Path('/a/one.mcap'), Path('/b/one')])
    with pytest.raises(AvdetError, match=r'^bags: expected at least one, found none'):
        drive_names([])
