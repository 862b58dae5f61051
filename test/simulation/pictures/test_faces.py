"""Faces are projected by the geometry of the camera."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation.pictures.faces import FaceList, look, view_of


def test_known_corner_is_projected_to_its_pixel() -> None:
    camera = load_rig().camera
    faces = FaceList()
    square = [(10.0, 1.0, 1.0), (10.0, -1.0, 1.0), (10.0, -1.0, 2.0), (10.0, 1.0, 2.0)]
    faces.add(square, 'paint', (1, 1, 1), both_sides=True)
    seen = look(faces.build(), view_of(camera, np.zeros(3), np.eye(3)))
    expected, depth = camera.project(square)
    np.testing.assert_allclose(seen.polygons[0], expected, atol=1e-9)
    # the plane yields the depth at a corner
    a, b, c = seen.plane[0]
    x, y = expected[0]
    assert 1 / (a * x + b * y + c) == pytest.approx(depth[0])


def test_faces_reaching_behind_camera_are_clipped() -> None:
    camera = load_rig().camera
    faces = FaceList()
    floor = [(-50.0, 3.0, 0.0), (-50.0, -3.0, 0.0), (80.0, -3.0, 0.0), (80.0, 3.0, 0.0)]
    faces.add(floor, 'asphalt', (1, 1, 1))
    seen = look(faces.build(), view_of(camera, np.zeros(3), np.eye(3)))
    assert len(seen.polygons) == 1
    assert np.isfinite(seen.polygons[0]).all()
    assert seen.polygons[0][:, 1].max() > camera.height_px
