"""Roads: a centre line with curves and slopes, and lanes whose width varies along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

GRID_M = 2.0
"""Distance between the points of the centre line's cubic spline."""


@dataclass(frozen=True, eq=False)
class Road:
    """A road in the world frame (z up), parametrised by distance along its centre line.

    Beyond its ends it continues straight. Sideways offsets are positive to the left of the
    direction in which the distance grows.

    Attributes:
        start_m: distance at the first point.
        end_m: distance at the last point.
        centre: spline of (x, y, z) over the distance.
        lane_width_m: mean width of a lane.
        width_wave: (3,) relative amplitude, wave number in rad/m and phase of the lane width.
    """

    start_m: float
    end_m: float
    centre: CubicSpline
    lane_width_m: float
    width_wave: tuple[float, float, float]

    def point(self, along_m: ArrayLike, aside_m: ArrayLike = 0.0) -> np.ndarray:
        """Return world positions (..., 3) on the road's surface."""
        position, _, left, _ = self.frame(along_m)
        return position + np.asarray(aside_m)[..., None] * left

    def frame(self, along_m: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Compute the centre line and its directions.

        Args:
            along_m: (...) distance along the centre line.

        Returns:
            position, forward, left, up: each (..., 3) float64; the last three are unit vectors,
            left is horizontal.
        """
        along = np.asarray(along_m, np.float64)
        inside = np.clip(along, self.start_m, self.end_m)
        tangent = self.centre(inside, 1)
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
        position = self.centre(inside) + (along - inside)[..., None] * tangent
        run = np.hypot(tangent[..., 0], tangent[..., 1])
        east, north, rise = tangent[..., 0] / run, tangent[..., 1] / run, tangent[..., 2]
        left = np.stack([-north, east, np.zeros_like(run)], axis=-1)
        up = np.stack([-rise * east, -rise * north, run], axis=-1)
        return position, tangent, left, up

    def width_m(self, along_m: ArrayLike) -> np.ndarray:
        """Return the width of one lane at a distance along the road."""
        amplitude, wave, phase = self.width_wave
        along = np.asarray(along_m, np.float64)
        return self.lane_width_m * (1 + amplitude * np.sin(wave * along + phase))


class Route(Road):
    """A path from one road into another; it has no separate asphalt."""


def route(points_m: np.ndarray, lane_width_m: float) -> Route:
    """Build a path through points.

    Args:
        points_m: (P, 3) float64 world positions, at most a few metres apart.
        lane_width_m: width of the lane that it follows.

    Returns:
        The route; distance 0 is at the first point, the lane's centre is its centre line.
    """
    steps = np.linalg.norm(np.diff(points_m, axis=0), axis=1)
    # two passes, first over chords, then over the curve, so that the parameter is arc length
    rough = CubicSpline(np.concatenate([[0.0], np.cumsum(steps)]), points_m)
    fine = np.linspace(0, rough.x[-1], 20 * len(points_m))
    lengths = np.linalg.norm(np.diff(rough(fine), axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    even = np.linspace(0, along[-1], max(int(along[-1] / GRID_M), 2) + 1)
    curve = CubicSpline(even, rough(np.interp(even, along, fine)))
    return Route(0.0, float(along[-1]), curve, lane_width_m, (0.0, 0.0, 0.0))


def meeting_m(road: Road, crossing: Road) -> float:
    """Find the distance along a road at which the crossing road has its distance 0."""
    along = np.linspace(-20, 120, 1401)
    apart = np.linalg.norm(road.point(along) - crossing.point(0.0), axis=1)
    return float(along[int(np.argmin(apart))])


def straight_road(lane_width_m: float = 3.5, heading_rad: float = 0.0) -> Road:
    """Build a straight, flat road through the origin, for checks."""
    along = np.array([-10.0, 0.0, 10.0])
    points = np.stack(
        [along * np.cos(heading_rad), along * np.sin(heading_rad), np.zeros(3)], axis=-1
    )
    return Road(-10.0, 10.0, CubicSpline(along, points), lane_width_m, (0.0, 0.0, 0.0))


def random_road(
    rng: np.random.Generator,
    start_m: float,
    end_m: float,
    curvature_per_m: float,
    slope: float,
    lane_width_m: float,
    origin_m: ArrayLike = (0.0, 0.0, 0.0),
    heading_rad: float = 0.0,
) -> Road:
    """Draw a road whose curvature and slope change linearly between random knots (clothoids).

    Args:
        rng: random generator.
        start_m: distance of the first point, not above 0.
        end_m: distance of the last point, above 0.
        curvature_per_m: spread of the curvature at the knots.
        slope: spread of the slope (rise over run) at the knots.
        lane_width_m: mean width of a lane.
        origin_m: (3,) world position of distance 0.
        heading_rad: direction at distance 0.

    Returns:
        The road; its heading is pulled back to `heading_rad`, so that it does not cross itself.
    """
    along = np.arange(np.floor(start_m / GRID_M), np.ceil(end_m / GRID_M) + 1) * GRID_M
    curvature = _wander(rng, along, curvature_per_m, 35.0, 110.0)
    # integrate outwards from distance 0 and pull the heading back softly
    zero = int(np.searchsorted(along, 0.0))
    heading = np.zeros_like(along)
    for index in range(zero + 1, len(along)):
        heading[index] = heading[index - 1] * 0.992 + curvature[index] * GRID_M
    for index in range(zero - 1, -1, -1):
        heading[index] = heading[index + 1] * 0.992 - curvature[index] * GRID_M
    heading += heading_rad
    rise = _wander(rng, along, slope, 50.0, 160.0)
    run = np.cos(np.arctan(rise))
    steps = np.stack([np.cos(heading) * run, np.sin(heading) * run, np.sin(np.arctan(rise))], -1)
    middle = 0.5 * (steps[1:] + steps[:-1]) * GRID_M
    points = np.concatenate([np.zeros((1, 3)), np.cumsum(middle, axis=0)])
    points += np.asarray(origin_m, np.float64) - points[zero]
    wave = (rng.uniform(0, 0.1), 2 * np.pi / rng.uniform(60, 250), rng.uniform(0, 2 * np.pi))
    return Road(along[0], along[-1], CubicSpline(along, points), lane_width_m, wave)


def _wander(
    rng: np.random.Generator, along: np.ndarray, spread: float, shortest_m: float, longest_m: float
) -> np.ndarray:
    count = int((along[-1] - along[0]) / shortest_m) + 3
    knots = along[0] + np.concatenate(
        [[0.0], np.cumsum(rng.uniform(shortest_m, longest_m, count))]
    )
    return np.interp(
        along, knots, np.clip(rng.normal(0, spread, count + 1), -2 * spread, 2 * spread)
    )
