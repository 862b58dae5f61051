"""The camera's view at one instant: polygons in painting order, not yet coloured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from avdet_ros.simulation.pictures.body_parts import Body
from avdet_ros.simulation.pictures.faces import Faces, View

GROUND, STILL = -1, -2
"""Owners of strokes that belong to no vehicle."""

_SHIFT = 4


@dataclass(frozen=True, eq=False)
class Placed:
    """A vehicle at the instant of the picture.

    Attributes:
        vehicle_id: its identity.
        body: its shape.
        position: (3,) world.
        rotation: (3, 3) vehicle to world.
        size_m: length, width, height.
        warmth: 0 (cold) to 1 (warm from driving).
        lights: whether its lamps are on.
        speed_mps: its speed.
    """

    vehicle_id: int
    body: Body
    position: np.ndarray
    rotation: np.ndarray
    size_m: tuple[float, float, float]
    warmth: float
    lights: bool
    speed_mps: float


@dataclass(frozen=True, eq=False)
class Composition:
    """Strokes, i.e. polygons in painting order, ground first.

    Attributes:
        view: the camera.
        position: (3,) base_link in the world.
        rotation: (3, 3) base_link to world.
        polygons: S arrays (P, 2) float64, pixels of the full image.
        faces: S polygons in the world frame, in the same order.
        plane: (S, 3) 1 / depth = a x + b y + c at full image pixel x, y.
        depth_m: (S,) mean of nearest and furthest depth.
        owner: (S,) `GROUND`, `STILL` or the row of the vehicle in `vehicles`.
        ground: number of ground strokes.
        bodies: first stroke and last stroke + 1 of each body, in painting order.
        hidden_by: for each body, the ground strokes in front of it, such as a crest.
        vehicles: vehicles near enough to be drawn.
    """

    view: View
    position: np.ndarray
    rotation: np.ndarray
    polygons: list[np.ndarray]
    faces: Faces
    plane: np.ndarray
    depth_m: np.ndarray
    owner: np.ndarray
    ground: int
    bodies: list[tuple[int, int]]
    hidden_by: list[np.ndarray]
    vehicles: tuple[Placed, ...]

    @cached_property
    def centres(self) -> np.ndarray:
        """(S, 3) middle of each stroke's polygon, world."""
        sums = np.add.reduceat(self.faces.corners, self.faces.starts)
        return sums / self.faces.counts()[:, None]

    def fixed(self, scale: float) -> list[np.ndarray]:
        """Return the polygons as OpenCV's fixed-point integers, for an image scaled by `scale`."""
        if not self.polygons:
            return []
        every = (np.concatenate(self.polygons) + 0.5) * scale - 0.5
        every = np.round(every * (1 << _SHIFT)).astype(np.int32)
        ends = np.cumsum([len(points) for points in self.polygons]).tolist()
        # slices: np.split costs three times as much
        return [every[low:high] for low, high in zip([0, *ends], ends, strict=False)]

    def paint(
        self,
        image: np.ndarray,
        colours: Sequence[Any],
        polygons: list[np.ndarray],
        smooth: bool,
        between: Callable[[np.ndarray], None] | None = None,
        ground_too: bool = True,
    ) -> None:
        """Paint all strokes into an image.

        Args:
            image: the image, changed in place.
            colours: one OpenCV scalar per stroke.
            polygons: result of `fixed` at the image's scale.
            smooth: whether to antialias edges.
            between: called with the image after the ground is painted.
            ground_too: whether to paint the ground as well, not only the bodies.
        """
        line = cv2.LINE_AA if smooth else cv2.LINE_8
        for stroke in range(self.ground if ground_too else 0):
            cv2.fillConvexPoly(image, polygons[stroke], colours[stroke], line, _SHIFT)
        if between is not None:
            between(image)
        below = image.copy() if any(len(hidden) for hidden in self.hidden_by) else None
        for (first, last), hidden in zip(self.bodies, self.hidden_by, strict=True):
            for stroke in range(first, last):
                cv2.fillConvexPoly(image, polygons[stroke], colours[stroke], line, _SHIFT)
            if below is not None and len(hidden):
                mask = np.zeros(image.shape[:2], np.uint8)
                for stroke in hidden:
                    cv2.fillConvexPoly(mask, polygons[stroke], 255, cv2.LINE_8, _SHIFT)
                cv2.copyTo(below, mask, image)

    @cached_property
    def index_ground(self) -> np.ndarray:
        """(H / 2, W / 2) int32 ground stroke at each pixel, also behind bodies; -1 for the sky."""
        camera = self.view.camera
        image = np.full((camera.height_px // 2, camera.width_px // 2), -1, np.int32)
        polygons = self._half
        for stroke in range(self.ground):
            cv2.fillConvexPoly(image, polygons[stroke], stroke, cv2.LINE_8, _SHIFT)
        return image

    @cached_property
    def _half(self) -> list[np.ndarray]:
        return self.fixed(0.5)

    @cached_property
    def index(self) -> np.ndarray:
        """(H / 2, W / 2) int32 visible stroke at each pixel; -1 for the sky."""
        camera = self.view.camera
        image = np.empty((camera.height_px // 2, camera.width_px // 2), np.int32)

        def ground(painted: np.ndarray) -> None:
            painted[:] = self.index_ground

        self.paint(image, range(len(self.polygons)), self._half, False, ground, ground_too=False)
        return image

    def look_up(self, values: np.ndarray, sky: float) -> np.ndarray:
        """(H / 2, W / 2) value of the visible stroke at each pixel; `sky` where there is none."""
        return np.append(values, sky).astype(values.dtype)[self.index]
