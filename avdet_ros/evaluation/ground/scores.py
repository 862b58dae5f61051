"""Quality of tracks in metres: errors of bearing, range and velocity, coverage of the ellipses.

A track is heard while it has a recent detection. In each window, heard tracks are assigned one to
one to the vehicles nearest in bearing. Range plays no part in the assignment, so a wrong range
counts as a range error. A track that is not heard is compared with the vehicle it belonged to
last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any, TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.ground.drives import GroundDrive
from avdet_ros.rig import Rig
from avdet_ros.tracking import GroundTracker
from avdet_ros.tracking.bearing_range import measure
from avdet_ros.tracking.ground_filter import PlaneMeasurement, wrap
from avdet_ros.tracking.ground_track import CHI2_90, GroundTrack

SAME_BEARING_DEG = 6.0
"""A track that differs by more than this in bearing from every vehicle belongs to none."""

AGES_S = (0.0, 1.0, 2.0, 4.0)
"""Ages of tracks for which range errors are listed."""

DISTANCES_M = ((0, 10), (10, 20), (20, 40), (40, 70), (70, 100))
"""Bins of the true distance for which range errors are listed."""

HEARD_S = 0.15
"""A track counts as heard if its last detection is no older than this."""

_SURE = 0.3
_FARTHEST_M = 100.0
_AGE_SLACK_S = 0.25
_COLUMNS = (
    'age_s',
    'unseen_s',
    'bearing_deg',
    'log_range',
    'range_m',
    'distance2',
    'speed_error_mps',
    'speed_distance2',
    'std_m',
    'vehicle',
)


_WithBearing = TypeVar('_WithBearing', GroundTrack, PlaneMeasurement)


@dataclass(frozen=True)
class GroundErrors:
    """Errors of all tracks that belong to a vehicle, one row per track and window.

    Attributes:
        table: (N, 10) columns of `_COLUMNS`.
        alone: number of tracks, counted in each window, that belong to no vehicle.
        drive: (N,) number of the drive.
    """

    table: np.ndarray
    alone: int
    drive: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """Return one (N,) column of the table."""
        return self.table[:, _COLUMNS.index(name)]

    def vehicles(self, keep: np.ndarray) -> int:
        """Count the different vehicles among the kept rows."""
        return len(
            {
                (drive, vehicle)
                for drive, vehicle in zip(
                    self.drive[keep], self.column('vehicle')[keep], strict=True
                )
            }
        )

    @property
    def heard(self) -> np.ndarray:
        """(N,) bool, whether the track is heard."""
        return self.column('unseen_s') <= HEARD_S


def ground_errors(
    drives: Sequence[GroundDrive],
    model: str,
    rig: Rig,
    every: int = 1,
    odometry: bool = True,
    ahead_s: float = 0.5,
    **parameters: Any,
) -> GroundErrors:
    """Track drives and compare with the truth at the end of each window.

    Args:
        drives: see `GroundDrive`.
        model: name of the model whose detections are tracked.
        rig: array and camera.
        every: use every n-th window.
        odometry: whether the tracker knows the ego vehicle's motion.
        ahead_s: how long after the boxes' instant tracks are compared.
        **parameters: of `GroundTracker`.
    """
    rows, drive_of, alone = [], [], 0
    for number, drive in enumerate(drives):
        tracker = GroundTracker(rig, **parameters)
        later = round(ahead_s * drive.rate_hz)
        owner: dict[int, int] = {}
        for step in range(0, len(drive.stamps_s), every):
            ego, ego_ahead = (
                (drive.ego[step], drive.ego[step + later]) if odometry else (None, None)
            )
            tracker.update(float(drive.stamps_s[step]), drive.detections[model][step], ego)
            tracks = tracker.vehicles(ahead_s, ego_ahead)
            places = drive.places_m[:, step + later]
            wanted = np.flatnonzero(drive.audible[:, step] & (np.hypot(*places.T) < _FARTHEST_M))
            heard = [track for track in tracks if track.unseen_s <= HEARD_S]
            pairs = _pairs(heard, places[wanted])
            found = {track.track_id: int(wanted[vehicle]) for track, vehicle in pairs}
            owner.update(found)
            for track in tracks:
                vehicle = (
                    found.get(track.track_id) if track in heard else owner.get(track.track_id)
                )
                if vehicle is None:
                    alone += 1
                    continue
                truth = places[vehicle]
                velocity_error = track.velocity_mps - drive.velocities_mps[vehicle, step + later]
                if not track.over_ground:
                    velocity_error = velocity_error + drive.ego_mps(step + later)
                rows.append(
                    (
                        track.age_s,
                        track.unseen_s,
                        math.degrees(wrap(track.bearing_rad - math.atan2(truth[1], truth[0]))),
                        math.log(track.range_m / np.hypot(*truth)),
                        np.hypot(*truth),
                        track.distance2(truth),
                        np.hypot(*velocity_error),
                        velocity_error @ np.linalg.solve(track.covariance[2:, 2:], velocity_error),
                        math.sqrt(track.covariance[0, 0] + track.covariance[1, 1]),
                        drive.ids[vehicle],
                    )
                )
                drive_of.append(number)
    return GroundErrors(
        np.array(rows, np.float64).reshape(-1, len(_COLUMNS)), alone, np.array(drive_of, int)
    )


def size_errors(drives: Sequence[GroundDrive], model: str, rig: Rig, every: int = 1) -> np.ndarray:
    """Compute errors of the ranges derived from box sizes, for confident detections only.

    Args:
        drives: see `GroundDrive`.
        model: name of the model whose boxes are used.
        rig: array and camera.
        every: use every n-th window.

    Returns:
        (N,) logarithms of range over true range, of boxes in the bearing of an audible vehicle.
    """
    errors = []
    for drive in drives:
        for step in range(0, len(drive.stamps_s), every):
            found = drive.detections[model][step].above(_SURE)
            sized = Detections(found.boxes_px, found.scores)
            places = drive.places_m[:, step] - rig.array_position_m[:2]
            near = drive.audible[:, step] & (np.hypot(*places.T) < _FARTHEST_M)
            for measured, at in _pairs(measure(sized, rig), places[near]):
                errors.append(measured.log_range - math.log(np.hypot(*places[near][at])))
    return np.array(errors)


def _pairs(tracks: Sequence[_WithBearing], places: np.ndarray) -> list[tuple[_WithBearing, int]]:
    """Assign tracks or measurements one to one to the vehicles nearest in bearing."""
    if not tracks or not len(places):
        return []
    bearing = np.arctan2(places[:, 1], places[:, 0])
    difference = np.array(
        [[abs(wrap(track.bearing_rad - b)) for b in bearing] for track in tracks]
    )
    rows, columns = linear_sum_assignment(difference)
    limit = math.radians(SAME_BEARING_DEG)
    return [
        (tracks[row], int(column))
        for row, column in zip(rows, columns, strict=True)
        if difference[row, column] <= limit
    ]


def coverage(distance2: np.ndarray) -> float:
    """Return the share of places inside their 90 % ellipses; NaN if there are none."""
    return float(np.mean(distance2 <= CHI2_90)) if len(distance2) else math.nan


def interval(errors: GroundErrors, keep: np.ndarray, resamples: int = 500) -> tuple[float, float]:
    """Return the middle 95 % of `coverage` over resampled drives."""
    rng = np.random.default_rng(1)
    inside = errors.column('distance2') <= CHI2_90
    drives = np.unique(errors.drive[keep])
    parts = [inside[keep & (errors.drive == drive)] for drive in drives]
    values = []
    for _ in range(resamples if parts else 0):
        drawn = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        if len(drawn):
            values.append(drawn.mean())
    low, high = np.percentile(values, [2.5, 97.5]) if values else (math.nan, math.nan)
    return float(low), float(high)


def row(name: str, errors: GroundErrors) -> list[str]:
    """Make one line of the table of `docs/tracks.md`."""
    heard, count = errors.heard, len(errors.table)
    bearing, log_range = np.abs(errors.column('bearing_deg')), np.abs(errors.column('log_range'))
    cells = [
        name,
        *_ellipse_cells(errors, np.ones(count, bool)),
        f'{_median(bearing[heard]):.1f}° / {_median(bearing[~heard]):.1f}°',
    ]
    for age in AGES_S:
        keep = heard & (np.abs(errors.column('age_s') - max(age, 0.1)) <= _AGE_SLACK_S)
        cells.append(f'{_percent(log_range[keep])} ({errors.vehicles(keep)})')
    cells.append(f'{_median(errors.column("speed_error_mps")[heard]):.1f} m/s')
    cells.append(f'{count} / {errors.alone}')
    return cells


def road_rows(errors: GroundErrors, settings: Sequence[str]) -> list[list[str]]:
    """Make table rows with the coverage of the ellipses by kind of road.

    Args:
        errors: errors of all drives.
        settings: kind of road of each drive.
    """
    kinds = np.array(settings)
    rows = []
    for kind in sorted(set(settings)):
        on_road = kinds[errors.drive] == kind
        count = str(np.count_nonzero(kinds == kind))
        rows.append(
            [kind, count, *_ellipse_cells(errors, on_road), str(np.count_nonzero(on_road))]
        )
    return rows


def _ellipse_cells(errors: GroundErrors, keep: np.ndarray) -> list[str]:
    """Format the ellipses' coverage with its interval, and that of heard and other tracks."""
    d2 = errors.column('distance2')
    low, high = interval(errors, keep)
    heard, unheard = (coverage(d2[keep & part]) for part in (errors.heard, ~errors.heard))
    return [
        f'{100 * coverage(d2[keep]):.0f} % ({100 * low:.0f} to {100 * high:.0f})',
        f'{100 * heard:.0f} / {100 * unheard:.0f} %',
    ]


def distance_rows(errors: GroundErrors) -> list[list[str]]:
    """Make table rows with median range errors by the vehicle's distance and the track's age."""
    heard, range_m = errors.heard, errors.column('range_m')
    age_s, log_range = errors.column('age_s'), errors.column('log_range')
    rows = []
    for low, high in DISTANCES_M:
        in_range = heard & (range_m >= low) & (range_m < high)
        cells = [f'{low:g} to {high:g} m']
        for keep in (
            in_range & (age_s < 1),
            in_range & (age_s >= 1) & (age_s < 3),
            in_range & (age_s >= 3),
        ):
            cells.append(f'{_percent(np.abs(log_range[keep]))} ({errors.vehicles(keep)})')
        bias = np.expm1(_median(log_range[in_range]))
        cells.append(f'{100 * bias:+.0f} %' if in_range.any() else '-')
        rows.append(cells)
    return rows


def _percent(log_range: np.ndarray) -> str:
    return f'{100 * _median(np.expm1(log_range)):.0f} %' if len(log_range) else '-'


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else math.nan
