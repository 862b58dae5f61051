"""A substitute for a missing camera picture: a road with ranges and bearings."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.drawing.style import FAINT, GRID, text
from avdet_ros.rig import Camera

RANGES_M = (5, 10, 20, 40, 80)
BEARINGS_DEG = tuple(range(-80, 81, 10))
LANE_M = 3.5

_FAR_M = 400.0
_NEAR_M = 0.5
_SKY = ((58, 34, 20), (128, 92, 62))
_GROUND = ((58, 52, 44), (30, 27, 24))
_ASPHALT = (46, 43, 40)
_PAINT = (172, 172, 168)


def draw_road(camera: Camera) -> np.ndarray:
    """Draw a straight road seen by a camera, with range arcs and bearing lines on the ground.

    Args:
        camera: the camera; z = 0 of base_link is the road.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    picture = _backdrop(camera)
    _stripe(picture, camera, -1.5 * LANE_M - 0.6, 1.5 * LANE_M + 0.6, _ASPHALT)
    for side in (-1.5, 1.5):
        _stripe(picture, camera, side * LANE_M - 0.09, side * LANE_M + 0.09, _PAINT)
    for side in (-0.5, 0.5):
        for start in np.arange(2, 160, 9.0):
            edge = side * LANE_M
            _stripe(picture, camera, edge - 0.07, edge + 0.07, _PAINT, start, start + 3)
    _bearings(picture, camera)
    _ranges(picture, camera)
    return picture


def ground_points(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    """Project points on the road to pixels.

    Args:
        camera: the camera.
        points_m: (N, 2) x, y in base_link.

    Returns:
        (M, 2) float64 pixels of the points in front of the camera, in order.
    """
    points = np.column_stack([points_m, np.zeros(len(points_m))])
    pixels, depth_m = camera.project(points)
    return pixels[depth_m > _NEAR_M]


def horizon_y(camera: Camera, azimuth_deg: float = 0.0) -> float:
    """Return the row of the horizon at a bearing, left positive; NaN behind the camera."""
    azimuth = np.radians(azimuth_deg)
    far = camera.position_m + 1e6 * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    pixels, depth_m = camera.project(far)
    return float(pixels[1]) if depth_m > 0 else float('nan')


def bearing_label(bearing_deg: int) -> str:
    """Return a bearing in words, since sign conventions differ between fields."""
    if not bearing_deg:
        return '0'
    return f'{abs(bearing_deg)} {"left" if bearing_deg > 0 else "right"}'


def _backdrop(camera: Camera) -> np.ndarray:
    middle = horizon_y(camera)
    line = int(np.clip(np.nan_to_num(middle), 0, camera.height_px))
    picture = np.empty((camera.height_px, camera.width_px, 3), np.float32)
    for rows, (top, bottom) in ((slice(0, line), _SKY), (slice(line, None), _GROUND)):
        count = picture[rows].shape[0]
        share = np.linspace(0, 1, max(count, 1))[:count, None] ** 1.5
        gradient = np.array(top) * (1 - share) + np.array(bottom) * share
        picture[rows] = gradient[:, None, :]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _stripe(
    picture: np.ndarray,
    camera: Camera,
    right_m: float,
    left_m: float,
    fill: tuple[int, int, int],
    start_m: float = 1.0,
    end_m: float = _FAR_M,
) -> None:
    along = np.geomspace(max(start_m, 1.0), end_m, 24)
    outline = np.concatenate(
        [
            np.column_stack([along, np.full(24, right_m)]),
            np.column_stack([along[::-1], np.full(24, left_m)]),
        ]
    )
    pixels = ground_points(camera, outline)
    if len(pixels) >= 3:
        polygon = np.clip(pixels, -20000, 20000) * 16
        cv2.fillPoly(picture, [polygon.round().astype(np.int32)], fill, cv2.LINE_AA, 4)


def _line(picture: np.ndarray, pixels: np.ndarray, ink: tuple[int, int, int]) -> None:
    if len(pixels) >= 2:
        line = (np.clip(pixels, -20000, 20000) * 16).round().astype(np.int32)
        cv2.polylines(picture, [line], False, ink, 1, cv2.LINE_AA, 4)


def _bearings(picture: np.ndarray, camera: Camera) -> None:
    for bearing in BEARINGS_DEG:
        angle = np.radians(bearing)
        along = np.geomspace(3, _FAR_M, 24)
        points = np.column_stack([along * np.cos(angle), along * np.sin(angle)])
        pixels = ground_points(camera, points + camera.position_m[:2])
        if not len(pixels) or not 0 <= pixels[-1, 0] < camera.width_px:
            continue
        _line(picture, pixels, GRID)
        x, y = pixels[-1]
        top = (round(x), round(y - 6))
        cv2.line(picture, (round(x), round(y + 2)), top, FAINT, 1, cv2.LINE_AA)
        text(picture, bearing_label(bearing), (x, y - 12), 0.42, FAINT, 0.5)


def _ranges(picture: np.ndarray, camera: Camera) -> None:
    for distance in RANGES_M:
        angles = np.radians(np.linspace(-75, 75, 121))
        arc = distance * np.column_stack([np.cos(angles), np.sin(angles)])
        pixels = ground_points(camera, arc + camera.position_m[:2])
        _line(picture, pixels, GRID)
        label = camera.position_m[:2] + [distance, -1.5 * LANE_M - 1.2]
        place = ground_points(camera, label[None])
        if len(place) and 0 <= place[0, 0] < camera.width_px and place[0, 1] < camera.height_px:
            text(picture, f'{distance} m', place[0], 0.42, FAINT)
