"""How far away a vehicle is whose box stands on a flat road."""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import Rig

SURFACE_TO_MIDDLE_M = 1.6
"""From what a camera sees of a vehicle to its middle: half a width from the side, half a length
from behind."""

NEAREST_M, FARTHEST_M = 3.0, 100.0
"""Ranges that are read off the road are kept between these."""


def ranges_on_road(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """(N,) metres from the array's centre to where the boxes' lower edges lie on a flat road."""
    camera = rig.camera
    feet_px = np.stack([(boxes_px[:, 0] + boxes_px[:, 2]) / 2, boxes_px[:, 3]], axis=-1)
    rays = camera.directions(feet_px)
    # Above the horizon the road is as far away as it gets.
    reach_m = camera.position_m[2] / np.maximum(-rays[:, 2], camera.position_m[2] / FARTHEST_M)
    points_m = camera.position_m + rays * reach_m[:, None]
    away_m = np.linalg.norm(points_m - rig.array_position_m, axis=1)
    return np.clip(away_m + SURFACE_TO_MIDDLE_M, NEAREST_M, FARTHEST_M)
