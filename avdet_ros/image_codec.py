"""JPEG and PNG of unknown origin to pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.errors import AvdetError
from avdet_ros.files import read_bounded

LARGEST_PICTURE_BYTES = 64 << 20
"""Largest picture file that is read."""


def decode_bytes(data: np.ndarray, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
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


def read_picture(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray:
    """Decode a file.

    Args:
        path: of the picture.
        flags: of `cv2.imdecode`.

    Raises:
        AvdetError: it is missing, too large, or not a picture.
    """
    content = read_bounded(path, LARGEST_PICTURE_BYTES, 'picture')
    picture = decode_bytes(np.frombuffer(content, np.uint8), flags)
    if picture is None:
        raise AvdetError(f'{path}: expected a picture, found {len(content)} bytes that are none')
    return picture
