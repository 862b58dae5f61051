"""Small errors of gain, position and delay of each microphone, from one walk around the vehicle.

One broadband source is carried once around the parked vehicle, so that it is recorded from all
sides. A position error shows as a delay that varies with the direction, a channel's own delay as
one that does not, and a gain as a level difference that remains after averaging over directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.geometry import (
    SPEED_OF_SOUND_MPS,
    cross_phases,
    directions_around,
    phase_spectra,
    steered_power,
)
from avdet_ros.audio.samples import to_float
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig

FRAME = 4096
EVERY_BIN = 4
BAND_HZ = (300.0, 6000.0)
SECTORS = 12
"""Number of direction sectors, 30 degrees each."""

LEAST_SECTORS = 10
LEAST_FRAMES = 60
LEAST_FIT = 0.5
"""Minimum steered power of a frame with one clear source."""

LARGEST_RESIDUAL_S = 1e-4
"""Largest residual of a small error; corresponds to a microphone 35 mm off."""

_ROUNDS = 4
_DELAY_PRIOR = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Errors of the eight microphones relative to the rig.

    Errors that the sound of one walk cannot show are set to zero: a shift or rotation of the
    whole array, the mean gain, the mean delay, and heights.

    Attributes:
        gain_db: (8,) gain relative to the average; positive is louder.
        position_error_m: (8, 2) true minus rig, x and y in base_link.
        delay_s: (8,) delay of the channel itself relative to the average; positive is later.
        gain_spread_db: (8,) uncertainty: half the difference between two halves of the frames.
        position_spread_m: (8, 2) the same for positions.
        delay_spread_s: (8,) the same for delays.
        frames: number of frames with one clear source.
        sectors: number of sectors, of 12 with 30 degrees each, that the source was recorded from.
    """

    gain_db: np.ndarray
    position_error_m: np.ndarray
    delay_s: np.ndarray
    gain_spread_db: np.ndarray
    position_spread_m: np.ndarray
    delay_spread_s: np.ndarray
    frames: int
    sectors: int


