"""Estimate the array's yaw against the camera from vehicles that both detect.

Sound alone cannot distinguish a rotated array from a rotated world. Where a camera saw vehicles,
the azimuth of each loud segment is compared with those of the vehicles in view at that time.
Correct pairs agree in one difference, the yaw; wrong pairs agree in none.

Sound comes from where its vehicle was when it was emitted, so sightings that move far in the
meantime are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.rig import Rig

LARGEST_YAW_DEG = 10.0
LEAST_FIT = 0.5
"""Minimum share of a segment's wave that its source explains."""

LARGEST_LAG_DEG = 1.5
"""Sightings whose azimuth changes by more while their sound travels are not used."""

LEAST_VEHICLES = 4
"""Minimum number of vehicles that agree in the difference."""

LEAST_SHARE = 0.12
"""Minimum share of all pairs that agree within a degree; chance gives less."""

_SPREAD_DEG = 0.7
_NEAR_DEG = 2.0
_WITHIN_S = 0.1
_MOST_A_VEHICLE = 15.0


@dataclass(frozen=True)
class Sightings:
    """Vehicles that a camera saw.

    Attributes:
        time_s: (N,) times from the sound's first sample.
        azimuths: (N,) radians from the array's centre, 0 along base_link's x, left positive.
        distances_m: (N,) from the array's centre, along the road.
        ids: (N,) int identity of the vehicle.
    """

    time_s: np.ndarray
    azimuths: np.ndarray
    distances_m: np.ndarray
    ids: np.ndarray


def box_sightings(
    rig: Rig, time_s: np.ndarray, boxes_px: np.ndarray, ids: np.ndarray
) -> Sightings:
    """Convert boxes in the camera's image to sightings.

    The distance is that of the point where the ray through the middle of the box's lower edge
    meets the road.

    Args:
        rig: rig with the camera.
        time_s: (N,) time of each box.
        boxes_px: (N, 4) x_min, y_min, x_max, y_max.
        ids: (N,) int identity of each box's vehicle.
    """
    camera = rig.camera
    boxes_px = np.asarray(boxes_px, float).reshape(-1, 4)
    foot = np.stack([boxes_px[:, [0, 2]].mean(axis=1), boxes_px[:, 3]], axis=1)
    rays = camera.directions(foot)
    down = np.maximum(-rays[:, 2], 1e-3)
    reach = np.clip(camera.position_m[2] / down, 3.0, 80.0)
    place = camera.position_m + rays * reach[:, None] - rig.array_position_m
    azimuths = np.arctan2(place[:, 1], place[:, 0])
    distances_m = np.hypot(place[:, 0], place[:, 1])
    return Sightings(np.asarray(time_s, float), azimuths, distances_m, np.asarray(ids))


def array_yaw(
    time_s: np.ndarray, azimuths: np.ndarray, fit: np.ndarray, sightings: Sightings
) -> tuple[float, float, int]:
    """Estimate how much further to the left the array places vehicles than the camera does.

    Args:
        time_s: (S,) time of each segment.
        azimuths: (S,) radians, direction of the segment's source.
        fit: (S,) share of the segment's wave that the source explains.
        sightings: the sightings.

    Returns:
        yaw: radians; nan if too few pairs agree.
        spread: its standard error.
        vehicles: number of vehicles that agree.
    """
    difference, vehicle = _pairs(time_s, azimuths, fit, sightings)
    if not len(difference):
        return float('nan'), float('nan'), 0
    crowd = np.bincount(vehicle)[vehicle]
    weights = np.minimum(1.0, _MOST_A_VEHICLE / crowd)
    grid = np.radians(np.arange(-LARGEST_YAW_DEG, LARGEST_YAW_DEG + 0.05, 0.1))
    kernel = np.exp(-0.5 * ((difference[:, None] - grid) / np.radians(_SPREAD_DEG)) ** 2)
    yaw = grid[(weights @ kernel).argmax()]
    for _ in range(12):
        near = np.abs(difference - yaw) < np.radians(_NEAR_DEG)
        pull = weights * near / (1 + ((difference - yaw) / np.radians(_SPREAD_DEG)) ** 2) ** 2
        yaw = float((pull * difference).sum() / max(pull.sum(), 1e-12))
    close = np.abs(difference - yaw) < np.radians(1.0)
    share = weights[close].sum() / weights.sum()
    residual = np.bincount(vehicle, pull * (difference - yaw))
    weight = np.bincount(vehicle, pull)
    vehicles = int((np.bincount(vehicle, close) >= 3).sum())
    if vehicles < LEAST_VEHICLES or share < LEAST_SHARE:
        return float('nan'), float('nan'), vehicles
    return yaw, float(np.sqrt((residual**2).sum()) / weight.sum()), vehicles


def _pairs(
    time_s: np.ndarray, azimuths: np.ndarray, fit: np.ndarray, sightings: Sightings
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences, array minus camera, of simultaneous pairs, and their vehicles."""
    differences, vehicles = [], []
    use = fit > LEAST_FIT
    sound_s, sound = time_s[use], azimuths[use]
    order = np.argsort(sound_s)
    sound_s, sound = sound_s[order], sound[order]
    for index, name in enumerate(np.unique(sightings.ids)):
        rows = np.flatnonzero(sightings.ids == name)
        rows = rows[np.argsort(sightings.time_s[rows])]
        if len(rows) < 3 or len(sound_s) == 0:
            continue
        seen_s, seen_azimuths = sightings.time_s[rows], np.unwrap(sightings.azimuths[rows])
        with np.errstate(divide='ignore', invalid='ignore'):
            rate = np.nan_to_num(
                np.gradient(seen_azimuths, seen_s), nan=0.0, posinf=1e3, neginf=1e3
            )
        lag = np.abs(rate) * sightings.distances_m[rows] / SPEED_OF_SOUND_MPS
        slow = lag < np.radians(LARGEST_LAG_DEG)
        if not slow.any():
            continue
        place = np.clip(np.searchsorted(seen_s[slow], sound_s), 1, max(slow.sum() - 1, 1))
        place = np.minimum(place, slow.sum() - 1)
        nearer = np.where(
            np.abs(seen_s[slow][place - 1] - sound_s) < np.abs(seen_s[slow][place] - sound_s),
            place - 1,
            place,
        )
        simultaneous = np.abs(seen_s[slow][nearer] - sound_s) < _WITHIN_S
        difference = sound[simultaneous] - seen_azimuths[slow][nearer[simultaneous]]
        difference = (difference + np.pi) % (2 * np.pi) - np.pi
        difference = difference[np.abs(difference) < np.radians(LARGEST_YAW_DEG + 2)]
        differences.append(difference)
        vehicles.append(np.full(len(difference), index))
    if not differences:
        return np.zeros(0), np.zeros(0, int)
    return np.concatenate(differences), np.concatenate(vehicles)
