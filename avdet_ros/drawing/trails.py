"""Past positions of tracks, in the picture and on the road."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from avdet_ros.rig import Camera

NEAREST_M = 2.0
"""Smallest distance of a box from the camera."""


class Trails:
    """Past centres of the lower edge of each track's box."""

    def __init__(self, seconds: float = 3.0) -> None:
        """Keep positions for this many seconds."""
        self.seconds = seconds
        self._points: dict[int, deque[tuple[float, float, float]]] = {}
        self._newest_s = 0.0

    def add(self, time_s: float, boxes: list[tuple[int, np.ndarray]]) -> None:
        """Add the (id, box) pairs of an instant; if time goes back, forget all trails first."""
        if time_s < self._newest_s:
            self._points.clear()
        self._newest_s = time_s
        for track_id, box in boxes:
            points = self._points.setdefault(track_id, deque(maxlen=512))
            points.append((time_s, float(box[0] + box[2]) / 2, float(box[3])))
        for track_id, points in list(self._points.items()):
            while points and points[0][0] < time_s - self.seconds:
                points.popleft()
            if not points:
                del self._points[track_id]

    def lines(self, time_s: float) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield id, (N, 2) pixels, (N,) ages (1 oldest, 0 now) of trails of two or more points."""
        for track_id, points in self._points.items():
            if len(points) >= 2 and self.seconds > 0:
                table = np.array(points)
                ages = np.clip((time_s - table[:, 0]) / self.seconds, 0, 1)
                yield track_id, table[:, 1:], ages


def ground_place(camera: Camera, box_px: np.ndarray, farthest_m: float) -> np.ndarray:
    """Compute where a box stands on the road, assuming that its lower edge touches the road.

    Args:
        camera: the camera.
        box_px: (4,) box.
        farthest_m: positions further away are moved to this distance.

    Returns:
        (2,) float64 x, y in base_link, metres.
    """
    ray = camera.directions([(box_px[0] + box_px[2]) / 2, box_px[3]])
    along = np.hypot(ray[0], ray[1])
    distance = farthest_m
    if ray[2] < -1e-6:
        distance = float(np.clip(-camera.position_m[2] / ray[2] * along, NEAREST_M, farthest_m))
    return camera.position_m[:2] + ray[:2] / max(along, 1e-9) * distance
