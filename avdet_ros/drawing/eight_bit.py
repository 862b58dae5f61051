"""Conversion of pictures of any bit depth to 8 bits for display."""

from __future__ import annotations

import cv2
import numpy as np


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Scale a picture to 8 bits, from its darkest to its brightest value; keep one in 8 bits.

    Args:
        image: (H, W) or (H, W, 3), also thermal counts or distances. Unknown distances (NaN or
            infinity) become 0.

    Returns:
        uint8 of the same shape.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == 'f':
        image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    shown = np.empty(image.shape, np.uint8)
    return np.asarray(cv2.normalize(image, shown, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U))
