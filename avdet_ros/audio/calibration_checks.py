"""Check what a self-calibration requires of the array and the drive; report what is missing."""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.array_fit import ArrayFit
from avdet_ros.audio.array_sources import ArrayGuess
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES

LEAST_S = 60.0
"""Minimum length of the sound; five minutes are better."""

LEAST_SEGMENTS = 120
"""Minimum number of segments with one clear source each, about 25 s in total."""

SECTORS = 12
LEAST_IN_SECTOR = 8
LEAST_SECTORS = 3
"""Minimum number of 30-degree sectors, each with at least `LEAST_IN_SECTOR` clear segments; one
loud source fills one or two."""

SECTOR_OFFSETS = 6
"""Number of alternative borders of the first sector, 5 degrees apart."""

SMALLEST_APERTURE_M = 0.05
LINE_SHARE = 0.05
"""An array whose width is below this share of its length counts as a line."""

STRONG = 2.0
"""Minimum mean weight of a segment in which a source stands out from the ego noise and wind."""

LEAST_ALIVE = 4
DEAD_SHARE = 0.4
"""Minimum share of the waves in a live channel, relative to the median; a channel with less
receives something else."""

DEAD_DB = 25.0
"""A channel this far below the others' median does not receive what they receive."""


def check_length(fronts: WaveFronts) -> None:
    """Refuse recordings that are too short.

    Raises:
        AvdetError: the recording is too short; the message states the required length.
    """
    if fronts.seconds < LEAST_S:
        raise AvdetError(
            f'calibration: expected at least {LEAST_S:.0f} s of driving, better five minutes, '
            f'found {fronts.seconds:.0f} s'
        )


def check_shape(array: ArrayGuess) -> np.ndarray | None:
    """Refuse arrays that are too small.

    Returns:
        (2,) direction across the line if all microphones are on one line, else None.

    Raises:
        AvdetError: all microphones are within `SMALLEST_APERTURE_M`.
    """
    if array.aperture_m <= SMALLEST_APERTURE_M:
        raise AvdetError(
            f'calibration: expected microphones more than {100 * SMALLEST_APERTURE_M:.0f} cm '
            f'apart, found all within {100 * array.aperture_m:.1f} cm: errors of their places '
            'cannot be determined from the sound'
        )
    flat = array.positions_m[array.alive, :2]
    _, extent, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    return axes[1] if extent[1] < LINE_SHARE * extent[0] else None


def living_channels(fronts: WaveFronts, rig_alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the channels that receive the same sound as the others.

    Args:
        fronts: wave fronts of the drive.
        rig_alive: (8,) bool, channels that the rig file marks as alive.

    Returns:
        alive: (8,) bool.
        share: (8,) share of the waves in each channel, 1 for the median channel.
    """
    weights = fronts.weights[..., None]
    share = (np.abs(fronts.vectors) ** 2 * weights).sum(axis=(0, 1))
    share *= MICROPHONES / max(float(fronts.weights.sum()), 1e-12)
    power_db = np.median(fronts.power_db, axis=0) if len(fronts.time_s) else np.zeros(MICROPHONES)
    usual_share, usual_db = np.median(share), np.median(power_db)
    share = share / max(usual_share, 1e-9)
    return rig_alive & (share > DEAD_SHARE) & (power_db > usual_db - DEAD_DB), share


def check_traffic(fronts: WaveFronts, nominal: ArrayGuess) -> None:
    """Refuse a drive with too few clear waves.

    Raises:
        AvdetError: there is too little traffic.
    """
    strong = fronts.weights.mean(axis=1) > STRONG
    if strong.sum() < LEAST_SEGMENTS:
        seconds = fronts.seconds * strong.mean() if len(strong) else 0.0
        raise AvdetError(
            f'calibration: too little traffic: expected at least {LEAST_SEGMENTS} segments in '
            f'which something stands out of the own noise and the wind, found {strong.sum()} '
            f'({seconds:.0f} s of {fronts.seconds:.0f} s); drive where others drive, for longer'
        )


def check_coverage(fit: ArrayFit) -> None:
    """Refuse sound from too few sides.

    Raises:
        AvdetError: there are too few clear segments or sectors; the message names what is missing.
    """
    sectors = source_sectors(fit)
    if fit.counts.sum() < LEAST_SEGMENTS:
        raise AvdetError(
            f'calibration: too little traffic: expected at least {LEAST_SEGMENTS} segments with '
            f'one clear source that fits the array, found {fit.counts.sum()}: with more than two '
            "channels exchanged, or another rig file than the array's, nothing fits"
        )
    if sectors < LEAST_SECTORS:
        raise AvdetError(
            f'calibration: expected sources from at least {LEAST_SECTORS} of {SECTORS} sectors of '
            f'30 degrees, found {sectors}: one loud source does not tell delays from positions; '
            'drive where vehicles pass on all sides'
        )


def source_sectors(fit: ArrayFit) -> int:
    """Count the 30-degree sectors that contained the clear segments' sources.

    The result is the minimum over `SECTOR_OFFSETS`, so that a source on the border of two sectors
    counts as one.
    """
    turn = fit.sources.azimuths[fit.counts] / (2 * np.pi) * SECTORS
    offsets = np.arange(SECTOR_OFFSETS) / SECTOR_OFFSETS
    sectors = (np.floor(turn + offset).astype(int) % SECTORS for offset in offsets)
    counts = (np.bincount(sector, minlength=SECTORS) for sector in sectors)
    return min(int((count >= LEAST_IN_SECTOR).sum()) for count in counts)
