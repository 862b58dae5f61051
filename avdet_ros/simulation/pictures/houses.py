"""Houses, single and in rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.pictures.faces import FaceList, Point
from avdet_ros.simulation.pictures.site import Site, Thing
from avdet_ros.simulation.road import Road

WALLS = (
    (0.72, 0.66, 0.55),
    (0.62, 0.40, 0.31),
    (0.78, 0.76, 0.71),
    (0.55, 0.50, 0.44),
    (0.70, 0.58, 0.42),
    (0.58, 0.61, 0.62),
    (0.80, 0.72, 0.58),
    (0.50, 0.33, 0.28),
)
ROOFS = ((0.45, 0.22, 0.16), (0.27, 0.26, 0.27), (0.36, 0.28, 0.24))
WARM_LIGHT = (1.0, 0.82, 0.5)


def building(
    rng: np.random.Generator,
    road: Road,
    along: float,
    front_m: float,
    aside: float,
    side: int,
    lit: float,
    urban: bool,
) -> Thing:
    """Build a house that faces the road, with rows of windows, some lit at night."""
    site = Site(road, along + front_m / 2, aside)
    return _house(rng, site, (-front_m / 2, front_m / 2), None, side, lit, urban)


def row(rng: np.random.Generator, rows: Building, lit: float) -> list[Thing]:
    """Build the houses of a row, wall to wall."""
    site = Site(rows.road, rows.along_m, rows.aside_m)
    end = rows.front_m / 2
    count = max(round(rows.front_m / rng.uniform(9, 18)), 1)
    cuts = np.linspace(-end, end, count + 1)
    cuts[1:-1] += rng.uniform(-0.15, 0.15, count - 1) * rows.front_m / count
    return [
        _house(rng, site, (low, high), rows.deep_m, rows.side, lit, True)
        for low, high in pairwise(cuts.tolist())
    ]


def _house(
    rng: np.random.Generator,
    site: Site,
    span: tuple[float, float],
    depth_m: float | None,
    side: int,
    lit: float,
    urban: bool,
) -> Thing:
    """Build a house between two places along its site; draw its depth if `depth_m` is None."""
    floors = int(rng.integers(2, 6)) if urban else int(rng.integers(1, 3))
    storey = rng.uniform(2.9, 3.5)
    drawn = rng.uniform(9, 14)
    deep = drawn if depth_m is None else depth_m
    wall = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.85, 1.08)
    roof = np.array(ROOFS[int(rng.integers(len(ROOFS)))])
    height = floors * storey + 0.4
    x0, x1 = span
    y0, y1 = (0.0, deep) if side > 0 else (-deep, 0.0)
    faces = FaceList()
    low, high = site.ground(x0), site.ground(x1)
    foot = [(x0, y0, low), (x1, y0, high), (x1, y1, high), (x0, y1, low)]
    for i in range(4):
        a, b = foot[i], foot[(i + 1) % 4]
        faces.add([a, b, (b[0], b[1], height), (a[0], a[1], height)], 'facade', wall)
    faces.add([(x, y, height) for x, y, _ in foot], 'roof', roof)
    sign = -side
    shop = urban and rng.random() < 0.4
    y = (y0 if side > 0 else y1) + sign * 0.02
    _windows(rng, faces, 'y', y, sign, (x0, x1), floors, storey, wall, lit, shop)
    for x, end in ((x0 - 0.02, -1), (x1 + 0.02, 1)):
        if rng.random() < 0.6 or not urban:
            _windows(rng, faces, 'x', x, end, (y0, y1), floors, storey, wall, lit, False)
    base = [(x0, y, low), (x1, y, high), (x1, y, 0.55), (x0, y, 0.55)]
    faces.add(base, 'facade', 0.62 * wall, 1, normal=(0, sign, 0), both_sides=True)
    for floor in range(1, floors + 1):
        z = floor * storey + 0.18
        line = [(x0, y, z), (x1, y, z), (x1, y, z + 0.16), (x0, y, z + 0.16)]
        faces.add(line, 'facade', 0.86 * wall, 1, normal=(0, sign, 0), both_sides=True)
    if not urban or rng.random() < 0.6:
        _gable(faces, (x0 - 0.3, x1 + 0.3), (y0 - 0.4, y1 + 0.4), height, deep * 0.33, roof, wall)
    else:
        faces.box(
            (x0 - 0.1, y0 - 0.1, height), (x1 + 0.1, y1 + 0.1, height + 0.5), 'roof', 0.8 * wall, 2
        )
    return site.thing(faces, (x0, y0), (x1, y1))


def _windows(
    rng: np.random.Generator,
    faces: FaceList,
    axis: str,
    at: float,
    sign: int,
    span: tuple[float, float],
    floors: int,
    storey: float,
    wall: np.ndarray,
    lit: float,
    shop: bool,
) -> None:
    columns = max(int((span[1] - span[0]) / rng.uniform(2.4, 3.4)), 1)
    pitch = (span[1] - span[0]) / columns
    wide, tall = rng.uniform(0.42, 0.58) * pitch, rng.uniform(0.42, 0.55) * storey
    normal = (0, sign, 0) if axis == 'y' else (sign, 0, 0)

    def quad(low: float, high: float, bottom: float, top: float, out: float) -> list[Point]:
        points = [(low, bottom), (high, bottom), (high, top), (low, top)]
        place = at + sign * out
        return [(u, place, z) if axis == 'y' else (place, u, z) for u, z in points]

    for floor in range(floors):
        sill = floor * storey + 0.9
        for column in range(columns):
            middle = span[0] + (column + 0.5) * pitch
            if floor == 0 and shop:
                low, high, bottom, top = middle - 0.44 * pitch, middle + 0.44 * pitch, 0.6, 2.7
            else:
                low, high, bottom, top = middle - wide / 2, middle + wide / 2, sill, sill + tall
            frame = quad(low - 0.09, high + 0.09, bottom - 0.1, top + 0.08, 0.0)
            faces.add(frame, 'facade', np.clip(1.18 * wall, 0, 0.9), 1, normal=normal)
            if rng.random() < lit * (1.6 if shop and floor == 0 else 1.0):
                shade = rng.uniform(0.35, 0.8)
                light = tuple(shade * np.array(WARM_LIGHT) * rng.uniform(0.85, 1.0, 3))
                faces.add(quad(low, high, bottom, top, 0.01), 'lamp', light, 2, normal=normal)
            else:
                shade = rng.uniform(0.7, 1.2)
                pane = (0.13 * shade, 0.15 * shade, 0.18 * shade)
                faces.add(quad(low, high, bottom, top, 0.01), 'pane', pane, 2, normal=normal)
            bar = quad(middle - 0.035, middle + 0.035, bottom, top, 0.015)
            faces.add(bar, 'facade', np.clip(1.1 * wall, 0, 0.9), 3, normal=normal)


def _gable(
    faces: FaceList,
    xs: tuple[float, float],
    ys: tuple[float, float],
    z: float,
    rise: float,
    roof: np.ndarray,
    wall: np.ndarray,
) -> None:
    ridge = (ys[0] + ys[1]) / 2
    top = z + rise
    for y, flip in ((ys[0], False), (ys[1], True)):
        slope = [(xs[0], y, z), (xs[1], y, z), (xs[1], ridge, top), (xs[0], ridge, top)]
        faces.add(slope[::-1] if flip else slope, 'roof', roof, 3)
    for x, flip in ((xs[0] + 0.25, True), (xs[1] - 0.25, False)):
        end = [(x, ys[0], z), (x, ys[1], z), (x, ridge, top)]
        faces.add(end[::-1] if flip else end, 'facade', 0.95 * wall, 2)
