"""Frames as the authors' program feeds them to its teachers.

Only RGB is fed as here. Depth keeps OpenCV's order of colours and is divided by 255 alone; thermal
counts are clipped and the least and the largest of *each frame* become 0 and 1, so that a count
means another thing in every picture. Scaling comes before the resizing, which is bilinear.
"""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.dataset.thermal_counts import COUNTS

RGB_MEAN = np.array([0.485, 0.456, 0.406])
RGB_STD = np.array([0.229, 0.224, 0.225])


def released_picture(kept: np.ndarray, modality: str, scale: float) -> np.ndarray:
    """Scale and resize the kept columns of one frame, as the authors' program does.

    Args:
        kept: (H, W, 3) uint8 BGR; (H, W) or (H, W, 3) uint8 or uint16 counts for ``thermal``.
        modality: ``rgb``, ``depth`` or ``thermal``.
        scale: network pixels a camera pixel.

    Returns:
        (channels, int(H scale), int(W scale)) float32.
    """
    if modality == 'thermal':
        values = spread_counts(kept if kept.ndim == 2 else kept[..., 0])
    elif modality == 'depth':
        values = kept.astype(np.float32) / 255
    else:
        values = (kept[..., ::-1].astype(np.float32) / 255 - RGB_MEAN) / RGB_STD
    # A product such as 1520 * (768 / 1520) must not end a hair below 768.
    size = tuple(int(side * scale + 1e-6) for side in kept.shape[1::-1])
    resized = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*size[::-1], -1).transpose(2, 0, 1).astype(np.float32)


def spread_counts(counts: np.ndarray) -> np.ndarray:
    """(H, W) thermal counts to [0, 1], each frame by its own range; a flat frame is 0.

    8-bit pictures are counts of 1/256: a range of 21800 to 25000 lies between 85 and 98 in them.
    The authors' program clips them to the limits of 16 bits, which leaves a constant picture.
    """
    counts = counts.astype(np.float32) * (256 if counts.dtype == np.uint8 else 1)
    counts = np.clip(counts, *COUNTS)
    low, high = float(counts.min()), float(counts.max())
    if high <= low:
        return np.zeros(counts.shape, np.float32)
    return (counts - low) / (high - low)
