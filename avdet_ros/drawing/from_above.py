"""Vehicles seen from above, in metres: 90 % ellipses and trails."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

CHI2_90 = -2 * math.log(0.1)
"""Squared Mahalanobis distance that contains 90 % of a normal distribution in a plane."""

_CORNERS = 48
_MOST_POINTS = 512
_SMALLEST_M = 0.05


@dataclass(frozen=True)
class Placed:
    """A vehicle on the road, in base_link.

    Attributes:
        track_id: its identity.
        place_m: (2,) x, y of its centre.
        covariance: (2, 2) covariance of ``place_m``.
    """

    track_id: int
    place_m: np.ndarray
    covariance: np.ndarray

    def outline(self) -> np.ndarray:
        """Return (N, 2) corners of the 90 % ellipse, the first one twice."""
        values, vectors = np.linalg.eigh(self.covariance)
        axes = vectors * np.sqrt(np.maximum(values * CHI2_90, _SMALLEST_M**2))
        angles = np.linspace(0, 2 * np.pi, _CORNERS + 1)
        return self.place_m + np.stack([np.cos(angles), np.sin(angles)], -1) @ axes.T


class GroundTrails:
    """Past positions of vehicles, as seen from base_link at the time."""

    def __init__(self, seconds: float = 3.0) -> None:
        """Keep positions for this many seconds."""
        self.seconds = seconds
        self._trails: dict[int, deque[tuple[float, float, float]]] = {}
        self._newest_s = -math.inf

    def add(self, time_s: float, vehicles: Sequence[Placed]) -> None:
        """Add the vehicles of an instant; forget all others, and everything if time goes back."""
        if time_s < self._newest_s:
            self._trails.clear()
        self._newest_s = time_s
        for vehicle in vehicles:
            trail = self._trails.setdefault(vehicle.track_id, deque(maxlen=_MOST_POINTS))
            trail.append((time_s, float(vehicle.place_m[0]), float(vehicle.place_m[1])))
            while trail[0][0] < time_s - self.seconds:
                trail.popleft()
        alive = {vehicle.track_id for vehicle in vehicles}
        self._trails = {name: trail for name, trail in self._trails.items() if name in alive}

    def lines(self) -> dict[int, np.ndarray]:
        """Return (N, 2) positions of each vehicle, oldest first."""
        return {
            name: np.array(trail)[:, 1:] for name, trail in self._trails.items() if len(trail) > 1
        }
