"""Conversion between boxes in angles about the camera's heading and boxes in camera pixels.

A model of contract 2 does not depend on the camera. Its boxes lie in the image of a virtual level
camera of focal length 1 that looks along the real camera's heading: x = tan(azimuth) to the right,
y downwards, both at distance 1 ahead. The virtual camera is above or below the array's centre,
`EYE_HEIGHT_M` above the road, because sound does not reveal the array's height, while the rig file
holds it. The vehicle's range determines the parallax from there to the real camera.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.detection.steering import heading_rad
from avdet_ros.rig import Rig

EYE_HEIGHT_M = 1.5
"""Height above the road from which boxes are seen. It is close to that of cameras, so that the
parallax is small; seen from there, the roofs of cars are at the horizon. Older model files have no
such height (`ModelContract.eye_height_m`): their boxes are seen from the array's centre."""

NEAREST_M = 0.2
"""Points less far ahead of the camera than this are not projected into its image."""


def to_pixels(
    boxes: np.ndarray,
    range_m: np.ndarray,
    rig: Rig,
    eye_height_m: float | None = EYE_HEIGHT_M,
) -> np.ndarray:
    """Convert boxes of a model of contract 2 to pixels of the rig's camera.

    Args:
        boxes: (N, 4) x_min, y_min, x_max, y_max, see the module.
        range_m: (N,) distance from the array's centre to the vehicle's centre.
        rig: defines array and camera.
        eye_height_m: height above the road from which boxes are seen; None: the array's centre.

    Returns:
        (N, 4) float32 x_min, y_min, x_max, y_max, not clipped; if the camera is rolled, the bounds
        of the projected box. Zeros for a box that is not ahead of the camera.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    eye_m = eye_position_m(rig, eye_height_m)
    frame = heading_frame(rig)
    rays = np.column_stack([np.ones(len(boxes)), -middle]) @ frame
    length = np.linalg.norm(rays, axis=1)
    ahead_m = _reach_m(eye_m, rays / length[:, None], np.asarray(range_m, np.float64), rig)
    ahead_m /= length
    x, y = boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]
    corners_m = ahead_m[:, None, None] * np.stack([np.ones_like(x), -x, -y], axis=-1)
    points_m = corners_m @ frame + eye_m
    pixels, depth_m = rig.camera.project(points_m)
    bounds = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    bounds[(depth_m <= NEAREST_M).any(axis=1)] = 0
    # Beyond this, float32 does not resolve single pixels; it is far outside any image.
    return np.clip(bounds, -1e6, 1e6).astype(np.float32)


def from_pixels(
    boxes_px: np.ndarray,
    range_m: np.ndarray,
    rig: Rig,
    eye_height_m: float | None = EYE_HEIGHT_M,
) -> np.ndarray:
    """Invert `to_pixels`, for a camera without roll.

    Args:
        boxes_px: (N, 4) pixels.
        range_m: (N,) distance from the array's centre to the vehicle's centre.
        rig: defines array and camera.
        eye_height_m: see `to_pixels`.

    Returns:
        (N, 4) float64 boxes, see the module.
    """
    boxes_px = np.asarray(boxes_px, np.float64).reshape(-1, 4)
    rays = rig.camera.directions(boxes_px.reshape(-1, 2, 2))
    range_m = np.asarray(range_m, np.float64)[:, None]
    reach_m = _reach_m(rig.camera.position_m, rays, range_m, rig)
    points_m = rig.camera.position_m + rays * reach_m[..., None]
    local = (points_m - eye_position_m(rig, eye_height_m)) @ heading_frame(rig).T
    ahead_m = np.maximum(local[..., 0], 1e-6)
    x, y = -local[..., 1] / ahead_m, -local[..., 2] / ahead_m
    return np.concatenate(
        [np.stack([x, y], axis=-1).min(axis=1), np.stack([x, y], axis=-1).max(axis=1)], axis=1
    )


def eye_position_m(rig: Rig, eye_height_m: float | None = EYE_HEIGHT_M) -> np.ndarray:
    """Return where boxes are seen from, (3,) float64 in base_link, whose origin is on the road.

    Args:
        rig: defines the array's centre.
        eye_height_m: see `to_pixels`.
    """
    eye_m = np.array(rig.array_position_m, np.float64)
    if eye_height_m is not None:
        eye_m[2] = eye_height_m
    return eye_m


def _reach_m(start_m: np.ndarray, rays: np.ndarray, range_m: np.ndarray, rig: Rig) -> np.ndarray:
    """Distance along unit rays (..., 3) to the sphere of radius ``range_m`` about the array."""
    apart_m = start_m - rig.array_position_m
    along = rays @ apart_m
    reach = along**2 - apart_m @ apart_m + range_m**2
    return np.sqrt(np.maximum(reach, 1e-6)) - along


def heading_frame(rig: Rig) -> np.ndarray:
    """(3, 3) float64 whose rows are ahead (the camera's heading), left and up in base_link."""
    heading = heading_rad(rig.camera)
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def boxes_from_degrees(
    azimuth_deg: np.ndarray,
    elevation_deg: np.ndarray,
    width_deg: np.ndarray,
    height_deg: np.ndarray,
) -> np.ndarray:
    """Convert the angles of labels to boxes in the image of the virtual camera, see the module.

    The sides are azimuths; top and bottom are elevations in the vertical plane through the
    box's centre, y = -tan(elevation) / cos(azimuth).

    Args:
        azimuth_deg: (...) of the centre, left positive.
        elevation_deg: (...) of the centre, up positive.
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
    """Invert `boxes_from_degrees`: (..., 4) boxes to azimuth, elevation, width, height."""
    left, right = -np.arctan(boxes[..., 0]), -np.arctan(boxes[..., 2])
    azimuth = (left + right) / 2
    top, bottom = (-np.arctan(boxes[..., side] * np.cos(azimuth)) for side in (1, 3))
    return np.degrees(np.stack([azimuth, (top + bottom) / 2, left - right, top - bottom], axis=-1))
