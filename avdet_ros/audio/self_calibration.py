"""Self-calibration: gain, delay and position of every channel from minutes of ordinary driving.

Dead channels are found first, since they carry no information; then swapped ones, then delays and
positions together, then gains. Every number has a standard error, from leaving out one part of the
drive at a time. A drive or array that does not provide enough information is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avdet_ros.audio.array_fit import ArrayFit, fit_array
from avdet_ros.audio.array_sources import SLOWEST_SD_MPS, SOURCE_HEIGHT_M, ArrayGuess
from avdet_ros.audio.array_yaw import Sightings, array_yaw
from avdet_ros.audio.calibration_checks import (
    LEAST_ALIVE,
    check_coverage,
    check_length,
    check_shape,
    check_traffic,
    living_channels,
    source_sectors,
)
from avdet_ros.audio.calibration_errors import (
    PARTS,
    StandardErrors,
    fitted_gains,
    speed_is_known,
    standard_errors,
)
from avdet_ros.audio.channel_order import find_order, reordered
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Advance, Progress
from avdet_ros.rig import MICROPHONES, Rig

LARGEST_CONTRADICTION_M = 0.05
WEAK_SHARE = 0.75
"""A channel with less than this share of the waves, relative to the median, counts as weak."""

YAW_FLOOR_DEG = 0.2
"""Smallest standard error of the yaw; directions of camera and array never agree better."""


@dataclass(frozen=True)
class SelfCalibration:
    """Calibration of an array from a drive; arrays are in the order of the rig's microphones.

    Attributes:
        gain_db: (8,) how much louder each channel is than the mean of the live ones.
        gain_sd_db: (8,) its standard error.
        delay_s: (8,) delay of each channel; the mean over the live ones is the rig's.
        delay_sd_s: (8,) its standard error.
        positions_m: (8, 3) in base_link, valid for sound at 343 m/s.
        position_sd_m: (8, 2) standard errors of x and y.
        lead_sd_s: (8,) standard error of the lead, over the front sector.
        alive: (8,) bool, False for dead channels.
        order: (8,) microphone of the rig that each channel really carries.
        yaw_deg: rotation of the array against the rig, left positive; nan if no camera shows it.
        yaw_sd_deg: its standard error.
        findings: (8,) description of what is wrong with each channel, '' if nothing.
        notes: messages for the user about the whole array.
        segments: number of clear segments.
        sectors: number of 30-degree sectors that they came from.
        fit: the fitted array and sources.
    """

    gain_db: np.ndarray
    gain_sd_db: np.ndarray
    delay_s: np.ndarray
    delay_sd_s: np.ndarray
    positions_m: np.ndarray
    position_sd_m: np.ndarray
    lead_sd_s: np.ndarray
    alive: np.ndarray
    order: np.ndarray
    yaw_deg: float
    yaw_sd_deg: float
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    segments: int
    sectors: int
    fit: ArrayFit


def calibrate_from_driving(
    fronts: WaveFronts,
    rig: Rig,
    seen: Sightings | None = None,
    speeds_mps: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> SelfCalibration:
    """Estimate the array from the wave fronts of a drive.

    Args:
        fronts: wave fronts of the drive, channels in the order of the rig's microphones.
        rig: the initial array.
        seen: vehicles that a camera saw, for the yaw.
        speeds_mps: (S,) the vehicle's speed at each segment, nan where unknown; None if it is
            unknown everywhere: the vehicle is then assumed to stand still in the slowest tenth of
            the time.
        progress: receives the progress.

    Raises:
        AvdetError: the array or the drive does not allow a calibration; the message says what is
            missing.
    """
    with progress.step('calibration', PARTS + 2) as advance:
        return _calibrate(fronts, rig, seen, speeds_mps, advance)


def _calibrate(
    fronts: WaveFronts,
    rig: Rig,
    seen: Sightings | None,
    speeds_mps: np.ndarray | None,
    advance: Advance,
) -> SelfCalibration:
    nominal = nominal_array(rig)
    line = check_shape(nominal)
    check_length(fronts)
    alive, share = living_channels(fronts, rig.alive)
    if alive.sum() < LEAST_ALIVE:
        raise AvdetError(
            f'calibration: expected at least {LEAST_ALIVE} channels that hear the same sound, '
            f'found {alive.sum()}: is the device the right one, and do the gains fit?'
        )
    nominal = replace(nominal, alive=alive)
    check_traffic(fronts, nominal)
    advance()
    order = find_order(fronts, nominal)
    nominal = reordered(nominal, order)
    fit = fit_array(fronts, nominal, fixed_axis=line, speeds_mps=speeds_mps)
    check_coverage(fit)
    advance()
    spread = standard_errors(fronts, nominal, fit, line, speeds_mps, advance)
    gain_db = fitted_gains(fronts, fit, np.ones(len(fronts.time_s), bool))
    notes = [LINE_NOTE] if line is not None else []
    if not speed_is_known(fit, speeds_mps):
        notes.append(SPEED_NOTE)
    if fit.one_sided and line is None:
        notes.append(ONE_SIDED_NOTE)
    yaw, yaw_sd, vehicles = float('nan'), float('nan'), 0
    if seen is not None and len(seen.time_s):
        yaw, yaw_sd, vehicles = array_yaw(fronts.time_s, fit.sources.azimuths, fit.fit, seen)
    if np.isnan(yaw):
        notes.append(
            "the yaw is the rig file's: "
            + (
                'no camera shows it'
                if seen is None
                else f'{vehicles} vehicles seen and heard agree'
            )
        )
    result = _assemble(rig, nominal, fit, order, gain_db, spread, yaw, yaw_sd)
    findings = channel_findings(result, rig, share)
    result = replace(result, findings=findings, notes=tuple(notes))
    check_contradictions(result, rig)
    return result


SPEED_NOTE = (
    'the speed is not known: the vehicle is assumed to stand still in the slowest tenth of '
    f'the time, give or take {SLOWEST_SD_MPS:.0f} m/s'
)
ONE_SIDED_NOTE = (
    'nearly all vehicles were heard on one side: positions and delays across the vehicle are less '
    'certain; drive where vehicles pass or stand on both sides'
)
LINE_NOTE = (
    'all microphones stand on one line: front and back (left and right of it) cannot be '
    'distinguished, and positions across the line, and delays that grow along it, are only as '
    'good as the rig file'
)


def nominal_array(rig: Rig) -> ArrayGuess:
    """Return the rig file's array, relative to its centre."""
    height_m = max(float(rig.array_position_m[2]) - SOURCE_HEIGHT_M, 0.2)
    positions_m = rig.microphones_m - rig.array_position_m
    return ArrayGuess(positions_m, rig.delay_s.copy(), rig.alive.copy(), height_m)


