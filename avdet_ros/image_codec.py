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

_PNG, _JPEG, _JPEG_END = b'\x89PNG', b'\xff\xd8', b'\xff\xd9'
_FILLED_UP = 128


def decode_bytes(data: np.ndarray, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """A picture's pixels, or None where the bytes are no whole picture or one of too many pixels.

    OpenCV fills up a file that was cut off with grey; here it is none.

    Args:
        data: (n,) uint8, a file's content.
        flags: of `cv2.imdecode`.
    """
    content = data.tobytes()
    if content.startswith(_PNG) and b'IEND' not in content:
        return None
    endless = content.startswith(_JPEG) and not _has_end(content)
    if endless:
        data = np.append(data, np.frombuffer(_JPEG_END, np.uint8))
    try:
        picture = cv2.imdecode(data, flags) if content else None
    except cv2.error:  # damaged data, or a header that claims too many pixels
        return None
    if picture is not None and endless:
        corner = picture[-8:, -8:].astype(int)
        if np.abs(corner - _FILLED_UP).max() <= 1:  # a few cameras send whole ones without an end
            return None
    # Who loaded OpenCV before this package has another limit there.
    if picture is None or picture.shape[0] * picture.shape[1] > LARGEST_IMAGE_PX:
        return None
    return picture


def _has_end(content: bytes) -> bool:
    """Whether a JPEG's end marker follows on its scan; a preview's lies in a segment before."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        kind = content[at + 1]
        if kind == 0xFF:  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(content[at + 2 : at + 4], 'big')
        if kind == 0xDA:  # start of scan
            break
    return content.find(_JPEG_END, at) >= 0


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
