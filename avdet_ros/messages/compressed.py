"""Decode compressed pictures of image_transport: JPEG, PNG, and depth as PNG after a short header.

The field ``format`` says how the plugins mean their numbers, e.g. ``rgb8; jpeg compressed bgr8``;
see compressed_image_transport and compressed_depth_image_transport.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.errors import AvdetError
from avdet_ros.image_codec import decode_bytes
from avdet_ros.quoting import brief_repr

_DEPTH_HEADER = struct.Struct('<iff')
_PNG = b'\x89PNG\r\n\x1a\n'
_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_compressed(message: Any, where: str) -> np.ndarray:
    """Decode a ``sensor_msgs/CompressedImage``.

    Returns:
        (height, width, 3) uint8 BGR, (height, width) uint8 or uint16, or (height, width) float32
        for distances, NaN where unknown.

    Raises:
        AvdetError: the data are not a complete picture of a supported kind.
    """
    data = np.frombuffer(message.data, np.uint8)
    if 'compressedDepth' in message.format:
        return _depth(message, data, where)
    pixels = decode_bytes(data, _FLAGS)
    if pixels is None:
        raise _refused(message, data, where)
    if pixels.ndim == 3:
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        # A publisher that passes RGB to the encoder unchanged says so after the semicolon.
        if 'compressed rgb' in message.format.partition(';')[2]:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return pixels


def _depth(message: Any, data: np.ndarray, where: str) -> np.ndarray:
    """Decode depth: integers unchanged, or inverse distances with the scale from the header."""
    content = data.tobytes()
    begin = content[: _DEPTH_HEADER.size + len(_PNG)].find(_PNG)
    pixels = decode_bytes(data[begin:], cv2.IMREAD_UNCHANGED) if begin >= 0 else None
    if pixels is None or pixels.ndim != 2 or pixels.dtype != np.uint16:
        raise _refused(message, data, where)
    if not message.format.strip().startswith('32FC1'):
        return pixels
    if begin < _DEPTH_HEADER.size:
        raise AvdetError(
            f'{where}: expected depth with a header of {_DEPTH_HEADER.size} bytes, found none'
        )
    _, scale, shift = _DEPTH_HEADER.unpack_from(content)
    metres = np.full(pixels.shape, np.nan, np.float32)
    known = pixels > 0
    metres[known] = scale / (pixels[known].astype(np.float32) - shift)
    return metres


def _refused(message: Any, data: np.ndarray, where: str) -> AvdetError:
    return AvdetError(
        f'{where}: expected a JPEG or PNG picture of at most {LARGEST_IMAGE_PX} pixels, '
        f'found {data.size} bytes that are not a whole one (format {brief_repr(message.format)})'
    )