def check_contradictions(result: SelfCalibration, rig: Rig) -> None:
    """Refuse a result with microphones far from their positions in the rig file.

    Raises:
        AvdetError: there are such microphones; the message names them.
    """
    off_m = np.linalg.norm((result.positions_m - rig.microphones_m[result.order])[:, :2], axis=1)
    far = np.flatnonzero(result.alive & (off_m > LARGEST_CONTRADICTION_M))
    if len(far):
        listed = ', '.join(f'{rig.names[i]} by {100 * off_m[i]:.0f} cm' for i in far)
        raise AvdetError(
            f'calibration: expected microphones within {100 * LARGEST_CONTRADICTION_M:.0f} cm of '
            f'their places in the rig file, found {listed} away: measure the array again'
        )


def _assemble(
    rig: Rig,
    nominal: ArrayGuess,
    fit: ArrayFit,
    order: np.ndarray,
    gain_db: np.ndarray,
    spread: StandardErrors,
    yaw: float,
    yaw_sd: float,
) -> SelfCalibration:
    """Collect the results of all channels, rotated to match the camera if the yaw is known."""
    alive = fit.array.alive
    turn = 0.0 if np.isnan(yaw) else -yaw
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    places = np.where(alive[:, None], fit.array.positions_m, nominal.positions_m) @ rotation.T
    yaw_deg, yaw_sd_deg = float('nan'), float('nan')
    if not np.isnan(yaw):
        turned = rotation_between(nominal.positions_m, fit.array.positions_m, alive)
        yaw_deg = np.degrees(turn + turned)
        yaw_sd_deg = float(np.hypot(np.degrees(yaw_sd), YAW_FLOOR_DEG))
    return SelfCalibration(
        gain_db=gain_db,
        gain_sd_db=spread.gain_db,
        delay_s=np.where(alive, fit.array.delay_s, 0.0),
        delay_sd_s=spread.place[:, 2],
        positions_m=places + rig.array_position_m,
        position_sd_m=spread.place[:, :2],
        lead_sd_s=spread.lead_s,
        alive=alive,
        order=order,
        yaw_deg=float(yaw_deg),
        yaw_sd_deg=yaw_sd_deg,
        findings=(),
        notes=(),
        segments=int(fit.counts.sum()),
        sectors=source_sectors(fit),
        fit=fit,
    )


def calibrated_rig(result: SelfCalibration, rig: Rig) -> Rig:
    """Return the rig with the calibrated array."""
    yaw_deg = rig.array_yaw_deg + (0.0 if np.isnan(result.yaw_deg) else result.yaw_deg)
    return replace(
        rig,
        array_yaw_deg=yaw_deg,
        names=tuple(rig.names[k] for k in result.order),
        microphones_m=result.positions_m,
        gain_db=np.where(result.alive, result.gain_db, 0.0),
        delay_s=np.where(result.alive, result.delay_s, 0.0),
        alive=result.alive,
    )


def rotation_between(before_m: np.ndarray, after_m: np.ndarray, alive: np.ndarray) -> float:
    """Return the rotation of the microphones about their centre, radians, left positive."""
    a = before_m[alive, :2] - before_m[alive, :2].mean(axis=0)
    b = after_m[alive, :2] - after_m[alive, :2].mean(axis=0)
    return float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))


def channel_findings(result: SelfCalibration, rig: Rig, share: np.ndarray) -> tuple[str, ...]:
    """Describe what is wrong with each channel."""
    findings = []
    for i in range(MICROPHONES):
        words = []
        if not result.alive[i]:
            words.append('is dead: hears nothing of what the others hear')
        elif share[i] < WEAK_SHARE:
            words.append(f'is weak: hears {100 * share[i]:.0f} % of what the others hear')
        if result.order[i] != i:
            words.append(f'carries {rig.names[result.order[i]]}: plugs exchanged')
        if result.alive[i] and abs(result.gain_db[i]) > 6:
            loudness = 'loud' if result.gain_db[i] > 0 else 'quiet'
            words.append(f'is {abs(result.gain_db[i]):.0f} dB too {loudness}')
        findings.append('; '.join(words))
    return tuple(findings)
