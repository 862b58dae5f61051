"""Junctions: buildings at their corners, and paths of turning vehicles."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.road import Road, Route, meeting_m, route

PAVEMENT_M = 1.4
"""Minimum distance of a building from the edge of a road."""

TURN_M = 10.0
"""Distance from the middle of the junction at which a turn begins and ends."""

_REACH_M = 160.0
_APART_M = 2.0


def corner_buildings(
    rng: np.random.Generator, road: Road, crossing: Road, right_m: float, left_m: float
) -> tuple[Building, ...]:
    """Draw rows of houses at the four corners of a junction; some corners remain open.

    Args:
        rng: random generator.
        road: the ego vehicle's road, beside which the rows stand.
        crossing: the crossing road, with distance 0 in the junction.
        right_m: right edge of the ego vehicle's road, metres left of its centre line.
        left_m: left edge of that road, likewise.
    """
    place = meeting_m(road, crossing)
    across = crossing.point(np.arange(-_REACH_M, _REACH_M, 1.0))[:, :2]
    room = 1.15 * crossing.lane_width_m + 3.0  # asphalt and pavement of the crossing road
    found = []
    for side, edge in ((1, left_m), (-1, right_m)):
        for way in (-1, 1):
            stands = rng.random() < 0.85
            aside = edge + side * (PAVEMENT_M + rng.uniform(1.2, 6.0))
            front, deep = rng.uniform(22, 48), rng.uniform(10, 15)
            reflection = float(rng.uniform(0.5, 0.85))
            if not stands:
                continue
            for gap in np.arange(room, room + 40.0, 0.5):
                middle = place + way * (gap + front / 2)
                building = Building(road, middle, front, aside, deep, reflection)
                if _distance_m(building, across) > room:
                    found.append(building)
                    break
    return tuple(found)


def _distance_m(building: Building, points: np.ndarray) -> float:
    """Return the minimum distance of points (N, 2) from a building's outline."""
    corners = building.corners_m
    parts = np.linspace(0, 1, 24)[:, None, None]
    rim = (corners + parts * (np.roll(corners, -1, axis=0) - corners)).reshape(-1, 2)
    return float(np.linalg.norm(rim[:, None] - points[None], axis=-1).min())


def turn(
    road: Road, crossing: Road, entering: Road, entry: int, leaving: Road, leave: int
) -> tuple[Route, float]:
    """Build the path of a turning vehicle, in the middle of the lanes beside the centre line.

    Args:
        road: the ego vehicle's road.
        crossing: the crossing road.
        entering: the road from which the vehicle comes.
        entry: 1 if it comes along that road's direction, -1 against it.
        leaving: the road into which it turns.
        leave: 1 if it continues along that road's direction, -1 against it.

    Returns:
        The path, and the distance along it at the middle of the turn.
    """
    middle = {id(road): meeting_m(road, crossing), id(crossing): 0.0}
    lengths = np.arange(TURN_M, _REACH_M, _APART_M)
    before = middle[id(entering)] - entry * lengths[::-1]
    after = middle[id(leaving)] + leave * lengths
    lead_in = _lane(entering, before, entry)
    lead_out = _lane(leaving, after, leave)
    start, begin = lead_in[-1], entry * entering.frame(before[-1])[1]
    end, finish = lead_out[0], leave * leaving.frame(after[0])[1]
    reach = 0.4 * np.linalg.norm(end - start)
    x = np.linspace(0, 1, 11)[1:-1, None]
    curve = (
        (1 - x) ** 3 * start
        + 3 * (1 - x) ** 2 * x * (start + reach * begin)
        + 3 * (1 - x) * x**2 * (end - reach * finish)
        + x**3 * end
    )
    points = np.concatenate([lead_in, curve, lead_out])
    way = route(points, entering.lane_width_m)
    along = np.linspace(way.start_m, way.end_m, 800)
    apart = np.linalg.norm(way.point(along) - curve[len(curve) // 2], axis=1)
    return way, float(along[int(np.argmin(apart))])


def _lane(road: Road, along_m: np.ndarray, direction: int) -> np.ndarray:
    """Return the (N, 3) middle of the lane right of the centre line, seen in driving direction."""
    return road.point(along_m, -0.5 * direction * road.width_m(along_m))
