"""Model a moving array and the unknown source of each segment of its sound.

Sound from ahead crosses the moving array at the speed of sound plus the vehicle's own speed, sound
from behind at their difference. At 30 m/s this effect is twice the errors that a calibration looks
for, so the speed along the vehicle is fitted too, one value every few seconds. A constant added to
the speed has the same effect as delays that grow along the vehicle (a moving medium bends waves
like a prism). So one speed has to be known: from odometry, or from the assumption that the vehicle
nearly stood still when it was slowest. Known speeds constrain the fitted ones, with a tolerance
for wind. Sources are near: because of the array's height over the road, a short distance reduces
the leads, and it also curves the wave fronts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.wave_fronts import WaveFronts, aperture

DELAY_SD_S = 4.5e-5
"""Prior standard deviation of a channel's delay: two samples."""

SEGMENT_SD_S = 4e-5
"""Standard deviation of one segment's delays; large, since neighbours share a source and their
errors."""

TYPICAL_M, DISTANCE_FACTOR = 15.0, 2.5
"""Prior of the sources' distances: median, and the factor of one standard deviation."""

NEAREST_M, FARTHEST_M = 2.0, 60.0
SOURCE_HEIGHT_M = 0.15
"""Height of tyres and engines; the array's height above them reduces its leads."""

SPEED_S = 4.5
"""Length of a stretch over which the vehicle's speed is one number."""

SPEED_CHANGE_SD_MPS = 6.0
"""Standard deviation of the speed's change from one stretch to the next."""

WIND_SD_MPS = 2.0
"""Standard deviation, due to wind, between the air's speed across the array and the vehicle's."""

SLOWEST_SHARE = 0.1
SLOWEST_SD_MPS = 3.0
"""In the slowest tenth of the time the vehicle is assumed to stand still, to within this."""

LEAST_KNOWN = 20
"""Minimum number of segments with known speed for the known speed to be used."""

AZIMUTHS = 72
SEARCH_HZ = 1500.0
"""Directions are searched below this frequency (for an array half a metre wide), then refined."""


@dataclass(frozen=True)
class Sources:
    """One source for each segment.

    Attributes:
        azimuths: (S,) radians.
        log_distances: (S,) natural logarithm of the distance in metres.
        speeds_mps: (S,) speed of the array along base_link's x.
    """

    azimuths: np.ndarray
    log_distances: np.ndarray
    speeds_mps: np.ndarray

    @classmethod
    def at(cls, azimuths: np.ndarray) -> Sources:
        """Return sources at a typical distance from an array that stands still."""
        away = np.full(len(azimuths), np.log(TYPICAL_M))
        return cls(azimuths, away, np.zeros(len(azimuths)))


@dataclass(frozen=True)
class ArrayGuess:
    """An array: positions of its microphones and delays of their channels.

    Attributes:
        positions_m: (8, 3) from the array's centre, along base_link's axes.
        delay_s: (8,) delay of each channel.
        alive: (8,) bool, channels that are used.
        height_m: height of the array above the sources.
    """

    positions_m: np.ndarray
    delay_s: np.ndarray
    alive: np.ndarray
    height_m: float

    @property
    def aperture_m(self) -> float:
        """Largest distance between two live microphones."""
        return aperture(self.positions_m[self.alive])

    def leads_s(self, sources: Sources) -> np.ndarray:
        """Return (S, 8) seconds by which each channel receives a source before the centre."""
        source = self._places(sources)
        to_centre = np.linalg.norm(source, axis=-1, keepdims=True)
        to_each = np.linalg.norm(source[:, None] - self.positions_m[None], axis=-1)
        return (to_centre - to_each) / self.crossing_mps(sources)[:, None] - self.delay_s

    def directions(self, sources: Sources) -> np.ndarray:
        """Return (S, 3) unit vectors to the sources."""
        source = self._places(sources)
        return source / np.linalg.norm(source, axis=-1, keepdims=True)

    def crossing_mps(self, sources: Sources) -> np.ndarray:
        """Return (S,) speeds at which the waves cross the moving array."""
        return SPEED_OF_SOUND_MPS + sources.speeds_mps * self.directions(sources)[:, 0]

    def _places(self, sources: Sources) -> np.ndarray:
        away, azimuths = np.exp(sources.log_distances), sources.azimuths
        down = np.full(len(azimuths), -self.height_m)
        return np.stack([away * np.cos(azimuths), away * np.sin(azimuths), down], axis=-1)


