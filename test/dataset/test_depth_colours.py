"""Disparity as colours."""

from __future__ import annotations

import numpy as np

from avdet_ros.dataset.depth_colours import colour_coded


def test_disparity_colours_are_jet() -> None:
    colours = colour_coded(np.array([[0.0, 96.0, 192.0, 500.0]], np.float32))
    assert colours[0, 0].tolist() == [128, 0, 0]  # dark blue, BGR
    assert colours[0, 1, 1] > 240
    assert colours[0, 2].tolist() == colours[0, 3].tolist() == [0, 0, 128]
