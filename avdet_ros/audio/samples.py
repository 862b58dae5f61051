"""Convert samples of sound between integers and floating point."""

from __future__ import annotations

import numpy as np

INT16_FULL_SCALE = 32768.0
"""Divisor that scales int16 samples to [-1, 1)."""


def to_float(samples: np.ndarray) -> np.ndarray:
    """Convert samples of any shape to float32 in [-1, 1]; NaN and infinity become 0.

    Args:
        samples: int16, or floating point in [-1, 1].
    """
    if samples.dtype == np.int16:
        return samples * np.float32(1 / INT16_FULL_SCALE)
    return np.nan_to_num(samples.astype(np.float32, copy=False), posinf=0.0, neginf=0.0)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Convert samples in [-1, 1], of any shape, to int16; values beyond are clipped."""
    scaled = np.round(samples * INT16_FULL_SCALE)
    return np.clip(scaled, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16)
