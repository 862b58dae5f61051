"""Walls along a road: tunnels and building fronts, as early reflections by image sources.

A wall follows the road at a fixed distance from its centre line, so a source's mirror image is its
position reflected in the road's coordinates. This is exact on a straight road, and a good
approximation on a curve whose radius is large compared with the distance to the wall.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from avdet_ros.simulation.road import Road

FADE_M = 2.0
"""Length at each end of a building front over which a reflection fades in and out."""


def _no_gaps() -> np.ndarray:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Walls:
    """Reflecting walls along a road.

    Attributes:
        road: the road.
        left_m: distance of the left wall from the centre line, left positive; inf for none.
        right_m: the same for the right wall, negative; -inf for none.
        ceiling_m: height of a tunnel's ceiling; inf for none.
        reflection: fraction of the sound pressure that a wall reflects; 0.98 is bare concrete, 0.7
            a front with windows and balconies.
        left_gaps_m: (G, 2) start and end of gaps in the left wall, distances along the road.
        right_gaps_m: (G, 2) the same for the right wall.
    """

    road: Road
    left_m: float = np.inf
    right_m: float = -np.inf
    ceiling_m: float = np.inf
    reflection: float = 0.85
    left_gaps_m: np.ndarray = field(default_factory=_no_gaps)
    right_gaps_m: np.ndarray = field(default_factory=_no_gaps)

    def images(
        self, points: np.ndarray, along_m: np.ndarray, array: np.ndarray, array_along_m: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Compute mirror images of a source: first order, and second order between two walls.

        Args:
            points: (G, 3) positions of the source.
            along_m: (G,) the source's distances along the road.
            array: (G, 3) positions of the array.
            array_along_m: (G,) the array's distances along the road.

        Returns:
            For each image its positions (G, 3) and its gain (G,), 0 where the wall has a gap or
            the source is behind it.
        """
        centre, _, left, up = self.road.frame(along_m)
        aside = np.sum((points - centre) * left, axis=-1)
        height = np.sum((points - centre) * up, axis=-1)
        ego_centre, _, ego_left, _ = self.road.frame(array_along_m)
        array_aside = np.sum((array - ego_centre) * ego_left, axis=-1)
        found = []
        sides = ((self.left_m, self.left_gaps_m), (self.right_m, self.right_gaps_m))
        for wall, gaps in sides:
            if not np.isfinite(wall):
                continue
            near, far = np.abs(wall - array_aside), np.abs(wall - aside)
            at = along_m + (array_along_m - along_m) * far / np.maximum(near + far, 1e-6)
            inside = ((wall - aside) * np.sign(wall) > 0) & (
                (wall - array_aside) * np.sign(wall) > 0
            )
            gain = self.reflection * inside * _standing(at, gaps)
            found.append((points + (2 * (wall - aside))[:, None] * left, gain))
        if np.isfinite(self.left_m) and np.isfinite(self.right_m):
            twice = 2 * (self.left_m - self.right_m)
            gain = found[0][1] * found[1][1]
            found += [(points + twice * left, gain), (points - twice * left, gain)]
        if np.isfinite(self.ceiling_m):
            gain = np.full(len(points), self.reflection)
            found.append((points + (2 * (self.ceiling_m - height))[:, None] * up, gain))
        return found


def _standing(at_m: np.ndarray, gaps_m: np.ndarray) -> np.ndarray:
    """Return 1 where a wall stands, 0 in its gaps, with a linear transition over `FADE_M`."""
    standing = np.ones_like(at_m)
    for begin, end in gaps_m:
        outside = np.maximum(begin - at_m, at_m - end)
        standing = np.minimum(standing, np.clip(outside / FADE_M, 0, 1))
    return standing


def tunnel(rng: np.random.Generator, road: Road, right_m: float, left_m: float) -> Walls:
    """Draw a tunnel around the carriageway between two distances from the centre line."""
    return Walls(
        road,
        left_m + rng.uniform(0.8, 2.0),
        right_m - rng.uniform(0.8, 2.0),
        rng.uniform(4.7, 6.5),
        rng.uniform(0.8, 0.95),
    )


def building_fronts(rng: np.random.Generator, road: Road, right_m: float, left_m: float) -> Walls:
    """Draw fronts on one or both sides of a street, with gaps for side streets and yards."""
    both = rng.random() < 0.6
    sides = rng.permutation(2) < (2 if both else 1)
    return Walls(
        road,
        left_m + rng.uniform(3, 9) if sides[0] else np.inf,
        right_m - rng.uniform(3, 9) if sides[1] else -np.inf,
        reflection=rng.uniform(0.5, 0.85),
        left_gaps_m=_random_gaps(rng, road),
        right_gaps_m=_random_gaps(rng, road),
    )


def _random_gaps(rng: np.random.Generator, road: Road) -> np.ndarray:
    gaps, at = [], road.start_m + rng.uniform(0, 60)
    while at < road.end_m:
        width = rng.uniform(4, 30)
        gaps.append((at, at + width))
        at += width + rng.uniform(15, 90)
    return np.array(gaps).reshape(-1, 2)
