"""Drives are called after their bags."""

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
def test_a_drives_name_is_its_bags_without_what_no_file_should_have(bag, name):
    assert drive_names([Path(bag)]) == {Path(bag): name}


def test_two_bags_of_one_name_and_none_at_all_are_refused():
    with pytest.raises(
        AvdetError, match=r'^/b/one: expected bags of different names, found one tw'
    ):
        drive_names([Path('/a/one.mcap'), Path('/b/one')])
    with pytest.raises(AvdetError, match=r'^bags: expected at least one, found none'):
        drive_names([])
