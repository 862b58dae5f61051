"""Trails of tracks on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.drawing.trails import Trails, ground_place


def test_trails_forget_old_positions(rig):
    trails = Trails(seconds=1.0)
    for step in range(30):
        trails.add(step * 0.1, [(4, np.array([step, 0, step + 10, 50.0]))] if step < 10 else [])
        if step == 9:
            ((number, points, ages),) = trails.lines(0.9)
            assert number == 4
            assert len(points) == 10
            assert ages[0] > ages[-1] == 0
    assert list(trails.lines(2.9)) == []


def test_box_is_placed_where_its_lower_edge_meets_road(rig):
    spot, depth = rig.camera.project([20.0, -3.0, 0.0])
    assert depth > 0
    box = np.array([spot[0] - 40, spot[1] - 60, spot[0] + 40, spot[1]])
    np.testing.assert_allclose(ground_place(rig.camera, box, 80), [20.0, -3.0], atol=0.05)
    above = np.array([900.0, 100, 1000, 200])
    assert np.hypot(*(ground_place(rig.camera, above, 80) - rig.camera.position_m[:2])) == (
        pytest.approx(80)
    )
