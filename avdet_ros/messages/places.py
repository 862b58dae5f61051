"""Convert ranges and bearings of detections to poses in the camera's optical frame and back.

The pose of a `vision_msgs/Detection2D`'s hypothesis, in the header's frame, carries them with
covariances. It holds all that the tracker on the ground plane needs, and so does a bag with
`detections`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.rig import Rig
from avdet_ros.tracking.bearing_range import QUANTILE_WIDTH

BEARING_STD_RAD = np.radians(1.2)
"""Standard deviation of a bearing in a message of detections, see docs/trackers.md."""

HEIGHT_STD_M = 0.5
"""Standard deviation of the height of a vehicle's middle from `MIDDLE_HEIGHT_M`."""

MIDDLE_HEIGHT_M = 0.8
"""Height of a vehicle's middle above the road."""

TURN_VARIANCE = (np.pi**2) / 3
"""Variance of a completely unknown angle, radians squared."""


def find_places(found: Detections, rig: Rig) -> tuple[np.ndarray, np.ndarray] | None:
    """Compute the positions of detections that have a range and a bearing.

    Args:
        found: the detections.
        rig: array and camera.

    Returns:
        (N, 3) metres and (N, 3, 3) covariances in the camera's optical frame; None if the model
        gives no range.
    """
    if found.range_m is None or found.azimuth_rad is None:
        return None
    ranges = np.asarray(found.range_m, np.float64)
    azimuth = np.asarray(found.azimuth_rad, np.float64)
    away = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    down_m = rig.array_position_m[2] - MIDDLE_HEIGHT_M
    flat_m = np.sqrt(np.maximum(ranges[:, 1] ** 2 - down_m**2, 0.01))
    places = np.zeros((len(found), 3))
    places[:, :2] = rig.array_position_m[:2] + flat_m[:, None] * away
    places[:, 2] = MIDDLE_HEIGHT_M
    along_m = flat_m * np.log(ranges[:, 2] / ranges[:, 0]) / QUANTILE_WIDTH
    axes = np.zeros((len(found), 3, 3))  # columns: away, across, up
    axes[:, :2, 0] = away
    axes[:, 0, 1], axes[:, 1, 1] = -away[:, 1], away[:, 0]
    axes[:, 2, 2] = 1.0
    spread = np.stack([along_m, flat_m * BEARING_STD_RAD, np.full(len(found), HEIGHT_STD_M)], -1)
    axes = rig.camera.rotation @ axes
    covariances = np.einsum('nij,nj,nkj->nik', axes, spread**2, axes)
    return (places - rig.camera.position_m) @ rig.camera.rotation.T, covariances


def with_places(
    found: Detections, places_m: np.ndarray, covariances: np.ndarray, rig: Rig
) -> Detections:
    """Add ranges and bearings from positions to detections, the inverse of `find_places`.

    Args:
        found: the detections.
        places_m: (N, 3) in the camera's optical frame; a zero vector means unknown.
        covariances: (N, 3, 3).
        rig: array and camera.

    Returns:
        The same detections; without ranges unless all of them have a usable position.
    """
    places_m = np.asarray(places_m, np.float64).reshape(-1, 3)
    covariances = np.asarray(covariances, np.float64).reshape(-1, 3, 3)
    usable = np.isfinite(places_m).all() and np.isfinite(covariances).all()
    if not len(found) or not usable or not places_m.any(axis=1).all():
        return found
    camera = rig.camera
    local = places_m @ camera.rotation + camera.position_m - rig.array_position_m
    flat_m = np.maximum(np.hypot(local[:, 0], local[:, 1]), 1e-3)
    away = np.zeros_like(local)
    away[:, :2] = local[:, :2] / flat_m[:, None]
    optical = away @ camera.rotation.T
    variance = np.einsum('ni,nij,nj->n', optical, covariances, optical)
    std = np.clip(np.sqrt(np.maximum(variance, 0)) / flat_m, 0.01, 2.0)
    down_m = rig.array_position_m[2] - MIDDLE_HEIGHT_M
    range_m = np.hypot(flat_m, down_m)
    width = np.exp(std * QUANTILE_WIDTH / 2)
    return replace(
        found,
        range_m=np.stack([range_m / width, range_m, range_m * width], -1).astype(np.float32),
        azimuth_rad=np.arctan2(local[:, 1], local[:, 0]).astype(np.float32),
    )


def covariance36(covariance: np.ndarray, turn_variance: float = TURN_VARIANCE) -> np.ndarray:
    """Extend a position's (3, 3) covariance to a pose's (36,), with its rotation unknown."""
    whole = np.zeros((6, 6))
    whole[:3, :3] = covariance
    whole[[3, 4, 5], [3, 4, 5]] = turn_variance
    return whole.ravel()
