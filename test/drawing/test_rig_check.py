"""Drawings of a rig file lie where the equations of the camera put them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.drawing.rig_check import HORIZON, LINES, draw_rig, horizon_points
from avdet_ros.errors import AvdetError


def blank(rig):
    return np.zeros((rig.camera.height_px, rig.camera.width_px, 3), np.uint8)


def rows_of(drawn, ink, column):
    """Rows in which a column has nearly a given colour."""
    return np.flatnonzero(np.abs(drawn[:, column].astype(int) - ink).max(axis=-1) < 40)


def test_level_camera_has_horizon_at_principal_point(rig):
    rows = rows_of(draw_rig(rig, blank(rig)), HORIZON, 1000)
    assert abs(rows.mean() - rig.camera.cy) < 1


def test_rolled_camera_has_tilted_horizon(rig):
    roll = Rotation.from_euler('z', 5, degrees=True).as_matrix()  # about the optical axis
    rolled = replace(rig, camera=replace(rig.camera, rotation=roll @ rig.camera.rotation))
    pixels = horizon_points(rolled.camera)
    slope = np.polyfit(*pixels[np.abs(pixels[:, 0] - 960) < 900].T, 1)[0]
    assert abs(np.degrees(np.arctan(slope))) == pytest.approx(5, abs=0.1)


def test_road_point_20_m_ahead_lies_on_20_m_line(rig):
    camera = rig.camera
    pixel, _ = camera.project([camera.position_m[0] + 20.0, camera.position_m[1], 0.0])
    column = draw_rig(rig, blank(rig))[:, round(pixel[0]) - 60, 0].astype(float)
    near = slice(round(pixel[1]) - 15, round(pixel[1]) + 15)
    row = near.start + np.average(np.arange(30), weights=column[near])
    assert row == pytest.approx(pixel[1], abs=1)
    assert column[near].sum() > 0.7 * LINES[0]


def test_picture_of_another_size_is_rejected(rig):
    with pytest.raises(AvdetError, match='expected 1920 x 650 as the rig has it, found 640 x 480'):
        draw_rig(rig, np.zeros((480, 640, 3), np.uint8))
