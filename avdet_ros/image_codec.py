"""Decode JPEG and PNG pictures of unknown origin."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.errors import AvdetError
from avdet_ros.files import read_bounded

LARGEST_PICTURE_BYTES = 64 << 20
"""Maximum size of a picture file."""

_PNG, _JPEG, _JPEG_END = b'\x89PNG', b'\xff\xd8', b'\xff\xd9'
_FILLED_UP = 128


def decode_bytes(data: np.ndarray, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """Decode a picture; return None if it is incomplete, invalid or has too many pixels.

    OpenCV fills the missing part of a truncated file with grey; here such a file is refused.

    Args:
        data: (n,) uint8, content of a file.
        flags: flags for `cv2.imdecode`.
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
        if np.abs(corner - _FILLED_UP).max() <= 1:  # some cameras omit the end of whole pictures
            return None
    # If OpenCV was loaded before this package, it uses another limit.
    if picture is None or picture.shape[0] * picture.shape[1] > LARGEST_IMAGE_PX:
        return None
    return picture


def _has_end(content: bytes) -> bool:
    """Return whether an end marker follows a JPEG's scan; a preview's marker comes before it."""
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
    """Read and decode a picture file.

    Args:
        path: path of the picture.
        flags: flags for `cv2.imdecode`.

    Raises:
        AvdetError: the file is missing, too large, or not a picture.
    """
    content = read_bounded(path, LARGEST_PICTURE_BYTES, 'picture')
    picture = decode_bytes(np.frombuffer(content, np.uint8), flags)
    if picture is None:
        raise AvdetError(f'{path}: expected a picture, found {len(content)} bytes that are none')
    return picture
