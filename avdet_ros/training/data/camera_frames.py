"""Convert camera frames to the teachers' network inputs, and boxes back to camera pixels.

Columns 200 to 1720 of the 1920 x 650 image are kept (the paper's crop), scaled to the network's
width at constant aspect ratio, and placed at the top left of a canvas of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avdet_ros.dataset.thermal_counts import COUNTS
from avdet_ros.errors import AvdetError
from avdet_ros.training.data.released_pictures import released_picture

CROP_COLUMNS = (200, 1720)
"""The columns of a 1920 pixel wide image that the teachers see."""

REFERENCE_WIDTH = 1920

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

MODALITIES = {'rgb': 3, 'depth': 3, 'thermal': 1}
"""Channels of each teacher's input."""

SCALINGS = ('own', 'wide', 'released')
"""Normalisations of pixels. ``own``: ImageNet's mean and deviation, thermal counts over MAVD's
range. ``wide``: the same, thermal counts over `WIDE_COUNTS`. ``released``: as in the authors'
program, see `released_picture`. A network keeps the one that it was trained with."""

WIDE_COUNTS = (20000, 26400)
"""-23.15 to 56.85 degrees Celsius. MAVD's range ends at -0.65, so that a road in winter becomes a
uniform grey."""


def require_modality(name: str, where: str = 'modality') -> None:
    """Refuse an unknown modality.

    Raises:
        AvdetError: the name is not one of `MODALITIES`; the message says where it was given.
    """
    if name not in MODALITIES:
        raise AvdetError(f'{where}: expected one of {", ".join(MODALITIES)}, found {name:.40}')


@dataclass(frozen=True)
class Canvas:
    """Placement of a camera image on the network's input.

    Attributes:
        height: height of the network's input, pixels.
        width: width of the network's input, pixels.
        left_px: first column of the camera image that is kept.
        kept_width_px: number of columns that are kept.
        image_height_px: the camera image's height.
        image_width_px: the camera image's width.
        scale: network pixels per camera pixel.
    """

    height: int
    width: int
    left_px: int
    kept_width_px: int
    image_height_px: int
    image_width_px: int
    scale: float

    def to_network(self, boxes_px: np.ndarray) -> np.ndarray:
        """Map (N, 4) boxes from camera pixels to network pixels, clipped to the kept area."""
        boxes = np.asarray(boxes_px, np.float32).reshape(-1, 4).copy()
        boxes[:, [0, 2]] = np.clip(boxes[:, [0, 2]] - self.left_px, 0, self.kept_width_px)
        boxes[:, [1, 3]] = np.clip(boxes[:, [1, 3]], 0, self.image_height_px)
        return boxes * np.float32(self.scale)

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Map (N, 4) boxes from network pixels to camera pixels."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4) / np.float32(self.scale)
        boxes[:, [0, 2]] += self.left_px
        return boxes


def canvas_for(
    image_size: tuple[int, int], width_px: int, height_px: int, crop: bool = True
) -> Canvas:
    """Place a camera image on a network input.

    Args:
        image_size: height and width of the network's input.
        width_px: the camera image's width.
        height_px: the camera image's height.
        crop: keep the paper's columns only; False keeps the whole image of another camera.

    Raises:
        AvdetError: the input is too low for the image at its width.
    """
    if not crop:
        scale = min(image_size[1] / width_px, image_size[0] / height_px)
        return Canvas(*image_size, 0, width_px, height_px, width_px, scale)
    left, right = (round(column * width_px / REFERENCE_WIDTH) for column in CROP_COLUMNS)
    scale = image_size[1] / (right - left)
    if round(height_px * scale) > image_size[0]:
        raise AvdetError(
            f'teacher input {image_size[0]} x {image_size[1]}: expected a height of at least '
            f'{round(height_px * scale)} for images of {width_px} x {height_px}, '
            f'found {image_size[0]}'
        )
    return Canvas(*image_size, left, right - left, height_px, width_px, scale)


def network_input(
    image: np.ndarray, modality: str, canvas: Canvas, scaling: str = 'own'
) -> np.ndarray:
    """Crop, scale and normalise one frame.

    Args:
        image: (H, W, 3) uint8 BGR for ``rgb`` and ``depth`` as OpenCV reads it; (H, W) or
            (H, W, 3) uint8 or (H, W) uint16 counts for ``thermal``.
        modality: ``rgb``, ``depth`` or ``thermal``.
        canvas: result of `canvas_for`.
        scaling: the network's, one of `SCALINGS`.

    Returns:
        (channels, canvas.height, canvas.width) float32; zeros around the picture.

    Raises:
        AvdetError: the image has another size or type.
    """
    require_modality(modality)
    kinds = (np.uint8, np.uint16) if modality == 'thermal' else (np.uint8,)
    size = (canvas.image_height_px, canvas.image_width_px)
    if image.shape[:2] != size or image.dtype not in kinds:
        bits = '8 or 16 bits' if len(kinds) > 1 else '8 bits'
        raise AvdetError(
            f'{modality} frame: expected {size[1]} x {size[0]} pixels of {bits}, '
            f'found {image.shape[1]} x {image.shape[0]} of {image.dtype}'
        )
    kept = image[:, canvas.left_px : canvas.left_px + canvas.kept_width_px]
    if scaling == 'released':
        values = released_picture(kept, modality, canvas.scale)
    else:
        counts = WIDE_COUNTS if scaling == 'wide' else COUNTS
        values = _own_picture(kept, modality, canvas.scale, counts)
    placed = np.zeros((len(values), canvas.height, canvas.width), np.float32)
    placed[:, : values.shape[1], : values.shape[2]] = values
    return placed


def _own_picture(
    kept: np.ndarray, modality: str, scale: float, counts: tuple[int, int]
) -> np.ndarray:
    size = tuple(round(side * scale) for side in kept.shape[1::-1])
    pixels = cv2.resize(kept, size, interpolation=cv2.INTER_AREA)
    if modality == 'thermal':
        return _thermal(pixels, counts)[None]
    colour = pixels[..., ::-1].astype(np.float32) / 255
    return ((colour - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)


def _thermal(pixels: np.ndarray, counts: tuple[int, int]) -> np.ndarray:
    """Scale thermal pixels to [0, 1]; 8-bit pixels are scaled already and only divided."""
    if pixels.ndim == 3:
        pixels = pixels[..., 0]
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / 255
    low, high = counts
    return (np.clip(pixels.astype(np.float32), low, high) - low) / (high - low)
