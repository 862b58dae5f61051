"""Drawn roads at the place where they begin: both sides of distance 0 are one road."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.road import GRID_M, random_road


def curvature_beside_0(seed):
    """(2,) rad/m, a few metres before and after distance 0."""
    road = random_road(np.random.default_rng(seed), -200, 200, 1 / 100, 0.0, 3.2)
    x, y = road.point(np.arange(-4, 5) * GRID_M)[:, :2].T
    curvature = np.diff(np.unwrap(np.arctan2(np.diff(y), np.diff(x)))) / GRID_M
    return curvature[:3].mean(), curvature[-3:].mean()


def test_a_bend_goes_on_behind_distance_0():
    before, after = np.array([curvature_beside_0(seed) for seed in range(40)]).T
    # The curvature moves linearly between knots 35 m apart and more, so within 8 m it stays much
    # the same; a bend that is mirrored behind distance 0 changes its sign.
    assert np.corrcoef(before, after)[0, 1] > 0.8
    assert np.std(after) > 0.004
