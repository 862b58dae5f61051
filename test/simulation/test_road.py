"""Random roads at distance 0: the parts on both sides form one road."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.road import GRID_M, random_road


def curvature_beside_0(seed):
    """(2,) rad/m, a few metres before and after distance 0."""
    road = random_road(np.random.default_rng(seed), -200, 200, 1 / 100, 0.0, 3.2)
    x, y = road.point(np.arange(-4, 5) * GRID_M)[:, :2].T
    curvature = np.diff(np.unwrap(np.arctan2(np.diff(y), np.diff(x)))) / GRID_M
    return curvature[:3].mean(), curvature[-3:].mean()


def test_bend_continues_across_distance_0():
    before, after = np.array([curvature_beside_0(seed) for seed in range(40)]).T
    # The curvature is linear between knots at least 35 m apart, so it changes little within 8 m; a
    # bend mirrored at distance 0 would change its sign.
    assert np.corrcoef(before, after)[0, 1] > 0.8
    assert np.std(after) > 0.004
