"""Standard errors of a self-calibration, from leaving out one part of the drive at a time.

The differences between the parts (jackknife) do not show what is missing in all of them. For such
quantities the width of the prior is included, and the uncertainty of an unknown speed is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.array_fit import POSITION_SD_M, ArrayFit, fit_array
from avdet_ros.audio.array_sources import (
    DELAY_SD_S,
    LEAST_KNOWN,
    SLOWEST_SD_MPS,
    ArrayGuess,
    Sources,
)
from avdet_ros.audio.channel_gains import channel_gains
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.progress import Advance
from avdet_ros.rig import MICROPHONES

PARTS = 6
"""Number of parts that the drive is divided into."""

GAIN_FLOOR_DB = 0.1
"""Smallest standard error of a gain: shading is not exactly the same for all microphones."""

ONE_SIDED_S = 8e-6
"""Additional error of every lead if almost nothing was received on one side."""

FRONT_DEG = 56.0
"""Half width, about straight ahead, of the sector over which leads are averaged."""


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors: gain (8,), x, y and delay (8, 3), and lead over the front sector (8,)."""

    gain_db: np.ndarray
    place: np.ndarray
    lead_s: np.ndarray


def standard_errors(
    fronts: WaveFronts,
    nominal: ArrayGuess,
    fit: ArrayFit,
    line: np.ndarray | None,
    speeds_mps: np.ndarray | None,
    advance: Advance,
) -> StandardErrors:
    """Estimate the standard errors of a fit.

    Args:
        fronts: the wave fronts that were fitted.
        nominal: the centre of the prior.
        fit: the fit.
        line: see ``fixed_axis`` of `fit_array`.
        speeds_mps: see `fit_array`.
        advance: called `PARTS` times.
    """
    part = np.minimum(np.arange(len(fronts.time_s)) * PARTS // max(len(fronts.time_s), 1), PARTS)
    gain_parts, place_parts = [], []
    for left_out in range(PARTS):
        keep = part != left_out
        gain_parts.append(fitted_gains(fronts, fit, keep))
        refitted = _refit(fronts, nominal, fit, line, speeds_mps, keep)
        place_parts.append(np.column_stack([refitted.positions_m[:, :2], refitted.delay_s]))
        advance()
    gains, places = np.array(gain_parts), np.array(place_parts)
    azimuths = np.radians(np.linspace(-FRONT_DEG, FRONT_DEG, 17))
    slopes = np.stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths], axis=1)
    slopes = slopes / SPEED_OF_SOUND_MPS - [0, 0, 1]
    leads = places @ slopes.T
    leads -= leads[:, fit.array.alive].mean(axis=1, keepdims=True)
    prior = np.diag([POSITION_SD_M**-2, POSITION_SD_M**-2, DELAY_SD_S**-2])
    prior_covariance = np.linalg.inv(fit.information + prior)
    prior_lead = np.einsum('ak,mkl,al->m', slopes, prior_covariance, slopes) / len(slopes)

    def variance(values: np.ndarray) -> np.ndarray:
        return (PARTS - 1) * np.var(values, axis=0)

    delay = np.zeros(MICROPHONES)
    if not speed_is_known(fit, speeds_mps):
        along = fit.array.positions_m[:, 0] - fit.array.positions_m[fit.array.alive, 0].mean()
        delay = np.square(SLOWEST_SD_MPS * along / SPEED_OF_SOUND_MPS**2)
    place = variance(places) + prior_covariance.diagonal(axis1=1, axis2=2)
    delay = delay + fit.one_sided * ONE_SIDED_S**2
    place[:, 2] += delay
    return StandardErrors(
        np.sqrt(variance(gains) + GAIN_FLOOR_DB**2),
        np.sqrt(place),
        np.sqrt(variance(leads).mean(axis=1) + prior_lead + delay),
    )


def speed_is_known(fit: ArrayFit, speeds_mps: np.ndarray | None) -> bool:
    """Return whether enough clear segments have a known speed."""
    if speeds_mps is None:
        return False
    return bool((fit.counts & np.isfinite(speeds_mps)).sum() >= LEAST_KNOWN)


def _refit(
    fronts: WaveFronts,
    nominal: ArrayGuess,
    fit: ArrayFit,
    line: np.ndarray | None,
    speeds_mps: np.ndarray | None,
    keep: np.ndarray,
) -> ArrayGuess:
    """Fit the array to some of the segments, starting from the fit to all."""
    speeds_mps = None if speeds_mps is None else speeds_mps[keep]
    sources = Sources(
        fit.sources.azimuths[keep],
        fit.sources.log_distances[keep],
        fit.sources.speeds_mps[keep],
    )
    return fit_array(
        fronts.chosen(keep), nominal, fit.array, ((1.0, 3),), line, speeds_mps, sources
    ).array


def fitted_gains(fronts: WaveFronts, fit: ArrayFit, keep: np.ndarray) -> np.ndarray:
    """Estimate (8,) gains in dB from the segments in `keep`, (S,) bool."""
    weights = keep * fit.counts * np.minimum(fronts.weights.mean(axis=1), 10.0)
    return channel_gains(
        fronts.level_db, weights, fit.sources.azimuths, fit.array.positions_m, fit.array.alive
    )
