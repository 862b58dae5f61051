"""Sound that an array receives from the direction of each box: the steered response of features.

The coherences of the microphone pairs are correlated with those of a plane wave from each
direction (`detection.steering`), over all bands: whitened, as in the phase transform, or weighted
with the band's A-weighted level, by which the truth defines what is audible. Ranges are computed
from the road that a box stands on, never taken from the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.angles import degrees_from_boxes, from_pixels
from avdet_ros.detection.road_ranges import ranges_on_road
from avdet_ros.detection.steering import FRONT_DEG, steering
from avdet_ros.rig import MICROPHONES, Rig

STEP_DEG = 1.0
"""Step between two steering directions."""

MARGIN_DEG = 3.0
"""How far a box's directions extend beyond its sides: about the array's angular precision."""

BAND_HZ = (300.0, 4000.0)
"""Frequencies at which the array resolves directions; see `baselines.SteeredResponse`."""

AZIMUTHS_DEG = np.arange(FRONT_DEG, -FRONT_DEG - STEP_DEG / 2, -STEP_DEG)
"""Steering directions relative to the camera's heading, from left to right."""


@dataclass(frozen=True)
class Received:
    """Sound from each of `AZIMUTHS_DEG`, one row per frame.

    Attributes:
        coherent: (F, A) float32, mean over the bands of the whitened response, at most 1.
        level_db: (F, A) float32, A-weighted level from there relative to that of all sound.
        total_db: (F,) float32, A-weighted level of all sound, relative to full scale.
    """

    coherent: np.ndarray
    level_db: np.ndarray
    total_db: np.ndarray


def received(features: Sequence[np.ndarray], rig: Rig) -> Received:
    """Steer to every direction in front.

    Args:
        features: (32, n_mels, T) of each frame, pooled or not.
        rig: array and camera.
    """
    front_end = FrontEnd.of(rig)
    weights = steering(rig, front_end, AZIMUTHS_DEG)
    middle_hz = band_middles_hz(front_end)
    used = (middle_hz >= BAND_HZ[0]) & (middle_hz <= BAND_HZ[1])
    hearing = 10 ** (a_weighting_db(middle_hz) / 10) * band_widths(front_end)
    coherent, level, total = [], [], []
    for frame in features:
        frame = np.asarray(frame, np.float32)
        power = (10 ** (frame[:MICROPHONES] / 10)).mean(axis=(0, 2)) * hearing
        mean = frame[MICROPHONES:].mean(axis=2).T[:, :, None]
        response = np.clip((weights @ mean)[..., 0], 0.0, None)
        coherent.append(response[used].mean(axis=0))
        level.append(power @ response / max(power.sum(), 1e-30))
        total.append(power.sum())
    size = (len(coherent), len(AZIMUTHS_DEG))
    shares = np.maximum(np.reshape(level, size), 1e-4)
    return Received(
        np.reshape(coherent, size).astype(np.float32),
        (10 * np.log10(shares)).astype(np.float32),
        (10 * np.log10(np.maximum(total, 1e-30))).astype(np.float32),
    )


def box_sides_deg(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """Return the (N, 2) azimuths of the sides of (N, 4) boxes from the array, left and right."""
    boxes = np.asarray(boxes_px, np.float64).reshape(-1, 4)
    angles = degrees_from_boxes(from_pixels(boxes, ranges_on_road(boxes, rig), rig))
    return angles[:, [0]] + angles[:, [2]] / 2 * np.array([1.0, -1.0])


def at_boxes(
    values: np.ndarray, frame: np.ndarray, sides_deg: np.ndarray, margin_deg: float = MARGIN_DEG
) -> np.ndarray:
    """Return the (N,) largest values within each box's directions.

    Args:
        values: (F, A) over `AZIMUTHS_DEG`.
        frame: (N,) frame index of each box.
        sides_deg: (N, 2) from `box_sides_deg`.
        margin_deg: margin beyond each side.
    """
    off_deg = np.abs(AZIMUTHS_DEG - sides_deg.mean(axis=1, keepdims=True))
    half_deg = (sides_deg[:, :1] - sides_deg[:, 1:]) / 2
    inside, middle = off_deg <= half_deg + margin_deg, off_deg.argmin(axis=1)
    inside[np.arange(len(frame)), middle] = True
    return np.where(inside, values[frame], -np.inf).max(axis=1, initial=-np.inf)


def best_of_others(values: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return the (N,) largest values of any other box of the same frame; -inf without another."""
    best = np.full(len(values), -np.inf)
    for number in np.unique(frame):
        indices = np.flatnonzero(frame == number)
        for index in indices:
            best[index] = max(values[indices[indices != index]], default=-np.inf)
    return best


def band_middles_hz(front_end: FrontEnd) -> np.ndarray:
    """Return the (n_mels,) float64 mean frequency of each band's filter."""
    filters = front_end.mel_filters.astype(np.float64)
    bins_hz = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate_hz)
    return filters @ bins_hz / np.maximum(filters.sum(axis=1), 1e-30)


def band_widths(front_end: FrontEnd) -> np.ndarray:
    """Return (n_mels,) float64 factors from level to power, as the filters have equal area."""
    filters = front_end.mel_filters.astype(np.float64)
    return filters.sum(axis=1) / np.maximum(filters.max(axis=1), 1e-30)


def a_weighting_db(frequency_hz: np.ndarray) -> np.ndarray:
    """Compute the A-weighting (IEC 61672-1, annex E) of frequencies above 0, 0 dB at 1 kHz."""
    square = np.maximum(np.asarray(frequency_hz, np.float64), 1.0) ** 2
    low, high = 20.598997**2, 12194.217**2
    gain = high * square**2 / ((square + low) * (square + high))
    gain /= np.sqrt((square + 107.65265**2) * (square + 737.86223**2))
    return 20 * np.log10(gain) + 2.0
