"""Things that stand beside a road, each a body of polygons with a footprint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Faces
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


@dataclass(frozen=True, eq=False)
class Thing:
    """Something upright and still.

    Attributes:
        faces: its polygons, world frame.
        footprint: (4, 2) float64 corners seen from above, counter-clockwise, world.
        lamp_m: (3,) place of the lamp on it, if it lights the road.
        flat: it is low, such as a rail, and may stand close to the traffic.
    """

    faces: Faces
    footprint: np.ndarray
    lamp_m: np.ndarray | None = None
    flat: bool = False


class _Site:
    """A place beside a road: its own axes, x along the road, y to the left, z up."""

    def __init__(self, road: Road, along: float, aside: float) -> None:
        position, forward, left, _ = road.frame(along)
        flat = np.array([forward[0], forward[1], 0.0])
        flat /= np.linalg.norm(flat)
        self.rotation = np.stack([flat, left, [0.0, 0.0, 1.0]], axis=-1)
        self.position = position + aside * left
        self._road, self._along = road, along

    def ground(self, x: float) -> float:
        """Height of the ground some metres further along, against this place."""
        return float(self._road.point(self._along + x)[2] - self.position[2])

    def thing(
        self,
        faces: FaceList,
        low: tuple[float, float],
        high: tuple[float, float],
        lamp: tuple[float, float, float] | None = None,
        flat: bool = False,
    ) -> Thing:
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
    """A house whose front faces the road; rows of windows, some lit at night."""
    site = _Site(road, along + front_m / 2, aside)
    floors = int(rng.integers(2, 6)) if urban else int(rng.integers(1, 3))
    storey = rng.uniform(2.9, 3.5)
    deep = rng.uniform(9, 14)
    wall = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.85, 1.08)
    roof = np.array(ROOFS[int(rng.integers(len(ROOFS)))])
    height = floors * storey + 0.4
    x0, x1 = -front_m / 2, front_m / 2
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

    def quad(low: float, high: float, bottom: float, top: float, out: float) -> list:
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


def tree(rng: np.random.Generator, road: Road, along: float, aside: float, size: float) -> Thing:
    """A broad-leaved or a needle tree."""
    site = _Site(road, along, aside)
    faces = FaceList()
    bark = np.array([0.25, 0.19, 0.14])
    leaf = np.array([0.21, 0.33, 0.11]) * rng.uniform(0.75, 1.25)
    leaf = leaf + [0.05 * rng.random(), 0.0, 0.02 * rng.random()]
    if rng.random() < 0.7:
        trunk, wide = size * rng.uniform(1.8, 2.6), size * rng.uniform(1.6, 2.6)
        tall = size * rng.uniform(2.6, 4.2)
        faces.box(
            (-0.13 * size, -0.13 * size, -0.03),
            (0.13 * size, 0.13 * size, trunk + 0.6),
            'wood',
            bark,
            0,
            0.7,
        )
        _blob(rng, faces, (0, 0, trunk + tall / 2), (wide, wide, tall / 2 + 0.4), leaf, 1)
        for _ in range(3):
            spot = rng.normal(0, 0.55 * wide, 2)
            up = trunk + tall * rng.uniform(0.25, 0.7)
            part = rng.uniform(0.45, 0.65)
            _blob(
                rng,
                faces,
                (*spot, up),
                (part * wide, part * wide, part * tall / 2),
                leaf * rng.uniform(0.88, 1.15),
                1,
            )
        reach = 1.2 * wide
    else:
        tall = size * rng.uniform(5.5, 9)
        reach = 0.24 * tall
        leaf = leaf * [0.6, 0.75, 0.95]
        faces.box((-0.15, -0.15, -0.03), (0.15, 0.15, 1.4), 'wood', bark)
        for level, (low, high, wide) in enumerate(
            ((0.12, 0.55, 1.0), (0.34, 0.8, 0.74), (0.58, 1.0, 0.45))
        ):
            _cone(
                rng,
                faces,
                low * tall,
                high * tall,
                wide * reach,
                leaf * (0.92 + 0.1 * level),
                level + 1,
            )
    foot = 0.35 * size
    del reach
    return site.thing(faces, (-foot, -foot), (foot, foot))


def bush(rng: np.random.Generator, road: Road, along: float, aside: float) -> Thing:
    """A bush of two round pieces."""
    site = _Site(road, along, aside)
    faces = FaceList()
    leaf = np.array([0.22, 0.32, 0.12]) * rng.uniform(0.75, 1.2)
    size = rng.uniform(0.5, 1.3)
    _blob(rng, faces, (0, 0, 0.5 * size), (size, size, 0.8 * size), leaf, 0)
    _blob(rng, faces, (0.6 * size, 0.3 * size, 0.4 * size), (0.7 * size,) * 3, 1.1 * leaf, 0)
    return site.thing(faces, (-0.5 * size, -0.5 * size), (0.5 * size, 0.5 * size))


def _blob(
    rng: np.random.Generator,
    faces: FaceList,
    centre: tuple,
    radii: tuple,
    colour: np.ndarray,
    layer: int,
) -> None:
    """A dented ball of leaves; its facets differ a little in colour."""
    rings = np.deg2rad([-58.0, -22.0, 18.0, 52.0])
    turns = 9
    radius = rng.uniform(0.86, 1.1, (len(rings), turns))
    azimuth = np.linspace(0, 2 * np.pi, turns, endpoint=False) + rng.uniform(0, 1)
    points = np.stack(
        [
            np.cos(rings)[:, None] * np.cos(azimuth + 0.35 * np.arange(4)[:, None]),
            np.cos(rings)[:, None] * np.sin(azimuth + 0.35 * np.arange(4)[:, None]),
            np.broadcast_to(np.sin(rings)[:, None], (4, turns)),
        ],
        axis=-1,
    )
    points = np.asarray(centre) + points * radius[..., None] * np.asarray(radii)
    bottom = np.asarray(centre) - [0, 0, radii[2]]
    top = np.asarray(centre) + [0, 0, radii[2] * 1.02]
    for i in range(turns):
        j = (i + 1) % turns
        shades = rng.uniform(0.86, 1.14, len(rings) + 1)
        faces.add([bottom, points[0, j], points[0, i]], 'leaves', colour * shades[0] * 0.8, layer)
        for ring in range(len(rings) - 1):
            quad = [points[ring, i], points[ring, j], points[ring + 1, j], points[ring + 1, i]]
            faces.add(quad, 'leaves', colour * shades[ring + 1] * (0.85 + 0.09 * ring), layer)
        faces.add([points[-1, i], points[-1, j], top], 'leaves', colour * shades[-1] * 1.12, layer)


def _cone(
    rng: np.random.Generator,
    faces: FaceList,
    low: float,
    high: float,
    radius: float,
    colour: np.ndarray,
    layer: int,
) -> None:
    turns = 9
    azimuth = np.linspace(0, 2 * np.pi, turns, endpoint=False)
    reach = radius * rng.uniform(0.85, 1.1, turns)
    foot = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), np.full(turns, low)], -1)
    for i in range(turns):
        faces.add(
            [foot[i], foot[(i + 1) % turns], (0, 0, high)],
            'leaves',
            colour * rng.uniform(0.85, 1.15),
            layer,
        )


def street_lamp(road: Road, along: float, aside: float, side: int) -> Thing:
    """A post with an arm over the road."""
    site = _Site(road, along, aside)
    faces = FaceList()
    grey = (0.38, 0.39, 0.40)
    faces.box((-0.08, -0.08, -0.02), (0.08, 0.08, 7.0), 'metal', grey, 0, 0.6)
    low, high = sorted((0.0, -side * 1.7))
    faces.box((-0.05, low, 6.85), (0.05, high, 7.0), 'metal', grey, 0)
    at = -side * 1.7
    faces.box((-0.14, at - 0.35, 6.8), (0.14, at + 0.35, 6.95), 'metal', grey, 1)
    light = [
        (-0.13, at - 0.33, 6.79),
        (-0.13, at + 0.33, 6.79),
        (0.13, at + 0.33, 6.79),
        (0.13, at - 0.33, 6.79),
    ]
    faces.add(light, 'lamp', (1.0, 0.86, 0.62), 2, both_sides=True)
    return site.thing(faces, (-0.1, -0.1), (0.1, 0.1), lamp=(0.0, at, 6.75))


def delineator(road: Road, along: float, aside: float, side: int) -> Thing:
    """A white roadside post with a black band."""
    site = _Site(road, along, aside)
    faces = FaceList()
    faces.box((-0.06, -0.06, -0.02), (0.06, 0.06, 1.0), 'plastic', (0.85, 0.85, 0.83))
    band = [(-0.07, -0.07, 0.72), (-0.07, 0.07, 0.72), (-0.07, 0.07, 0.9), (-0.07, -0.07, 0.9)]
    faces.add(band[::-1], 'plastic', (0.08, 0.08, 0.08), 1, normal=(-1, 0, 0))
    return site.thing(faces, (-0.06, -0.06), (0.06, 0.06), flat=True)


def rail(road: Road, along: float, length_m: float, aside: float) -> Thing:
    """A stretch of guard rail with two posts."""
    points = road.point(np.array([along, along + length_m]), np.full(2, aside))
    flat = points[1] - points[0]
    left = np.array([-flat[1], flat[0], 0.0])
    left /= np.linalg.norm(left)
    faces = FaceList()
    for low, high, shade in ((0.45, 0.60, 0.60), (0.60, 0.78, 0.70)):
        quad = [
            points[0] + [0, 0, low],
            points[1] + [0, 0, low],
            points[1] + [0, 0, high],
            points[0] + [0, 0, high],
        ]
        faces.add(quad, 'metal', (shade, shade, 1.01 * shade), 1, both_sides=True)
    for part in (0.1, 0.6):
        place = points[0] + part * flat
        step = 0.06 * flat / np.linalg.norm(flat)
        quad = [place, place + step, place + step + [0, 0, 0.6], place + [0, 0, 0.6]]
        faces.add(quad, 'metal', (0.42, 0.42, 0.42), 0, both_sides=True)
    thin = 0.05 * left
    corners = np.array([points[0] - thin, points[1] - thin, points[1] + thin, points[0] + thin])
    return Thing(faces.build(), corners[:, :2], None, True)


def sign(rng: np.random.Generator, road: Road, along: float, aside: float, setting: str) -> Thing:
    """A traffic sign on a post, or a large blue one beside a motorway."""
    site = _Site(road, along, aside)
    faces = FaceList()
    if setting == 'motorway':
        for y in (-1.6, -0.2):
            faces.box((-0.08, y - 0.08, -0.05), (0.08, y + 0.08, 2.2), 'metal', (0.45, 0.45, 0.46))
        board = [(-0.1, -2.6, 1.9), (-0.1, 0.6, 1.9), (-0.1, 0.6, 4.2), (-0.1, -2.6, 4.2)]
        faces.add(board[::-1], 'sign', (0.06, 0.22, 0.55), 1, normal=(-1, 0, 0))
        for z in (3.6, 3.0, 2.4):
            end = rng.uniform(-1.9, -0.6)
            line = [
                (-0.11, end, z),
                (-0.11, 0.3, z),
                (-0.11, 0.3, z + 0.26),
                (-0.11, end, z + 0.26),
            ]
            faces.add(line[::-1], 'sign', (0.9, 0.9, 0.9), 2, normal=(-1, 0, 0))
        return site.thing(faces, (-0.2, -2.6), (0.2, 0.6))
    faces.box((-0.04, -0.04, -0.02), (0.04, 0.04, 2.9), 'metal', (0.5, 0.5, 0.52))
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    kind = int(rng.integers(3))
    for layer, (radius, colour) in enumerate(
        ((0.36, (0.75, 0.08, 0.09)), (0.27, (0.9, 0.9, 0.88)))
    ):
        if kind == 2:
            ring = np.array([[0.0, 1.1], [-0.95, -0.55], [0.95, -0.55]]) * radius
        else:
            ring = np.stack([np.sin(angles), np.cos(angles)], -1) * radius
        shade = colour if kind != 1 else ((0.9, 0.9, 0.88), (0.08, 0.25, 0.6))[layer]
        points = [(-0.05, y, 2.55 + z) for y, z in ring]
        faces.add(points, 'sign', shade, 1 + layer, normal=(-1, 0, 0))
    return site.thing(faces, (-0.1, -0.3), (0.1, 0.3))
