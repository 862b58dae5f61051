"""Boxes in angles about the camera's heading, and in pixels of a camera.

A model of contract 2 knows no camera. Its boxes lie in the picture of a level camera of focal
length 1 that stands at the array's centre and looks along the camera's heading: x = tan(azimuth)
to the right, y downwards, both at distance 1 ahead. A vehicle's range tells how the view shifts
from there to where the camera really is.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.detection.steering import heading_rad
from avdet_ros.rig import Rig

NEAREST_M = 0.2
"""What is less far ahead of the camera has no place in its image."""


def to_pixels(boxes: np.ndarray, range_m: np.ndarray, rig: Rig) -> np.ndarray:
    """Boxes of a model of contract 2 in pixels of the rig's camera.

    Args:
        boxes: (N, 4) x_min, y_min, x_max, y_max as the module says.
        range_m: (N,) distance from the array's centre to the vehicle's middle.
        rig: gives array and camera.

    Returns:
        (N, 4) float32 x_min, y_min, x_max, y_max, not clipped; the bounds of what the box covers
        where the camera is rolled. Zeros for a box that is not ahead of the camera.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    ahead_m = np.asarray(range_m, np.float64) / np.sqrt(1 + (middle**2).sum(axis=1))
    x, y = boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]
    corners_m = ahead_m[:, None, None] * np.stack([np.ones_like(x), -x, -y], axis=-1)
    points_m = corners_m @ heading_frame(rig) + rig.array_position_m
    pixels, depth_m = rig.camera.project(points_m)
    bounds = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    bounds[(depth_m <= NEAREST_M).any(axis=1)] = 0
    # Beyond this float32 has no whole pixels; it is far outside of any image.
    return np.clip(bounds, -1e6, 1e6).astype(np.float32)


def from_pixels(boxes_px: np.ndarray, range_m: np.ndarray, rig: Rig) -> np.ndarray:
    """The inverse of `to_pixels`, for a camera without roll.

    Args:
        boxes_px: (N, 4) pixels.
        range_m: (N,) distance from the array's centre to the vehicle's middle.
        rig: gives array and camera.

    Returns:
        (N, 4) float64 boxes as the module says.
    """
    boxes_px = np.asarray(boxes_px, np.float64).reshape(-1, 4)
    rays = rig.camera.directions(boxes_px.reshape(-1, 2, 2))
    range_m = np.asarray(range_m, np.float64)[:, None]
    # Where the rays pass through the sphere of that range about the array's centre.
    apart_m = rig.camera.position_m - rig.array_position_m
    along = rays @ apart_m
    reach = along**2 - apart_m @ apart_m + range_m**2
    points_m = apart_m + rays * (np.sqrt(np.maximum(reach, 1e-6)) - along)[..., None]
    local = points_m @ heading_frame(rig).T
    ahead_m = np.maximum(local[..., 0], 1e-6)
    x, y = -local[..., 1] / ahead_m, -local[..., 2] / ahead_m
    return np.concatenate(
        [np.stack([x, y], axis=-1).min(axis=1), np.stack([x, y], axis=-1).max(axis=1)], axis=1
    )


def heading_frame(rig: Rig) -> np.ndarray:
    """(3, 3) float64: its rows are ahead (the camera's heading), left and up in base_link."""
    heading = heading_rad(rig.camera)
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def boxes_from_degrees(
    azimuth_deg: np.ndarray,
    elevation_deg: np.ndarray,
    width_deg: np.ndarray,
    height_deg: np.ndarray,
) -> np.ndarray:
    """Boxes of the module's picture from the angles of a label.

    The sides are azimuths; top and bottom are elevations in the vertical plane through the
    box's middle, y = -tan(elevation) / cos(azimuth).

    Args:
        azimuth_deg: (...) of the middle, left positive.
        elevation_deg: (...) of the middle, up positive.
        width_deg: (...) between the sides.
        height_deg: (...) between top and bottom.

    Returns:
        (..., 4) float64 x_min, y_min, x_max, y_max.
    """
    azimuth, elevation, width, height = (
        np.radians(np.asarray(value, np.float64))
        for value in (azimuth_deg, elevation_deg, width_deg, height_deg)
    )
    stretch = np.cos(azimuth)
    return np.stack(
        [
            -np.tan(azimuth + width / 2),
            -np.tan(elevation + height / 2) / stretch,
            -np.tan(azimuth - width / 2),
            -np.tan(elevation - height / 2) / stretch,
        ],
        axis=-1,
    )


def degrees_from_boxes(boxes: np.ndarray) -> np.ndarray:
    """The inverse of `boxes_from_degrees`: (..., 4) boxes to azimuth, elevation, width, height."""
    left, right = -np.arctan(boxes[..., 0]), -np.arctan(boxes[..., 2])
    azimuth = (left + right) / 2
    top, bottom = (-np.arctan(boxes[..., side] * np.cos(azimuth)) for side in (1, 3))
    return np.degrees(np.stack([azimuth, (top + bottom) / 2, left - right, top - bottom], axis=-1))
