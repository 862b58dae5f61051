"""Estimate positions and delays of the microphones from wave fronts of unknown sources.

Each segment has one source at an unknown azimuth and distance; all segments share the array. Two
steps alternate. The first fits the segments' sources to the current array. The second fits the
array to these sources, by weighted least squares on the remaining delay of each channel. The
highest frequency used rises stage by stage, so that no phase is wrong by a full turn.

The sound does not show a shift or rotation of the whole array or a delay of all channels, and
shows other quantities poorly. A prior around the rig file's geometry constrains these. The prior
has heavy tails, so that a microphone far from its nominal position can still be found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from avdet_ros.audio.array_sources import (
    DELAY_SD_S,
    SEGMENT_SD_S,
    ArrayGuess,
    Sources,
    move_sources,
    search_azimuths,
    settle_speed,
)
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.rig import MICROPHONES

POSITION_SD_M = 0.010
"""Prior standard deviation of a microphone's position around the rig file's."""

SCALE_SD = 0.025
"""Relative standard deviation of the speed of sound around 343 m/s; 15 degrees Celsius."""

LEAST_FIT = 0.45
"""Minimum share of a segment's wave explained by its best source; lower values mean several
sources."""

NEAR_M = 8.0
"""Segments with a nearer source count less. At such distances a vehicle is not a point source, and
the waves of its axles together cross the array as if it were smaller."""

LEAST_SIDE = 0.2
"""Minimum ratio between the segment weights of the two sides of the vehicle."""

STAGES = ((0.2, 8), (0.35, 6), (0.6, 6), (1.0, 8))
"""Stages of the fit: highest frequency as a share of the range, and number of rounds."""

SECTORS = 24
"""Number of azimuth sectors; segments in a crowded sector count less."""


@dataclass(frozen=True)
class ArrayFit:
    """An array fitted to the sound.

    Attributes:
        array: the array.
        sources: position of each segment's source, and speed of the array.
        fit: (S,) share of the segment's wave that the source explains, 0 to 1.
        late_s: (S, 8) remaining delay of each channel.
        agreement: (S, 8) how well each channel's phases agree with the others', -1 to 1.
        counts: (S,) bool, segments with one clear source.
        one_sided: whether almost nothing was received on one side of the vehicle.
        information: (8, 3, 3) inverse covariance of x, y (m) and delay (s) without the prior.
    """

    array: ArrayGuess
    sources: Sources
    fit: np.ndarray
    late_s: np.ndarray
    agreement: np.ndarray
    counts: np.ndarray
    one_sided: bool
    information: np.ndarray


def fit_array(
    fronts: WaveFronts,
    nominal: ArrayGuess,
    start: ArrayGuess | None = None,
    stages: Sequence[tuple[float, int]] = STAGES,
    fixed_axis: np.ndarray | None = None,
    speeds_mps: np.ndarray | None = None,
    sources: Sources | None = None,
) -> ArrayFit:
    """Fit an array to wave fronts.

    Args:
        fronts: wave fronts of some minutes of sound.
        nominal: the rig file's array, the centre of the prior.
        start: initial array; None starts from `nominal`.
        stages: see `STAGES`.
        fixed_axis: (2,) unit vector along which positions cannot be determined and stay fixed;
            None for none.
        speeds_mps: (S,) speed of the vehicle at each segment, nan where unknown; None if all are.
        sources: initial sources; None searches for them.
    """
    array = start or nominal
    if speeds_mps is None:
        speeds_mps = np.full(len(fronts.time_s), np.nan)
    fronts = replace(fronts, vectors=fronts.vectors * array.alive)
    search = sources is None
    sources = sources or Sources.at(np.zeros(len(fronts.time_s)))
    found: ArrayFit | None = None
    for part, rounds in stages:
        below = fronts.frequencies_hz <= part * fronts.frequencies_hz[-1]
        bands = replace(
            fronts,
            frequencies_hz=fronts.frequencies_hz[below],
            vectors=fronts.vectors[:, below],
            weights=fronts.weights[:, below],
        )
        for round_ in range(rounds):
            if search and round_ % 4 == 0:
                sources = replace(sources, azimuths=search_azimuths(bands, array)[0])
            found = _round(bands, nominal, array, sources, fixed_axis, speeds_mps)
            array, sources = settle_speed(
                found.array, nominal, found.sources, found.counts, speeds_mps
            )
            found = replace(found, array=array, sources=sources)
    if found is None:
        raise ValueError('expected at least one round')
    return found


def _round(
    fronts: WaveFronts,
    nominal: ArrayGuess,
    array: ArrayGuess,
    sources: Sources,
    fixed_axis: np.ndarray | None,
    speeds_mps: np.ndarray,
) -> ArrayFit:
    """Fit the sources to the array once, then the array to the sources."""
    alive = array.alive
    late_s, fit, agreement = lateness(fronts, array.leads_s(sources))
    late_s -= late_s[:, alive].mean(axis=1, keepdims=True)
    counts = (fit > LEAST_FIT) & (fronts.weights.sum(axis=1) > 0)
    sources, late_s = move_sources(array, sources, late_s, counts, fronts.time_s, speeds_mps)
    weights = _segment_weights(fronts, sources, counts)
    to_source = array.directions(sources)[:, :2] / array.crossing_mps(sources)[:, None]
    design = np.concatenate([-to_source, np.ones((len(to_source), 1))], axis=1)
    positions_m, delay_s = array.positions_m.copy(), array.delay_s.copy()
    middle_m = _scaled(nominal, array)
    information = np.zeros((MICROPHONES, 3, 3))
    for i in np.flatnonzero(alive):
        spread = 1.5 * np.median(np.abs(late_s[counts, i])) + 5e-6 if counts.any() else 1.0
        robust = weights * (agreement[:, i] > 0.2) / (1 + (late_s[:, i] / spread) ** 2) ** 2
        weighted = design * (robust / SEGMENT_SD_S**2)[:, None]
        information[i] = weighted.T @ design
        off = np.append((positions_m[i] - middle_m[i])[:2], delay_s[i])
        off[2] -= nominal.delay_s[i]
        prior = _prior_precision(off, fixed_axis)
        step = np.linalg.solve(information[i] + prior, weighted.T @ late_s[:, i] - prior @ off)
        positions_m[i, :2] += step[:2]
        delay_s[i] += step[2]
    delay_s[alive] -= (delay_s - nominal.delay_s)[alive].mean()
    positions_m[:, :2] -= (positions_m - nominal.positions_m)[alive, :2].mean(axis=0)
    array = replace(array, positions_m=positions_m, delay_s=delay_s)
    lopsided = one_sided(sources.azimuths, weights)
    return ArrayFit(array, sources, fit, late_s, agreement, counts, lopsided, information)


def one_sided(azimuths: np.ndarray, weights: np.ndarray) -> bool:
    """Return whether almost nothing was received on the left, or on the right."""
    side = np.sin(azimuths)
    left, right = weights[side > 0.5].sum(), weights[side < -0.5].sum()
    return bool(min(left, right) < LEAST_SIDE * max(left, right, 1e-9))


def _scaled(nominal: ArrayGuess, array: ArrayGuess) -> np.ndarray:
    """Return (8, 3) nominal positions, scaled by the apparent effect of temperature.

    A wave crosses the array faster in warm air, as if the array were smaller.
    """
    alive = array.alive
    a, b = nominal.positions_m[alive, :2], array.positions_m[alive, :2]
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    prior = (POSITION_SD_M / SCALE_SD) ** 2
    scale = 1 + ((a * (b - a)).sum()) / ((a * a).sum() + prior)
    return nominal.positions_m * np.clip(scale, 0.93, 1.07)


def _prior_precision(off: np.ndarray, fixed_axis: np.ndarray | None) -> np.ndarray:
    """Return the (3, 3) precision of x, y and delay; Student's t, weaker for large offsets."""
    scale = np.array([POSITION_SD_M, POSITION_SD_M, DELAY_SD_S])
    far = np.array([np.hypot(*off[:2])] * 2 + [abs(off[2])]) / scale
    prior = np.diag(1 / (scale**2 * (1 + far**2 / 4)))
    if fixed_axis is not None:
        prior[:2, :2] += 1e12 * np.outer(fixed_axis, fixed_axis)
    return prior


