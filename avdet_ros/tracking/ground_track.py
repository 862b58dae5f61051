"""A vehicle on the ground plane at one instant, as planners take it."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

import numpy as np

CHI2_90 = 4.605
"""The squared Mahalanobis distance within which 90 % of a normal distribution in a plane lie."""


@dataclass(frozen=True)
class GroundTrack:
    """One vehicle in metres, in base_link.

    Attributes:
        track_id: as that of its `Track` in the image.
        position_m: (2,) float64 x, y of its middle.
        velocity_mps: (2,) float64, over ground if `over_ground`, else relative to base_link; along
            base_link's axes.
        covariance: (4, 4) float64 of position and velocity.
        size_m: (2,) float64 width across the line of sight, and height.
        score: of the detection it was last heard with, in [0, 1].
        age_s: since its first detection.
        unseen_s: since its last one.
        over_ground: whether the ego vehicle's motion is known and taken out.
        ego_mps: (2,) float64 velocity of base_link along its own axes; zeros where it is unknown,
            as `velocity_mps` is relative then.
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
        """Distance of its middle from base_link."""
        return float(np.hypot(*self.position_m))

    @property
    def bearing_rad(self) -> float:
        """Where it is from base_link, left positive."""
        return math.atan2(self.position_m[1], self.position_m[0])

    def ellipse(self, chi2: float = CHI2_90) -> tuple[float, float, float]:
        """Half axes of the ellipse that holds its position, metres, and the longer one's angle.

        Args:
            chi2: the squared Mahalanobis distance of its edge; the default holds 90 %.
        """
        values, vectors = np.linalg.eigh(self.covariance[:2, :2])
        long, short = math.sqrt(max(values[1], 0) * chi2), math.sqrt(max(values[0], 0) * chi2)
        return long, short, math.atan2(vectors[1, 1], vectors[0, 1])

    def distance2(self, place_m: np.ndarray) -> float:
        """Squared Mahalanobis distance of a place from the position."""
        apart = np.asarray(place_m, np.float64) - self.position_m
        return float(apart @ np.linalg.solve(self.covariance[:2, :2], apart))


def placed(
    plane: np.ndarray, covariance: np.ndarray, yaw_rad: float, array_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a filter knows, in base_link.

    Args:
        plane: (4,) place from the array, and velocity, in a frame in which base_link is turned.
        covariance: (4, 4) of it.
        yaw_rad: how far base_link is turned to the left.
        array_m: (2,) of the array in base_link.

    Returns:
        (2,) position, (2,) velocity, (4, 4) covariance.
    """
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    turn = np.kron(np.eye(2), [[cos, sin], [-sin, cos]])
    values = turn @ plane
    return values[:2] + array_m, values[2:], turn @ covariance @ turn.T
