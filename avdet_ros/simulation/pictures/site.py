"""Sites beside a road, and the objects built on them from polygons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Faces
from avdet_ros.simulation.road import Road


@dataclass(frozen=True, eq=False)
class Thing:
    """A fixed upright object.

    Attributes:
        faces: its polygons, world frame.
        footprint: (4, 2) float64 corners seen from above, counter-clockwise, world.
        lamp_m: (3,) position of its lamp, if it lights the road.
        flat: whether it is low, such as a rail, and may stand close to the traffic.
    """

    faces: Faces
    footprint: np.ndarray
    lamp_m: np.ndarray | None = None
    flat: bool = False


class Site:
    """A place beside a road with its own axes: x along the road, y to the left, z up."""

    def __init__(self, road: Road, along: float, aside: float) -> None:
        position, forward, left, _ = road.frame(along)
        flat = np.array([forward[0], forward[1], 0.0])
        flat /= np.linalg.norm(flat)
        self.rotation = np.stack([flat, left, [0.0, 0.0, 1.0]], axis=-1)
        self.position = position + aside * left
        self._road, self._along = road, along

    def ground(self, x: float) -> float:
        """Return the height of the ground `x` metres further along, relative to this place."""
        return float(self._road.point(self._along + x)[2] - self.position[2])

    def thing(
        self,
        faces: FaceList,
        low: tuple[float, float],
        high: tuple[float, float],
        lamp: tuple[float, float, float] | None = None,
        flat: bool = False,
    ) -> Thing:
        """Build the object; `low` and `high` are opposite corners of its footprint."""
        corners = np.array(
            [
                [low[0], low[1], 0],
                [high[0], low[1], 0],
                [high[0], high[1], 0],
                [low[0], high[1], 0],
            ]
        )
        placed = self.position + corners @ self.rotation.T
        lamp_m = None if lamp is None else self.position + self.rotation @ np.array(lamp)
        return Thing(
            faces.build().moved(self.position, self.rotation), placed[:, :2], lamp_m, flat
        )