def lateness(fronts: WaveFronts, leads_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate how much later each channel is than the other channels predict.

    Args:
        fronts: the wave fronts.
        leads_s: (S, 8) expected leads.

    Returns:
        late_s: (S, 8), by Newton steps to the maximum of sum_f Re(cross_f exp(2 pi i f late)).
        fit: (S,) share of the wave that the expected leads explain.
        agreement: (S, 8) height of that maximum, 1 for perfect phases.
    """
    omega = (2 * np.pi * fronts.frequencies_hz).astype(np.float32)[None, :, None]
    aligned = fronts.vectors * np.exp(-1j * omega * leads_s[:, None, :].astype(np.float32))
    total = aligned.sum(axis=2, keepdims=True)
    live = np.maximum((np.abs(fronts.vectors) > 0).sum(axis=2), 1)
    explained = np.abs(total[..., 0]) ** 2 / live
    fit = (fronts.weights * explained).sum(axis=1) / np.maximum(fronts.weights.sum(axis=1), 1e-9)
    cross = aligned * np.conj(total - aligned)
    cross /= np.maximum(np.abs(cross), 1e-12)
    trust = fronts.weights * np.clip(explained - 0.3, 0, None)
    cross *= trust[..., None]
    late_s = np.zeros(leads_s.shape, np.float32)
    magnitude = (omega**2 * trust[..., None]).sum(axis=1) + 1e-9
    rotated = cross
    for _ in range(3):
        slope = (omega * rotated.imag).sum(axis=1)
        late_s -= np.clip(slope / magnitude, -4e-5, 4e-5)
        rotated = cross * np.exp(1j * omega * late_s[:, None, :])
    agreement = rotated.real.sum(axis=1) / np.maximum(trust.sum(axis=1), 1e-9)[:, None]
    return late_s.astype(np.float64), fit, agreement


def _segment_weights(fronts: WaveFronts, sources: Sources, counts: np.ndarray) -> np.ndarray:
    """Return (S,) weights: strong segments count more, near and crowded ones less."""
    strength = fronts.weights.sum(axis=1)
    typical = np.median(strength[counts]) if counts.any() else 1.0
    weights = counts * np.clip(strength / max(typical, 1e-9), 0.1, 2.0)
    weights /= 1 + (NEAR_M / np.exp(sources.log_distances)) ** 4
    sector = (sources.azimuths / (2 * np.pi) * SECTORS % SECTORS).astype(int) % SECTORS
    crowd = np.bincount(sector, weights, SECTORS)[sector]
    return weights / np.sqrt(np.maximum(crowd / 10, 1))
