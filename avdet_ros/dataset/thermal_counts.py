"""Scales of thermal cameras' counts, and a check that teachers see contrast in thermal pictures.

Teachers map `COUNTS`, MAVD's range, to [0, 1]: 80 counts per kelvin from absolute zero, -0.65
to 39.35 degrees Celsius. Other cameras have other scales (centikelvin, 0.04 K, 0.1 K, raw values
without a temperature, 8 bits stretched by the camera itself), and a teacher would see their
pictures as a uniform grey. Therefore counts are converted to this scale when a drive is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

COUNTS = (21800, 25000)
"""Range of 16-bit counts that is mapped to [0, 1]."""

COUNTS_PER_K = 80.0

LEAST_CONTRAST = 0.01
"""Minimum contrast in [0, 1]: 0.4 K between the coldest and the warmest hundredth."""

ZERO_C_K = 273.15
_MOST_GAIN = 16.0
_STEP = 7
_SCALES = (
    # lowest and highest usual median, counts per kelvin, kelvin at count 0, description
    (18600, 25000, 80.0, 0.0, '1/80 K, as ours'),
    (25000, 34000, 100.0, 0.0, '0.01 K'),
    (5800, 8400, 25.0, 0.0, '0.04 K'),
    (2300, 3400, 10.0, 0.0, '0.1 K'),
    (700, 1700, 10.0, ZERO_C_K - 100.0, '0.1 K from -100 degrees Celsius'),
)
"""Scales of common cameras, recognised by the median of outdoor pictures."""


@dataclass(frozen=True)
class ThermalScale:
    """Conversion from a camera's counts to ours: count * factor + offset.

    Attributes:
        factor: our counts per count of the camera.
        offset: our counts at count 0 of the camera.
        description: how the scale was found.
    """

    factor: float = 1.0
    offset: float = 0.0
    description: str = ''

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Convert a picture to (H, W) uint16; pictures in 8 bits or in our scale are unchanged."""
        if image.dtype == np.uint8 or (self.factor, self.offset) == (1.0, 0.0):
            return image
        known = np.isfinite(image) if image.dtype.kind == 'f' else image > 0
        counts = np.where(known, image, 0).astype(np.float32) * np.float32(self.factor)
        counts = np.where(known, counts + np.float32(self.offset), 0)
        return np.clip(counts.round(), 0, 65535).astype(np.uint16)


def find_scale(
    images: Iterable[np.ndarray], kelvin_per_count: float | None = None
) -> ThermalScale:
    """Determine the scale of a drive's thermal pictures.

    Args:
        images: some of the pictures, (H, W) uint8, uint16, or float kelvin or degrees Celsius.
        kelvin_per_count: the camera's scale, if known; 0: counts without a temperature; None:
            determine it from the median of the pictures.
    """
    parts = [image[::_STEP, ::_STEP].ravel() for image in images]
    if not parts:
        return ThermalScale(description='no pictures')
    if parts[0].dtype == np.uint8:
        return ThermalScale(description='8 bits, stretched by the camera')
    counts = np.concatenate(parts).astype(np.float64)
    counts = counts[np.isfinite(counts) & (counts != 0)]
    if not len(counts):
        return ThermalScale(description='empty pictures')
    low, middle, high = np.percentile(counts, [1, 50, 99])
    found = f'{low:.0f} to {high:.0f} counts'
    if kelvin_per_count:
        per_k, zero_k, words = 1 / kelvin_per_count, 0.0, f'{kelvin_per_count:g} K, as given'
    elif parts[0].dtype.kind == 'f':
        per_k, zero_k = 1.0, 0.0 if middle > 150 else ZERO_C_K
        words = 'kelvin' if zero_k == 0 else 'degrees Celsius'
    elif scale := next(
        (s for s in _SCALES if kelvin_per_count is None and s[0] <= middle <= s[1]), None
    ):
        _, _, per_k, zero_k, words = scale
    else:
        return _spread(low, high, found)
    factor = COUNTS_PER_K / per_k
    offset = COUNTS_PER_K * zero_k
    shift, moved = _shift(low * factor + offset, middle * factor + offset, high * factor + offset)
    return ThermalScale(factor, offset + shift, f'{found} taken as {words}{moved}')


def _shift(low: float, middle: float, high: float) -> tuple[float, str]:
    """Offset that moves pictures of a very cold or hot drive into the teachers' range."""
    inside = min(high, COUNTS[1]) - max(low, COUNTS[0])
    if inside >= 0.5 * (high - low):
        return 0.0, ''
    shift = round(sum(COUNTS) / 2 - middle)
    return shift, f', moved by {shift / COUNTS_PER_K:+.0f} K to the range that teachers see'


def _spread(low: float, high: float, found: str) -> ThermalScale:
    """Scale for counts without a temperature: the drive's own range fills most of ours."""
    width = 0.75 * (COUNTS[1] - COUNTS[0])
    factor = min(width / max(high - low, 1.0), _MOST_GAIN)
    offset = sum(COUNTS) / 2 - factor * (low + high) / 2
    return ThermalScale(
        factor, offset, f'{found} of no usual scale, spread over the range that teachers see'
    )


def blind_pictures(pictures: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return a sentence if most of the given thermal pictures lack contrast for teachers, else ''.

    Args:
        pictures: name and pixels of each picture.
    """
    faults = [(name, contrast_fault(image)) for name, image in pictures]
    blind = [(name, fault) for name, fault in faults if fault]
    if 2 * len(blind) <= len(faults):
        return ''
    return f'{len(blind)} of {len(faults)} checked thermal pictures, e.g. {": ".join(blind[0])}'


def contrast(image: np.ndarray) -> float:
    """Return how much of [0, 1] a thermal picture spans for a teacher, 1 % to 99 % of its pixels.

    Args:
        image: (H, W) or (H, W, 3) uint8, or (H, W) uint16 counts, 0 outside the picture.
    """
    pixels = (image[..., 0] if image.ndim == 3 else image)[::2, ::2]
    if image.dtype == np.uint8:
        low, high = np.percentile(pixels, [1, 99])
        return float(high - low) / 255
    pixels = pixels[pixels > 0]
    if not len(pixels):
        return 0.0
    low, high = np.clip(np.percentile(pixels, [1, 99]), *COUNTS)
    return float(high - low) / (COUNTS[1] - COUNTS[0])


def contrast_fault(image: np.ndarray) -> str:
    """Return why a thermal picture has no contrast for a teacher; '' if it has."""
    if contrast(image) >= LEAST_CONTRAST:
        return ''
    pixels = image[..., 0] if image.ndim == 3 else image
    low, high = np.percentile(pixels, [1, 99])
    expected = f'counts from {COUNTS[0]} to {COUNTS[1]}' if image.dtype != np.uint8 else 'contrast'
    return f'expected {expected}, found {low:.0f} to {high:.0f}: one grey for the teachers'