def calibrate(
    sound: np.ndarray,
    rig: Rig,
    distance_m: float = 10.0,
    speed_of_sound_mps: float = SPEED_OF_SOUND_MPS,
) -> Calibration:
    """Estimate the errors from a recording of one source carried around the vehicle.

    Args:
        sound: (n, 8) int16 or float, in the order of the rig's microphones.
        rig: the rig with the nominal positions.
        distance_m: distance between the array's centre and the source.
        speed_of_sound_mps: speed in the air of that day; an error of 1 % makes the array 1 %
            larger.

    Raises:
        AvdetError: the recording has too few frames with one clear source, or the source was not
            carried around all sides.
    """
    sound = to_float(sound)
    spectra, frequencies_hz = phase_spectra(sound, rig.sample_rate_hz, FRAME, BAND_HZ)
    # Frames are long, so that the delay across the array is short compared with them. Their fine
    # frequency resolution is not needed.
    spectra, frequencies_hz = spectra[..., ::EVERY_BIN], frequencies_hz[::EVERY_BIN]
    positions = (rig.microphones_m - rig.microphones_m.mean(axis=0))[:, :2]
    grid, _ = directions_around(180)
    lead_s = _leads(positions, grid, distance_m, speed_of_sound_mps)
    pieces = [
        steered_power(cross_phases(some), frequencies_hz, lead_s)
        for some in np.array_split(spectra, 1 + len(spectra) // 50)
    ]
    power = np.concatenate(pieces)
    clear = power.max(axis=1) > LEAST_FIT
    azimuths = grid[power.argmax(axis=1)][clear]
    sector = (azimuths * SECTORS / (2 * np.pi)).astype(int) % SECTORS
    sectors = len(set(sector.tolist()))
    if len(azimuths) < LEAST_FRAMES or sectors < LEAST_SECTORS:
        raise AvdetError(
            f'calibration: expected one clear source carried around the vehicle, at least '
            f'{LEAST_FRAMES} frames from {LEAST_SECTORS} of {SECTORS} sectors, found '
            f'{len(azimuths)} clear frames from {sectors} sectors'
        )
    levels_db = _frame_levels(sound, clear)
    spectra = spectra[clear]
    every = np.ones(len(spectra), bool)
    halves = [np.arange(len(spectra)) % 20 < 10, np.arange(len(spectra)) % 20 >= 10]
    results = []
    for chosen in (every, *halves):
        weights = _sector_weights(sector[chosen])
        errors_m, delays_s = _solve(
            spectra[chosen],
            frequencies_hz,
            azimuths[chosen],
            weights,
            positions,
            distance_m,
            speed_of_sound_mps,
        )
        gain_db = weights @ levels_db[chosen]
        results.append((gain_db - gain_db.mean(), errors_m, delays_s))
    gain_spread_db, position_spread_m, delay_spread_s = (
        np.abs(a - b) / 2 for a, b in zip(results[1], results[2], strict=True)
    )
    return Calibration(
        *results[0],
        gain_spread_db,
        position_spread_m,
        delay_spread_s,
        frames=len(spectra),
        sectors=sectors,
    )


def _solve(
    spectra: np.ndarray,
    frequencies_hz: np.ndarray,
    azimuths: np.ndarray,
    weights: np.ndarray,
    nominal: np.ndarray,
    distance_m: float,
    speed: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Alternately estimate the source's directions and the microphones' errors."""
    positions, delays_s = nominal.copy(), np.zeros(MICROPHONES)
    for _ in range(_ROUNDS):
        lead_s = _leads(positions, azimuths, distance_m, speed) - delays_s
        late_s = _residuals(spectra, frequencies_hz, lead_s)
        # Direction: the rotation of each frame's wave front that explains most of its residual.
        small = 1e-3
        slope = (
            _leads(positions, azimuths + small, distance_m, speed) - lead_s - delays_s
        ) / small
        slope -= slope.mean(axis=1, keepdims=True)
        turn = -(slope * late_s).sum(axis=1) / (slope**2).sum(axis=1)
        azimuths = azimuths + np.clip(turn, -0.05, 0.05)
        late_s = late_s + turn[:, None] * slope
        # Errors: late_i(t) = delay_i - u(t) . error_i / c, by weighted least squares.
        design = np.stack(
            [-np.cos(azimuths) / speed, -np.sin(azimuths) / speed, np.ones(len(azimuths))], axis=1
        )
        weighted = design * weights[:, None]
        normal = weighted.T @ design + np.diag([0, 0, _DELAY_PRIOR])
        step = np.linalg.solve(normal, weighted.T @ late_s)
        positions = positions + step[:2].T
        delays_s = delays_s + step[2]
        positions = _without_rigid_motion(positions, nominal)
        delays_s -= delays_s.mean()
    return positions - nominal, delays_s


def _leads(
    positions: np.ndarray, azimuths: np.ndarray, distance_m: float, speed: float
) -> np.ndarray:
    """Return (frames, 8) seconds by which sound reaches each microphone before the centre."""
    source = distance_m * np.stack([np.cos(azimuths), np.sin(azimuths)], axis=1)
    distances = np.linalg.norm(source[:, None] - positions[None], axis=2)
    return (distance_m - distances) / speed


def _residuals(spectra: np.ndarray, frequencies_hz: np.ndarray, lead_s: np.ndarray) -> np.ndarray:
    """Return (frames, 8) delays relative to what the others predict, s, mean 0 in a frame."""
    aligned = spectra * np.exp(-2j * np.pi * lead_s[..., None] * frequencies_hz)
    others = aligned.sum(axis=1, keepdims=True) - aligned
    cross = aligned * others.conj()
    late_s = np.zeros(lead_s.shape)
    # Newton steps to the maximum of the correlation sum_f Re(cross exp(2 pi i f late)).
    omega = 2 * np.pi * frequencies_hz
    for _ in range(3):
        turned = cross * np.exp(1j * omega * late_s[..., None])
        slope = -(omega * turned.imag).sum(axis=-1)
        curvature = -(omega**2 * np.abs(turned)).sum(axis=-1)
        late_s -= np.clip(slope / curvature, -4e-5, 4e-5)
    late_s = np.clip(late_s, -LARGEST_RESIDUAL_S, LARGEST_RESIDUAL_S)
    return late_s - late_s.mean(axis=1, keepdims=True)


def _without_rigid_motion(positions: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """Align positions with the nominal ones; sound shows neither a shift nor a rotation."""
    positions = positions - positions.mean(axis=0) + nominal.mean(axis=0)
    x, y = nominal.T
    dx, dy = (positions - nominal).T
    angle = (x @ dy - y @ dx) / (x @ x + y @ y)
    return positions - angle * np.stack([-y, x], axis=1)


def _sector_weights(sector: np.ndarray) -> np.ndarray:
    """Return weights of sum 1 that count each sector once, however long the source stayed."""
    counts = np.bincount(sector, minlength=SECTORS)
    weights = 1 / counts[sector]
    return weights / weights.sum()


def _frame_levels(sound: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return (clear frames, 8) levels of the microphones in dB re their mean."""
    starts = np.flatnonzero(clear) * (FRAME // 2)
    power = np.array([np.square(np.diff(sound[s : s + FRAME], axis=0)).mean(0) for s in starts])
    level_db = 10 * np.log10(np.maximum(power, 1e-20))
    return level_db - level_db.mean(axis=1, keepdims=True)
