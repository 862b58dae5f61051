"""Bearing and distance of detections on the ground, relative to the array, with uncertainty.

A model for any array predicts both. An older model predicts only a box in the image: its centre
yields a bearing and its size a range, since all vehicles have about the same height.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.rig import Rig
from avdet_ros.tracking.ground_filter import FARTHEST_M, NEAREST_M, PlaneMeasurement

VEHICLE_HEIGHT_M = 1.6
"""Median height of the simulator's vehicles, which is that of European traffic."""

SIZE_LOG_STD = 0.65
"""Error of ranges from the box of an older model, standard deviation of the logarithm."""

QUANTILE_WIDTH = 3.29
"""Distance between the 5 and 95 % quantiles of a normal distribution, in standard deviations."""

TAUGHT_M = 70.0
"""Largest range of a label in training: a prediction near it may be a vehicle further away."""

FAR_LOG_STD = 0.7
"""Standard deviation of the logarithm that this adds at `TAUGHT_M`, proportional to the squared
range."""

_LEAST_STD, _LARGEST_STD = 0.05, 1.2
_MIDDLE_HEIGHT_M = 0.8


def measure(detections: Detections, rig: Rig) -> list[PlaneMeasurement]:
    """Compute bearing and range of every detection.

    Args:
        detections: boxes in pixels of the rig's camera, ranges if the model predicts them.
        rig: array and camera.

    Returns:
        One measurement per detection, bearings in base_link.
    """
    if not len(detections):
        return []
    if detections.range_m is None:
        range_m, std = range_from_size(detections.boxes_px, rig)
    else:
        quantiles = np.clip(np.asarray(detections.range_m, np.float64), NEAREST_M, FARTHEST_M)
        range_m = quantiles[:, 1]
        std = np.log(quantiles[:, 2] / quantiles[:, 0]) / QUANTILE_WIDTH
    if detections.azimuth_rad is None:
        azimuth = bearings(detections.boxes_px, range_m, rig)
    else:
        azimuth = np.asarray(detections.azimuth_rad, np.float64)
    down_m = rig.array_position_m[2] - _MIDDLE_HEIGHT_M
    flat_m = np.sqrt(np.maximum(range_m**2 - down_m**2, NEAREST_M**2))
    std = np.hypot(std, FAR_LOG_STD * (flat_m / TAUGHT_M) ** 2)
    std = np.clip(std, _LEAST_STD, _LARGEST_STD)
    return [
        PlaneMeasurement(float(angle), float(np.log(distance)), float(wide))
        for angle, distance, wide in zip(azimuth, flat_m, std, strict=True)
    ]


def bearings(boxes_px: np.ndarray, range_m: np.ndarray, rig: Rig) -> np.ndarray:
    """Return (N,) azimuths of the boxes' centres, seen from the array, in base_link.

    Args:
        boxes_px: (N, 4) boxes.
        range_m: (N,) distances of the vehicles from the array.
        rig: array and camera.
    """
    middles = (np.asarray(boxes_px, np.float64)[:, :2] + boxes_px[:, 2:]) / 2
    rays = rig.camera.directions(middles)
    apart_m = rig.camera.position_m - rig.array_position_m
    along = rays @ apart_m
    reach = along**2 - apart_m @ apart_m + np.asarray(range_m, np.float64) ** 2
    places = apart_m + rays * (np.sqrt(np.maximum(reach, 1e-6)) - along)[:, None]
    return np.arctan2(places[:, 1], places[:, 0])


def range_from_size(boxes_px: np.ndarray, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Estimate ranges from the height of boxes, since all vehicles have about the same height.

    Args:
        boxes_px: (N, 4) boxes.
        rig: array and camera.

    Returns:
        (N,) distance from the array, metres; (N,) standard deviation of its logarithm.
    """
    boxes = np.asarray(boxes_px, np.float64)
    height_px = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
    camera = rig.camera
    depth_m = VEHICLE_HEIGHT_M * camera.fy / height_px
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    slant = np.hypot(1.0, (middles[:, 0] - camera.cx) / camera.fx)
    ahead_m = camera.position_m[:2] - rig.array_position_m[:2]
    distance_m = depth_m * slant + float(np.hypot(*ahead_m))
    # A box that is cut off at the image's edge is less high than its vehicle.
    cut = (boxes[:, 1] <= 0) | (boxes[:, 3] >= camera.height_px)
    std = np.where(cut, 1.5 * SIZE_LOG_STD, SIZE_LOG_STD)
    return np.clip(distance_m, NEAREST_M, FARTHEST_M), std
