"""Vehicles from above: ellipses of 90 % probability, and trails of limited length."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.drawing.from_above import CHI2_90, GroundTrails, Placed
from avdet_ros.drawing.picture import Painter, View


def test_ellipse_contains_ninety_percent():
    covariance = np.array([[9.0, 4.0], [4.0, 3.0]])
    vehicle = Placed(1, np.array([20.0, -5.0]), covariance)
    apart = vehicle.outline() - vehicle.place_m
    distance2 = np.einsum('ni,ij,nj->n', apart, np.linalg.inv(covariance), apart)
    assert distance2 == pytest.approx(CHI2_90)
    drawn = np.random.default_rng(1).multivariate_normal([0, 0], covariance, 4000)
    inside = np.einsum('ni,ij,nj->n', drawn, np.linalg.inv(covariance), drawn) < CHI2_90
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_trails_are_limited_in_time_and_end_with_their_vehicle():
    trails = GroundTrails(seconds=1.0)
    for step in range(30):
        both = [Placed(n, np.array([n, 0.1 * step]), np.eye(2)) for n in (1, 2)]
        trails.add(step / 10, both if step < 29 else both[:1])
    lines = trails.lines()
    assert list(lines) == [1]
    assert lines[1][0] == pytest.approx([1, 1.9])
    trails.add(0.5, both)
    assert trails.lines() == {}


def test_picture_map_shows_ellipses_of_vehicles(rig):
    painter = Painter(rig)
    empty = painter.paint(View(ground=[]))
    wide = Placed(1, np.array([30.0, 0.0]), np.diag([60.0, 4.0]))
    full = painter.paint(View(ground=[wide]))
    changed = np.argwhere((full != empty).any(axis=2))
    assert len(changed) > 100
    low, high = changed.min(axis=0), changed.max(axis=0)
    assert high[0] - low[0] > high[1] - low[1], 'longer along the road than across it'
    middle = rig.camera.width_px - 150
    assert (low[1] + high[1]) / 2 == pytest.approx(middle, abs=3)
    far = Placed(1, np.array([1e6, -1e6]), np.diag([1e9, 1e9]))
    assert painter.paint(View(ground=[far])).shape == empty.shape
