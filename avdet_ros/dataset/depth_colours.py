"""Depth as the MAVD layout stores it: disparities in JET colours."""

from __future__ import annotations

import cv2
import numpy as np

BASELINE_M = 0.6


LARGEST_DISPARITY_PX = 192
"""MAVD's disparities end here."""


def colour_coded(disparity_px: np.ndarray) -> np.ndarray:
    """JET colours of disparities, as MAVD stores depth.

    Args:
        disparity_px: (H, W) pixels of the full image, 0 where unknown.

    Returns:
        (H, W, 3) uint8 BGR; 0 to `LARGEST_DISPARITY_PX` from dark blue to dark red.
    """
    scaled = np.clip(disparity_px, 0, LARGEST_DISPARITY_PX) * np.float32(
        255 / LARGEST_DISPARITY_PX
    )
    return cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_JET)
