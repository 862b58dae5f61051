"""A vehicle on the ground plane at one instant, in the form that planners use."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

import numpy as np

CHI2_90 = 4.605
"""Squared Mahalanobis distance that contains 90 % of a normal distribution in a plane."""


@dataclass(frozen=True)
class GroundTrack:
    """One vehicle in metres, in base_link.

    Attributes:
        track_id: same as that of its `Track` in the image.
        position_m: (2,) float64 x, y of its centre.
        velocity_mps: (2,) float64, over ground if `over_ground`, else relative to base_link; along
            base_link's axes.
        covariance: (4, 4) float64 of position and velocity.
        size_m: (2,) float64 width across the line of sight, and height.
        score: score of its last detection, in [0, 1].
        age_s: time since its first detection.
        unseen_s: time since its last detection.
        over_ground: whether the ego vehicle's motion is known and compensated.
        ego_mps: (2,) float64 velocity of base_link along its own axes; zeros if it is unknown,
            as `velocity_mps` is then relative.
    """

    track_id: int
    position_m: np.ndarray
    velocity_mps: np.ndarray
    covariance: np.ndarray
    size_m: np.ndarray
    score: float
    age_s: float
    unseen_s: float
    over_ground: bool
    ego_mps: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def range_m(self) -> float:
        """Distance of its centre from base_link."""
        return float(np.hypot(*self.position_m))

    @property
    def bearing_rad(self) -> float:
        """Bearing from base_link, left positive."""
        return math.atan2(self.position_m[1], self.position_m[0])

    def ellipse(self, chi2: float = CHI2_90) -> tuple[float, float, float]:
        """Return the half axes of its position's ellipse, metres, and the angle of the longer one.

        Args:
            chi2: squared Mahalanobis distance of the edge; the default contains 90 %.
        """
        values, vectors = np.linalg.eigh(self.covariance[:2, :2])
        long, short = math.sqrt(max(values[1], 0) * chi2), math.sqrt(max(values[0], 0) * chi2)
        return long, short, math.atan2(vectors[1, 1], vectors[0, 1])

    def distance2(self, place_m: np.ndarray) -> float:
        """Return the squared Mahalanobis distance of a point from the position."""
        apart = np.asarray(place_m, np.float64) - self.position_m
        return float(apart @ np.linalg.solve(self.covariance[:2, :2], apart))


def placed(
    plane: np.ndarray, covariance: np.ndarray, yaw_rad: float, array_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transform a filter's position and velocity to base_link.

    Args:
        plane: (4,) position relative to the array, and velocity, in a frame in which base_link is
            rotated.
        covariance: (4, 4) covariance of ``plane``.
        yaw_rad: rotation of base_link to the left.
        array_m: (2,) position of the array in base_link.

    Returns:
        (2,) position, (2,) velocity, (4, 4) covariance.
    """
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    turn = np.kron(np.eye(2), [[cos, sin], [-sin, cos]])
    values = turn @ plane
    return values[:2] + array_m, values[2:], turn @ covariance @ turn.T
