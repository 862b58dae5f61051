"""Alignment of another camera's images with the RGB camera matches hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.bags.camera_info import CameraModel
from avdet_ros.bags.geometry import alignment

SIZE = (1000, 600)
K = np.array([[500.0, 0, 500], [0, 500, 300], [0, 0, 1]])


def camera(frame, matrix=K):
    return CameraModel(frame, SIZE, matrix, np.zeros(0), False)


@pytest.fixture
def dot_after(transforms):
    """The position in the RGB image of a dot in the other camera's image."""

    def place(rotation, at, matrix=K):
        turn = Rotation.from_matrix(rotation).as_quat()
        tree = transforms(('rgb', 'thermal', (0.0, 0.0, 0.0), turn))
        align, how = alignment(camera('rgb'), camera('thermal', matrix), tree, SIZE)
        assert 'static TF' in how
        image = np.zeros(SIZE[::-1], np.uint8)
        x, y = at
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
        found = np.argwhere(align(image) > 100)
        return found.mean(axis=0)[::-1]

    return place


def test_image_of_a_camera_turned_right_moves_right(dot_after):
    # About the optical frame's y axis (down): positive turns z towards x, to the right.
    right = Rotation.from_euler('y', 5, degrees=True).as_matrix()
    x, y = dot_after(right, (500, 300))
    assert x == pytest.approx(500 + 500 * np.tan(np.radians(5)), abs=1)
    assert y == pytest.approx(300, abs=1)


def test_image_of_a_camera_turned_down_moves_down(dot_after):
    down = Rotation.from_euler('x', -4, degrees=True).as_matrix()
    x, y = dot_after(down, (500, 300))
    assert x == pytest.approx(500, abs=1)
    assert y == pytest.approx(300 + 500 * np.tan(np.radians(4)), abs=1)


def test_alignment_uses_the_matrix_of_each_camera(dot_after):
    wide = np.array([[250.0, 0, 480], [0, 200, 310], [0, 0, 1]])
    x, y = dot_after(np.eye(3), (580, 350), wide)
    assert x == pytest.approx(500 + 500 * 100 / 250, abs=2)
    assert y == pytest.approx(300 + 500 * 40 / 200, abs=2)
