"""Turning vehicles keep to the lane beside the centre line; buildings keep clear of both roads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from avdet_ros.simulation.junctions import corner_buildings, turn
from avdet_ros.simulation.road import Road, meeting_m, straight_road

ROAD = straight_road(3.5)


def north(x_m: float = 40.0, lane_width_m: float = 3.0) -> Road:
    """A crossing road along y, with distance 0 on the first road's centre line."""
    points = np.array([[x_m, -10.0, 0.0], [x_m, 0.0, 0.0], [x_m, 10.0, 0.0]])
    spline = CubicSpline([-10.0, 0.0, 10.0], points)
    return Road(-10.0, 10.0, spline, lane_width_m, (0.0, 0.0, 0.0))


ACROSS = north()


@pytest.mark.parametrize('x_m', [-15.0, 0.0, 40.0, 111.1])
def test_meeting_point_of_two_roads_is_found(x_m):
    assert meeting_m(ROAD, north(x_m)) == pytest.approx(x_m, abs=0.051)


@pytest.mark.parametrize(
    ('entering', 'entry', 'leaving', 'leave', 'begin', 'before', 'after', 'end'),
    [
        (ROAD, 1, ACROSS, 1, (-118, -1.75), (30, -1.75), (41.5, 10), (41.5, 158)),
        (ROAD, 1, ACROSS, -1, (-118, -1.75), (30, -1.75), (38.5, -10), (38.5, -158)),
        (ROAD, -1, ACROSS, 1, (198, 1.75), (50, 1.75), (41.5, 10), (41.5, 158)),
        (ACROSS, 1, ROAD, -1, (41.5, -158), (41.5, -10), (30, 1.75), (-118, 1.75)),
        (ACROSS, -1, ROAD, 1, (38.5, 158), (38.5, 10), (50, -1.75), (198, -1.75)),
    ],
)
def test_turn_leads_smoothly_from_lane_to_lane(
    entering, entry, leaving, leave, begin, before, after, end
):
    way, middle = turn(ROAD, ACROSS, entering, entry, leaving, leave)
    along = np.linspace(way.start_m, way.end_m, 4001)
    path = way.point(along)[:, :2]
    np.testing.assert_allclose(path[[0, -1]], [begin, end], atol=1e-6)
    for corner in (before, after):
        assert np.linalg.norm(path - corner, axis=1).min() < 0.1
    # straight up to 10 m before the junction and from 10 m after it
    first = np.linalg.norm(path - before, axis=1).argmin()
    last = np.linalg.norm(path - after, axis=1).argmin()
    straight = [path[: first - 40] - begin, path[last + 40 :] - end]
    ways = np.subtract(before, begin), np.subtract(after, end)
    for points, way_m in zip(straight, ways, strict=True):
        assert np.abs(np.cross(points, way_m / np.linalg.norm(way_m))).max() < 0.02
    # the middle is equally far from both ends of the bend
    half = way.point(middle)[:2]
    apart = [np.linalg.norm(half - corner) for corner in (before, after)]
    assert apart[0] == pytest.approx(apart[1], abs=0.5)
    assert apart[0] < np.linalg.norm(np.subtract(after, before))
    # no kink: the direction changes by less than 0.15 rad per half metre
    headings = np.unwrap(np.arctan2(*np.diff(path[::6], axis=0).T[::-1]))
    assert np.abs(np.diff(headings)).max() < 0.15
    assert way.lane_width_m == entering.lane_width_m
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(
        way.end_m - way.start_m, rel=1e-3
    )


def test_corner_buildings_keep_clear_of_both_roads():
    drawn = [
        corner_buildings(np.random.default_rng(seed), ROAD, ACROSS, -3.5, 7.0)
        for seed in range(40)
    ]
    room = 1.15 * 3.0 + 3.0
    fronts, deep, gaps, reflections = [], [], [], []
    for building in (one for drive in drawn for one in drive):
        x, y = building.corners_m.T
        side = 1 if y.mean() > 0 else -1
        gaps.append(np.abs(x - 40).min())
        near = np.abs(y).min() - (7.0 if side > 0 else 3.5)
        assert 2.6 <= near <= 7.4
        fronts.append(np.ptp(x))
        deep.append(np.ptp(y))
        reflections.append(building.reflection)
    assert 3.1 < np.mean([len(drive) for drive in drawn]) < 3.7
    assert max(len(drive) for drive in drawn) == 4
    assert room - 1e-6 < min(gaps)
    assert max(gaps) < room + 1.0
    for found, low, high in ((fronts, 22, 48), (deep, 10, 15), (reflections, 0.5, 0.85)):
        margin = 0.1 * (high - low)
        assert low <= min(found) < low + margin
        assert high - margin < max(found) <= high
