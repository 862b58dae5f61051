"""Depth in the MAVD layout: disparities as JET colours, and the disparity of a box."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from scipy.spatial import KDTree

BASELINE_M = 0.6


LARGEST_DISPARITY_PX = 192
"""Largest disparity in MAVD."""


def colour_coded(disparity_px: np.ndarray) -> np.ndarray:
    """Convert disparities to JET colours, as MAVD stores depth.

    Args:
        disparity_px: (H, W) pixels of the full image, 0 if unknown.

    Returns:
        (H, W, 3) uint8 BGR; 0 to `LARGEST_DISPARITY_PX` from dark blue to dark red.
    """
    scaled = np.clip(disparity_px, 0, LARGEST_DISPARITY_PX) * np.float32(
        255 / LARGEST_DISPARITY_PX
    )
    return cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_JET)


MIDDLE = 0.5
"""Central part of a box's width and height in which its disparity is read: the corners of a box
show the background."""

LEAST_PIXELS = 0.3
"""Minimum fraction of these pixels that must have a disparity."""

FAINTEST_PX = 3.0
"""Smallest valid disparity: below it, pixels are beyond 200 m or have no disparity."""


@cache
def _codes() -> np.ndarray:
    """(32, 32, 32) uint8: for each colour, in steps of 8, the code with the nearest JET colour."""
    steps = np.arange(32) * 8 + 4
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing='ij'), axis=-1).reshape(-1, 3)
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)
    _, nearest = KDTree(colours.reshape(-1, 3).astype(np.float64)).query(cells)
    return nearest.astype(np.uint8).reshape(32, 32, 32)


def disparities(colours: np.ndarray) -> np.ndarray:
    """Invert `colour_coded`, to within a step or two of 255 if JPEG has changed colours.

    Args:
        colours: (H, W, 3) uint8 BGR.

    Returns:
        (H, W) float32 pixels, 0 if unknown.
    """
    blue, green, red = np.moveaxis(colours >> 3, -1, 0)
    return _codes()[blue, green, red].astype(np.float32) * np.float32(LARGEST_DISPARITY_PX / 255)


def box_disparities(colours: np.ndarray, boxes_px: np.ndarray) -> np.ndarray:
    """Read the disparity of the objects in boxes from a depth picture.

    Args:
        colours: (H, W, 3) uint8 BGR, from `colour_coded`.
        boxes_px: (N, 4) boxes in the same picture.

    Returns:
        (N,) float32 median disparity in the box's central part; NaN if too few pixels have one.
    """
    found = np.full(len(boxes_px), np.nan, np.float32)
    height, width = colours.shape[:2]
    for index, (x_min, y_min, x_max, y_max) in enumerate(np.asarray(boxes_px, np.float64)):
        x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
        half_x = max(MIDDLE * (x_max - x_min) / 2, 1.0)
        half_y = max(MIDDLE * (y_max - y_min) / 2, 1.0)
        rows = slice(max(0, round(y - half_y)), min(height, round(y + half_y)))
        columns = slice(max(0, round(x - half_x)), min(width, round(x + half_x)))
        inside = disparities(colours[rows, columns])
        seen = inside[inside >= FAINTEST_PX]
        if inside.size and len(seen) >= LEAST_PIXELS * inside.size:
            found[index] = np.median(seen)
    return found
