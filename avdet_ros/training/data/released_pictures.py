"""Convert frames to network inputs as the authors' program does for its teachers.

Only RGB is normalised as in this package. Depth keeps OpenCV's order of colours and is just
divided by 255. Thermal counts are clipped, and the minimum and maximum of *each frame* become 0
and 1, so that a count has a different meaning in every picture. Scaling comes before the bilinear
resizing.
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
        scale: network pixels per camera pixel.

    Returns:
        (channels, int(H scale), int(W scale)) float32.
    """
    if modality == 'thermal':
        values = spread_counts(kept if kept.ndim == 2 else kept[..., 0])
    elif modality == 'depth':
        values = kept.astype(np.float32) / 255
    else:
        values = (kept[..., ::-1].astype(np.float32) / 255 - RGB_MEAN) / RGB_STD
    # Rounding must not leave a product such as 1520 * (768 / 1520) slightly below 768.
    size = tuple(int(side * scale + 1e-6) for side in kept.shape[1::-1])
    resized = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*size[::-1], -1).transpose(2, 0, 1).astype(np.float32)


def spread_counts(counts: np.ndarray) -> np.ndarray:
    """Scale (H, W) thermal counts to [0, 1] by the frame's own range; a flat frame becomes 0.

    8-bit pictures hold 1/256 of the counts: a range of 21800 to 25000 lies between 85 and 98.
    The authors' program clips them to the 16-bit limits, which leaves a constant picture.
    """
    counts = counts.astype(np.float32) * (256 if counts.dtype == np.uint8 else 1)
    counts = np.clip(counts, *COUNTS)
    low, high = float(counts.min()), float(counts.max())
    if high <= low:
        return np.zeros(counts.shape, np.float32)
    return (counts - low) / (high - low)