def search_azimuths(fronts: WaveFronts, array: ArrayGuess) -> tuple[np.ndarray, np.ndarray]:
    """Find the best azimuth of each segment on an even grid, refined by a parabola.

    Returns:
        azimuths: (S,) radians.
        fit: (S,) share of the wave explained, 0 to 1.
    """
    low = fronts.frequencies_hz <= SEARCH_HZ * 0.5 / min(array.aperture_m, 0.5)
    count = AZIMUTHS * max(1, round(array.aperture_m / 0.6))
    grid, power = steered_power(fronts, array, count, low)
    best = power.argmax(axis=1)
    row = np.arange(len(best))
    before, at, after = (power[row, (best + k) % count] for k in (-1, 0, 1))
    offset = 0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-9)
    return grid[best] + np.clip(offset, -0.5, 0.5) * grid[1], at


def steered_power(
    fronts: WaveFronts, array: ArrayGuess, count: int, bands: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each segment's wave that comes from each direction.

    Args:
        fronts: the wave fronts.
        array: the array that is steered.
        count: number of directions, spaced evenly all around.
        bands: (B,) bool, bands to use.

    Returns:
        azimuths: (count,) radians from 0.
        power: (S, count) float32, 1 for a wave that fits a direction perfectly.
    """
    grid = np.arange(count) * 2 * np.pi / count
    leads_s = array.leads_s(Sources.at(grid))
    power = np.zeros((len(fronts.time_s), count), np.float32)
    for band in np.flatnonzero(bands):
        steering = np.exp(-2j * np.pi * fronts.frequencies_hz[band] * leads_s).astype('c8')
        power += fronts.weights[:, band, None] * np.abs(fronts.vectors[:, band] @ steering.T) ** 2
    live = (np.abs(fronts.vectors) > 0).any(axis=(0, 1)) & array.alive
    power /= np.maximum(fronts.weights[:, bands].sum(axis=1), 1e-9)[:, None] * live.sum()
    return grid, power


def move_sources(
    array: ArrayGuess,
    sources: Sources,
    late_s: np.ndarray,
    counts: np.ndarray,
    time_s: np.ndarray,
    known_mps: np.ndarray,
) -> tuple[Sources, np.ndarray]:
    """Move the sources and change the array's speed to explain the channels' delays.

    Args:
        array: the array.
        sources: current estimate of the sources.
        late_s: (S, 8) delays with mean 0 over the live channels.
        counts: (S,) bool, segments used for the speed.
        time_s: (S,) times of the segments.
        known_mps: (S,) the vehicle's speed, nan where unknown.

    Returns:
        sources: the moved sources.
        late_s: (S, 8) remaining delays.
    """
    small = 1e-3
    leads_s = array.leads_s(sources)
    by_azimuth, by_distance, by_speed = (
        _slope(array, leads_s, replace(sources, **{name: getattr(sources, name) + step}), step)
        for name, step in (
            ('azimuths', small),
            ('log_distances', small),
            ('speeds_mps', 1000 * small),
        )
    )
    prior = (0.5 * SEGMENT_SD_S / np.log(DISTANCE_FACTOR)) ** 2
    a = (by_azimuth**2).sum(axis=1) + 1e-14
    b = (by_azimuth * by_distance).sum(axis=1)
    c = (by_distance**2).sum(axis=1) + prior
    determinant = a * c - b**2

    def source_steps(late_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right = -(by_azimuth * late_s).sum(axis=1)
        up = -(by_distance * late_s).sum(axis=1) - prior * (
            sources.log_distances - np.log(TYPICAL_M)
        )
        return (c * right - b * up) / determinant, (a * up - b * right) / determinant

    # The speed first, from the part that neither azimuth nor distance of each source explains.
    turn_step, distance_step = source_steps(late_s)
    rest_s = late_s + turn_step[:, None] * by_azimuth + distance_step[:, None] * by_distance
    d, e = (by_azimuth * by_speed).sum(axis=1), (by_distance * by_speed).sum(axis=1)
    free = (by_speed**2).sum(axis=1) - (c * d**2 - 2 * b * d * e + a * e**2) / determinant
    pull = -(by_speed * rest_s).sum(axis=1)
    speeds_mps = _speeds(sources.speeds_mps, free * counts, pull * counts, time_s, known_mps)
    late_s = late_s + (speeds_mps - sources.speeds_mps)[:, None] * by_speed
    turn_step, distance_step = source_steps(late_s)
    turn_step, distance_step = np.clip(turn_step, -0.05, 0.05), np.clip(distance_step, -0.4, 0.4)
    low, high = np.log(NEAREST_M), np.log(FARTHEST_M)
    log_distances = np.clip(sources.log_distances + distance_step, low, high)
    distance_step = log_distances - sources.log_distances
    late_s = late_s + turn_step[:, None] * by_azimuth + distance_step[:, None] * by_distance
    return Sources(sources.azimuths + turn_step, log_distances, speeds_mps), late_s


def _slope(array: ArrayGuess, leads_s: np.ndarray, moved: Sources, step: float) -> np.ndarray:
    """Return (S, 8) derivatives of the leads by one source parameter, mean 0; 0 if dead."""
    slope = (array.leads_s(moved) - leads_s) / step
    slope -= slope[:, array.alive].mean(axis=1, keepdims=True)
    return slope * array.alive


def _speeds(
    now_mps: np.ndarray,
    free: np.ndarray,
    pull: np.ndarray,
    time_s: np.ndarray,
    known_mps: np.ndarray,
) -> np.ndarray:
    """Return the array's speed (S,), one number every few seconds, smooth, near the known one."""
    if not len(time_s):
        return now_mps
    stretch = ((time_s - time_s[0]) // SPEED_S).astype(int)
    stretch = np.unique(stretch, return_inverse=True)[1]
    count = stretch.max() + 1
    before = np.bincount(stretch, now_mps, count) / np.bincount(stretch, minlength=count)
    information = np.bincount(stretch, free, count) / SEGMENT_SD_S**2 + 1e-6
    target = np.bincount(stretch, pull, count) / SEGMENT_SD_S**2 + information * before
    known = np.isfinite(known_mps)
    times = np.bincount(stretch, known, count)
    mean_known_mps = np.bincount(stretch, np.where(known, known_mps, 0), count) / np.maximum(
        times, 1
    )
    held = (times > 0) / WIND_SD_MPS**2
    change = np.diff(np.eye(count), axis=0) / SPEED_CHANGE_SD_MPS
    normal = np.diag(information + held) + change.T @ change
    return np.linalg.solve(normal, target + held * mean_known_mps)[stretch]


def settle_speed(
    array: ArrayGuess,
    nominal: ArrayGuess,
    sources: Sources,
    counts: np.ndarray,
    known_mps: np.ndarray,
) -> tuple[ArrayGuess, Sources]:
    """Fix the constant of the speed, which sound cannot distinguish from delays along the vehicle.

    Args:
        array: the fitted array.
        nominal: array whose delays are the centre of the prior.
        sources: the fitted sources.
        counts: (S,) bool, segments that are used.
        known_mps: (S,) speeds, nan where unknown.

    Returns:
        array and sources with the same leads, whose speeds agree with the known ones.
    """
    known = counts & np.isfinite(known_mps)
    along = array.positions_m[:, 0] / SPEED_OF_SOUND_MPS**2
    along = (along - along[array.alive].mean()) * array.alive
    if known.sum() >= LEAST_KNOWN:
        excess_mps = float(np.median((sources.speeds_mps - known_mps)[known]))
    elif counts.any():
        slowest = float(np.quantile(sources.speeds_mps[counts], SLOWEST_SHARE))
        delay_s = (array.delay_s - nominal.delay_s) * array.alive
        pull = slowest / SLOWEST_SD_MPS**2 - (delay_s * along).sum() / DELAY_SD_S**2
        excess_mps = pull / (SLOWEST_SD_MPS**-2 + (along**2).sum() / DELAY_SD_S**2)
    else:
        return array, sources
    turn = excess_mps / SPEED_OF_SOUND_MPS * np.sin(sources.azimuths)
    sources = replace(
        sources, azimuths=sources.azimuths + turn, speeds_mps=sources.speeds_mps - excess_mps
    )
    return replace(array, delay_s=array.delay_s + excess_mps * along), sources
