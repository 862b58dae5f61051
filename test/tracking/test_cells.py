"""Occupancy cells and rays through them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.tracking.cells import make_cells
from avdet_ros.tracking.ego_motion import PlanarPose


def wall(cell_m=0.5, yaw_rad=0.0):
    """A map of 40 m x 40 m in a rotated frame; wall at x from 9.5 to 10.5 m and y > 0."""
    side = round(40 / cell_m)
    steps = -20 + (np.arange(side) + 0.5) * cell_m
    x, y = np.meshgrid(steps, steps)
    percent = np.where((np.abs(x - 10) < 0.5) & (y > 0), 100, 0).astype(np.int8)
    percent[y < -15] = -1
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    corner = PlanarPose(-20 * cos + 20 * sin, -20 * sin - 20 * cos, yaw_rad)
    return make_cells(percent, cell_m, corner)


@pytest.mark.parametrize('cell_m', [0.05, 0.5])
@pytest.mark.parametrize('yaw_rad', [0.0, 2.2])
def test_only_places_behind_the_wall_are_blocked(cell_m, yaw_rad):
    cells = wall(cell_m, yaw_rad)
    assert cells.cell_m >= 0.25
    places = np.array([[18, 5], [8, 5], [18, -5], [10, 15], [5, -19], [80, -1], [80, 20.0]])
    turn = np.array(
        [[math.cos(yaw_rad), math.sin(yaw_rad)], [-math.sin(yaw_rad), math.cos(yaw_rad)]]
    )
    hidden = cells.blocked(np.zeros(2), places @ turn)
    assert hidden.tolist() == [True, False, False, True, False, False, True]


def test_cells_at_both_ends_of_a_ray_are_ignored():
    cells = wall()
    place = np.array([[11.0, 4.0]])
    assert cells.blocked(np.zeros(2), place)[0]
    assert not cells.blocked(np.zeros(2), place, short_m=2.5)[0]
    assert not cells.blocked(np.array([9.0, 4.0]), place, free_m=2.0)[0]
    assert not cells.blocked(np.zeros(2), np.array([[1.0, 0.0]]), free_m=2.0)[0]


def test_each_ray_has_its_own_length():
    """A short ray is not blocked by cells beyond its end, a longer one is."""
    hidden = wall().blocked(np.zeros(2), np.array([[5.0, 2.0], [15.0, 6.0]]), short_m=1.0)
    assert hidden.tolist() == [False, True]


@pytest.mark.parametrize(
    ('shape', 'cell_m', 'x_m', 'words'),
    [
        ((0, 4), 0.1, 0.0, 'expected 1 to 16000000 cells'),
        ((4, 4), math.nan, 0.0, 'expected cells of at most 10 m'),
        ((4, 4), 0.0, 0.0, 'expected cells of at most 10 m'),
        ((4, 4), 0.1, math.inf, 'expected a finite origin'),
    ],
)
def test_invalid_map_is_rejected(shape, cell_m, x_m, words):
    with pytest.raises(AvdetError, match=words):
        make_cells(np.zeros(shape, np.int8), cell_m, PlanarPose(x_m, 0.0, 0.0))


def test_map_of_one_small_cell_is_accepted():
    assert make_cells(np.full((1, 1), 100, np.int8), 0.01, PlanarPose(0, 0, 0)).occupied.all()
