"""Range of a vehicle from its box, assuming a flat road."""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import Rig

SURFACE_TO_MIDDLE_M = 1.6
"""Distance from the visible surface of a vehicle to its centre: half its width if seen from the
side, half its length if seen from behind."""

NEAREST_M, FARTHEST_M = 3.0, 100.0
"""Limits to which estimated ranges are clipped."""


def ranges_on_road(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """Return (N,) metres from the array's centre to vehicles whose boxes stand on a flat road."""
    camera = rig.camera
    feet_px = np.stack([(boxes_px[:, 0] + boxes_px[:, 2]) / 2, boxes_px[:, 3]], axis=-1)
    rays = camera.directions(feet_px)
    # A lower edge above the horizon counts as the largest distance.
    reach_m = camera.position_m[2] / np.maximum(-rays[:, 2], camera.position_m[2] / FARTHEST_M)
    points_m = camera.position_m + rays * reach_m[:, None]
    away_m = np.linalg.norm(points_m - rig.array_position_m, axis=1)
    return np.clip(away_m + SURFACE_TO_MIDDLE_M, NEAREST_M, FARTHEST_M)
