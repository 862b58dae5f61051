"""A rig file drawn over a camera's picture: horizon, bearings, distances on the road, the array.

Anyone who knows the scene can check the rig at a glance: the drawn horizon must lie on the real
one, and a pole 20 m ahead and 30 degrees to the left must stand where the lines of both cross.
"""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.drawing.road import bearing_label, ground_points
from avdet_ros.drawing.style import GOOD, INK, PANEL, shade, tag, text
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Camera, Rig, yaw_pitch_roll_deg

HORIZON = (80, 220, 255)
LINES = (255, 200, 60)
RANGES_M = (5, 10, 20, 40)
BEARINGS_DEG = tuple(range(-80, 81, 10))

_FAR_M = 1e6
_NEAR_M, _END_M = 3.0, 80.0
_INSET_PX = 300


def draw_rig(rig: Rig, picture: np.ndarray) -> np.ndarray:
    """Draw a rig file's content over a picture of its camera.

    Args:
        rig: microphones and camera.
        picture: (height, width, 3) uint8 BGR, of the rig camera's size.

    Returns:
        A new picture of the same size.

    Raises:
        AvdetError: the picture has another size.
    """
    camera = rig.camera
    if picture.shape[:2] != (camera.height_px, camera.width_px):
        raise AvdetError(
            f'picture: expected {camera.width_px} x {camera.height_px} as the rig has it, found '
            f'{picture.shape[1]} x {picture.shape[0]}'
        )
    drawn = picture.copy()
    _draw_horizon(drawn, camera)
    for bearing_deg in BEARINGS_DEG:
        _draw_bearing(drawn, camera, bearing_deg)
    for distance_m in RANGES_M:
        _draw_range(drawn, camera, distance_m)
    _draw_array(drawn, rig)
    _write_facts(drawn, rig)
    return drawn


def horizon_points(camera: Camera) -> np.ndarray:
    """Return (N, 2) pixels of the horizon in front of the camera, from left to right."""
    angles = np.radians(np.arange(90.0, -91.0, -1.0)) + np.radians(_heading_deg(camera))
    far = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))])
    pixels, depth_m = camera.project(camera.position_m + _FAR_M * far)
    return pixels[depth_m > 0.05 * _FAR_M]


def _heading_deg(camera: Camera) -> float:
    return float(yaw_pitch_roll_deg(camera.rotation)[0])


def _draw_horizon(picture: np.ndarray, camera: Camera) -> None:
    pixels = horizon_points(camera)
    _line(picture, pixels, HORIZON, 2)
    inside = (pixels[:, 0] > 8) & (pixels[:, 0] < camera.width_px - 100)
    if inside.any():
        x, y = pixels[inside][-1]
        tag(picture, 'horizon', (x, y - 6), HORIZON, 0.45)


def _draw_bearing(picture: np.ndarray, camera: Camera, bearing_deg: int) -> None:
    """Draw a line on the road, from near to far, at a bearing from the camera, left positive."""
    angle = np.radians(bearing_deg)
    along = np.geomspace(_NEAR_M, _END_M, 40)
    points = np.column_stack([along * np.cos(angle), along * np.sin(angle)])
    pixels = ground_points(camera, points + camera.position_m[:2])
    if len(pixels) < 2:
        return
    _line(picture, pixels, LINES, 1)
    x, y = pixels[-1]
    if bearing_deg and 0 <= x < camera.width_px and 20 <= y < camera.height_px:
        text(picture, bearing_label(bearing_deg), (x, y + 16), 0.5, LINES, 0.5)


def _draw_range(picture: np.ndarray, camera: Camera, distance_m: float) -> None:
    angles = np.radians(np.linspace(-80, 80, 161))
    arc = distance_m * np.column_stack([np.cos(angles), np.sin(angles)])
    pixels = ground_points(camera, arc + camera.position_m[:2])
    _line(picture, pixels, LINES, 1)
    ahead = ground_points(camera, camera.position_m[None, :2] + [[distance_m, 0.0]])
    if len(ahead) and 0 <= ahead[0, 0] < camera.width_px and ahead[0, 1] < camera.height_px - 4:
        text(picture, f'{distance_m:g} m', (ahead[0, 0] + 6, ahead[0, 1] - 4), 0.5, LINES)


def _draw_array(picture: np.ndarray, rig: Rig) -> None:
    """Draw array and camera from above in a corner: ahead is up, left is left."""
    side = min(_INSET_PX, *picture.shape[:2])
    shade(picture, slice(0, side), slice(0, side), 0.7)
    places = np.vstack([rig.microphones_m, rig.camera.position_m])[:, :2]
    centre = (places.max(axis=0) + places.min(axis=0)) / 2
    scale = 0.62 * side / max(float(np.ptp(places, axis=0).max()), 0.1)

    def at(place_m: np.ndarray) -> tuple[int, int]:
        x, y = (place_m[:2] - centre) * scale
        return round(side / 2 - y), round(side / 2 - x)

    cv2.arrowedLine(picture, (16, 60), (16, 20), INK, 2, cv2.LINE_AA, tipLength=0.3)
    text(picture, 'ahead', (26, 30), 0.42)
    for index, place in enumerate(rig.microphones_m):
        colour = GOOD if rig.alive[index] else PANEL
        cv2.circle(picture, at(place), 7, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, at(place), 7, INK, 1, cv2.LINE_AA)
        x, y = at(place)
        text(picture, str(rig.channels[index]), (x + 10, y + 5), 0.45)
    x, y = at(rig.camera.position_m)
    cv2.rectangle(picture, (x - 6, y - 6), (x + 6, y + 6), HORIZON, -1)
    edges = rig.camera.directions(
        [(0.0, rig.camera.cy), (float(rig.camera.width_px), rig.camera.cy)]
    )
    for edge in edges:
        tip = (round(x - 0.3 * side * edge[1]), round(y - 0.3 * side * edge[0]))
        cv2.line(picture, (x, y), tip, HORIZON, 1, cv2.LINE_AA)
    text(picture, 'numbers: channels', (10, side - 10), 0.42)


def _write_facts(picture: np.ndarray, rig: Rig) -> None:
    camera = rig.camera
    yaw, pitch, roll = yaw_pitch_roll_deg(camera.rotation)
    x, y, z = camera.position_m
    spread_m = np.linalg.norm(rig.microphones_m[:, None] - rig.microphones_m[None], axis=-1).max()
    places = f'camera {x:.2f}, {y:.2f}, {z:.2f} m'
    turns = f'yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f}'
    size = f'array {spread_m:.2f} m wide, {rig.microphones_m[:, 2].mean():.2f} m high'
    lines = f'{places}; {turns}', f'{size}, yaw {rig.array_yaw_deg:.1f}, {rig.sample_rate_hz} Hz'
    for number, line in enumerate(lines):
        place = (picture.shape[1] - 12, 24 + 22 * number)
        text(picture, line, (place[0] + 1, place[1] + 1), 0.5, (0, 0, 0), 1.0)
        text(picture, line, place, 0.5, INK, 1.0)


def _line(
    picture: np.ndarray, pixels: np.ndarray, ink: tuple[int, int, int], thickness: int
) -> None:
    if len(pixels) >= 2:
        line = (np.clip(pixels, -20000, 20000) * 16).round().astype(np.int32)
        cv2.polylines(picture, [line], False, ink, thickness, cv2.LINE_AA, 4)
