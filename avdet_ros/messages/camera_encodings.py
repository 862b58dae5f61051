"""Convert the encodings of cameras to BGR with OpenCV: Bayer, YUV and 16 bits per colour.

Covers the encodings of ``sensor_msgs/image_encodings.hpp`` and some others that drivers use.
OpenCV names a Bayer pattern by its second row, ROS by its first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Encoding:
    """Layout of a picture's bytes and their conversion to BGR.

    Attributes:
        kind: numpy type of one number, without the byte order.
        channels: numbers per pixel.
        decode: converts (rows, width, channels) to (height, width, 3) or (height, width).
        rows: rows of data per row of pixels; more than one where planes are stacked vertically.
    """

    kind: str
    channels: int
    decode: Callable[[np.ndarray], np.ndarray]
    rows: float = 1.0


def _as_it_is(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def _converted(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _upper_byte(decode: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: (decode(pixels) >> 8).astype(np.uint8)


def _from_full_planes(code: int) -> Callable[[np.ndarray], np.ndarray]:
    """Decode a luma plane above chroma of each pixel; OpenCV takes that of every fourth pixel."""

    def decode(pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[0] // 3, pixels.shape[1]
        colours = pixels[height:].reshape(height, width, 2)[::2, ::2].reshape(-1, width)
        return cv2.cvtColor(np.vstack([pixels[:height, :, 0], colours]), code)

    return decode


_UYVY, _YUYV = cv2.COLOR_YUV2BGR_UYVY, cv2.COLOR_YUV2BGR_YUY2
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2BGR,
    'bggr': cv2.COLOR_BayerRG2BGR,
    'gbrg': cv2.COLOR_BayerGR2BGR,
    'grbg': cv2.COLOR_BayerGB2BGR,
}

ENCODINGS = {
    'bgr8': Encoding('u1', 3, _as_it_is),
    '8UC3': Encoding('u1', 3, _as_it_is),
    'rgb8': Encoding('u1', 3, _converted(cv2.COLOR_RGB2BGR)),
    'rgba8': Encoding('u1', 4, _converted(cv2.COLOR_RGBA2BGR)),
    'bgra8': Encoding('u1', 4, _converted(cv2.COLOR_BGRA2BGR)),
    '8UC4': Encoding('u1', 4, _converted(cv2.COLOR_BGRA2BGR)),
    'mono8': Encoding('u1', 1, _as_it_is),
    '8UC1': Encoding('u1', 1, _as_it_is),
    'mono16': Encoding('u2', 1, _as_it_is),
    '16UC1': Encoding('u2', 1, _as_it_is),
    '32FC1': Encoding('f4', 1, _as_it_is),
    'bgr16': Encoding('u2', 3, _upper_byte(_as_it_is)),
    '16UC3': Encoding('u2', 3, _upper_byte(_as_it_is)),
    'rgb16': Encoding('u2', 3, _upper_byte(_converted(cv2.COLOR_RGB2BGR))),
    'rgba16': Encoding('u2', 4, _upper_byte(_converted(cv2.COLOR_RGBA2BGR))),
    'bgra16': Encoding('u2', 4, _upper_byte(_converted(cv2.COLOR_BGRA2BGR))),
    'nv12': Encoding('u1', 1, _converted(cv2.COLOR_YUV2BGR_NV12), 1.5),
    'nv21': Encoding('u1', 1, _converted(cv2.COLOR_YUV2BGR_NV21), 1.5),
    'i420': Encoding('u1', 1, _converted(cv2.COLOR_YUV2BGR_I420), 1.5),
    'yv12': Encoding('u1', 1, _converted(cv2.COLOR_YUV2BGR_YV12), 1.5),
    'nv24': Encoding('u1', 1, _from_full_planes(cv2.COLOR_YUV2BGR_NV12), 3.0),
    'nv42': Encoding('u1', 1, _from_full_planes(cv2.COLOR_YUV2BGR_NV21), 3.0),
    **{name: Encoding('u1', 2, _converted(_UYVY)) for name in ('yuv422', 'uyvy')},
    **{
        name: Encoding('u1', 2, _converted(_YUYV))
        for name in ('yuv422_yuy2', 'yuyv', 'yuy2', 'yuyv422')
    },
    **{
        f'bayer_{pattern}{bits}': Encoding(
            kind, 1, _converted(code) if bits == 8 else _upper_byte(_converted(code))
        )
        for pattern, code in _BAYER.items()
        for bits, kind in ((8, 'u1'), (16, 'u2'))
    },
}
"""Encodings by name. The error about an unknown one names a few of them and the one found."""
