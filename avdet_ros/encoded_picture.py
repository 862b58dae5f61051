"""JPEG and PNG of unknown origin to pixels."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros import LARGEST_IMAGE_PX


def decode_picture(data: np.ndarray, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """A picture's pixels, or None where the bytes are no picture or one of too many pixels.

    Args:
        data: (n,) uint8, a file's content.
        flags: of `cv2.imdecode`.
    """
    try:
        picture = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error:  # damaged data, or a header that claims too many pixels
        return None
    # Who loaded OpenCV before this package has another limit there.
    if picture is None or picture.shape[0] * picture.shape[1] > LARGEST_IMAGE_PX:
        return None
    return picture
