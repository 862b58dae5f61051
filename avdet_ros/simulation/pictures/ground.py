"""The ground of a drive: asphalt, markings, verges, pavements, a crossing road, a tunnel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Point
from avdet_ros.simulation.road import Road, meeting_m

STEP_M = 4.0
"""Length of a stretch of ground; each stretch is flat."""

TERRAIN_M = 90.0
CROSS_REACH_M = 130.0

ASPHALT = np.array([0.33, 0.335, 0.345])
WHITE = (0.86, 0.86, 0.84)


@dataclass(frozen=True)
class Layout:
    """Lanes and asphalt edges of the main road in lane widths, and its walls in metres.

    Missing walls are infinitely far away, and a missing ceiling is infinitely high.
    """

    right: float
    left: float
    paved_right: float
    paved_left: float
    median: float
    setting: str
    tunnel: bool
    wall_right_m: float
    wall_left_m: float
    ceiling_m: float


_Offset = float | np.ndarray


class _Strips:
    """Adds quadrilaterals that follow a road."""

    def __init__(self, faces: FaceList, road: Road, first: float, count: int, step: float) -> None:
        self.faces = faces
        self.along = first + step * np.arange(count + 1)
        self.position, _, self.left, self.up = road.frame(self.along)
        self.width = road.width_m(self.along)

    def at(self, knot: int, aside: float, lift: float) -> np.ndarray:
        return self.position[knot] + aside * self.left[knot] + [0, 0, lift]

    def add(
        self,
        knot: int,
        right: _Offset,
        left: _Offset,
        material: str,
        colour: Point,
        layer: int,
        lift: tuple[float, float] = (0.0, 0.0),
        section: int | None = None,
    ) -> None:
        """Add a strip between two offsets (metres, a number or one per knot) to the next knot."""
        (r0, r1), (l0, l1) = (
            (at[knot], at[knot + 1]) if isinstance(at, np.ndarray) else (at, at)
            for at in (right, left)
        )
        quad = [
            self.at(knot, r0, lift[0]),
            self.at(knot + 1, r1, lift[0]),
            self.at(knot + 1, l1, lift[1]),
            self.at(knot, l0, lift[1]),
        ]
        self.faces.add(quad, material, colour, layer, section=knot if section is None else section)


def main_ground(
    faces: FaceList,
    rng: np.random.Generator,
    road: Road,
    layout: Layout,
    first: float,
    count: int,
    crossing: Road | None,
) -> None:
    """Build the main road with its verges or pavements and its markings."""
    strips = _Strips(faces, road, first, count, STEP_M)
    width = strips.width
    right, left = layout.paved_right * width, layout.paved_left * width
    urban = layout.setting in ('city', 'junction')
    gap = _crossed(road, crossing, strips) if crossing is not None else np.zeros(count + 1, bool)
    green = np.array([0.30, 0.40, 0.17])
    field_colour = {1: green, -1: green}
    tint = rng.uniform(0.94, 1.06, count)
    for knot in range(count):
        for side in (1, -1):
            if rng.random() < 0.08:
                pale = rng.random()
                field_colour[side] = (1 - pale) * np.array([0.27, 0.40, 0.15]) + pale * np.array(
                    [0.52, 0.47, 0.24]
                )
        grass = green * tint[knot]
        asphalt = ASPHALT * (0.97 + 0.03 * tint[knot])
        if not layout.tunnel:
            base = np.array([0.42, 0.42, 0.40]) if urban else None
            for side, edge in ((1, left), (-1, right)):
                outer = base if base is not None else field_colour[side] * tint[knot]
                material = 'pavement' if urban else 'grass'
                near, far = edge + side * 5.0, side * TERRAIN_M
                bounds: tuple[_Offset, _Offset] = (near, far) if side > 0 else (far, near)
                strips.add(knot, *bounds, material, outer, 0)
                bounds = (edge, near) if side > 0 else (near, edge)
                strips.add(knot, *bounds, 'grass', grass, 0)
                if urban and not gap[knot]:
                    kerb, inner = edge + side * 0.18, edge + side * 3.2
                    bounds = (kerb, inner) if side > 0 else (inner, kerb)
                    shade = 0.52 + 0.03 * (knot % 2)
                    strips.add(knot, *bounds, 'pavement', (shade, shade, 0.98 * shade), 1)
                    bounds = (edge, kerb) if side > 0 else (kerb, edge)
                    strips.add(knot, *bounds, 'concrete', (0.66, 0.66, 0.64), 1)
        if layout.median > 0.3 and not layout.tunnel:
            inner = (layout.median - 0.12) * width
            strips.add(knot, right, -inner, 'asphalt', asphalt, 1)
            strips.add(knot, inner, left, 'asphalt', asphalt, 1)
            strips.add(knot, -inner, inner, 'grass', 0.9 * grass, 1)
        else:
            strips.add(knot, right, left, 'asphalt', asphalt, 1)
        if not gap[knot]:
            _marks(strips, knot, layout, width)


def _marks(strips: _Strips, knot: int, layout: Layout, width: np.ndarray) -> None:
    """Add edge lines, lane lines and the line between the directions."""
    half = 0.065
    edge = {layout.right: 0.06, layout.left: -0.06}
    for line, inset in edge.items():
        if layout.setting != 'city':
            at = (line + inset) * width
            strips.add(knot, at - half, at + half, 'marking', WHITE, 2)
    inner = layout.median
    if inner > 0.3:
        for line in (-inner + 0.02, inner - 0.02):
            at = line * width
            strips.add(knot, at - half, at + half, 'marking', WHITE, 2)
    elif layout.setting == 'country' and (knot // 40) % 3 == 1:
        for shift in (-0.12, 0.12):
            at = shift + 0 * width
            strips.add(knot, at - half, at + half, 'marking', WHITE, 2)
    elif knot % 2 == 0:
        at = 0 * width
        strips.add(knot, at - half, at + half, 'marking', WHITE, 2)
    dashes = 3 if layout.setting == 'motorway' else 2
    if knot % dashes == 0:
        for direction, end in ((1, layout.left), (-1, -layout.right)):
            for lane in range(1, round(end - inner)):
                at = direction * (inner + lane) * width
                strips.add(knot, at - half, at + half, 'marking', WHITE, 2)


def _crossed(road: Road, crossing: Road, strips: _Strips) -> np.ndarray:
    """(knots,) bool, where the main road meets the crossing road."""
    return (
        np.abs(strips.along + STEP_M / 2 - meeting_m(road, crossing)) < crossing.lane_width_m + 2.5
    )


def cross_ground(faces: FaceList, road: Road, crossing: Road, layout: Layout) -> None:
    """Build the crossing road as flat stretches, painted over the main road's ground."""
    count = int(2 * CROSS_REACH_M / STEP_M)
    strips = _Strips(faces, crossing, -CROSS_REACH_M, count, STEP_M)
    width = strips.width
    inside = max(layout.paved_left, -layout.paved_right) * road.lane_width_m + 1.0
    for knot in range(count):
        middle = abs(strips.along[knot] + STEP_M / 2)
        edge = 1.06 * width
        section = 100000 + knot
        if middle > inside + 2:
            for low, high in ((edge, edge + 2.6), (-edge - 2.6, -edge)):
                strips.add(knot, low, high, 'pavement', (0.53, 0.53, 0.52), 10, section=section)
        strips.add(knot, -edge, edge, 'asphalt', ASPHALT, 11, section=section)
        if middle > inside:
            if knot % 2 == 0:
                strips.add(
                    knot,
                    0 * width - 0.065,
                    0 * width + 0.065,
                    'marking',
                    WHITE,
                    12,
                    section=section,
                )
            for line in (-0.98, 0.98):
                strips.add(
                    knot,
                    line * width - 0.06,
                    line * width + 0.06,
                    'marking',
                    WHITE,
                    12,
                    section=section,
                )
    # the stop line of the main road
    stop = meeting_m(road, crossing) - crossing.lane_width_m - 2.2
    lane = road.lane_width_m
    quad = [
        road.point(stop, layout.right * lane),
        road.point(stop + 0.4, layout.right * lane),
        road.point(stop + 0.4, 0.0),
        road.point(stop, 0.0),
    ]
    faces.add(quad, 'marking', WHITE, 13, section=100000 + count)


def tunnel(faces: FaceList, road: Road, layout: Layout, first: float, count: int) -> None:
    """Build a tunnel's walls, vaulted ceiling and lamps; they count as ground."""
    strips = _Strips(faces, road, first, count, STEP_M)
    width = strips.width
    right, left = layout.paved_right * width - 1.2, layout.paved_left * width + 1.2
    if np.isfinite(layout.wall_left_m) and np.isfinite(layout.wall_right_m):
        right, left = layout.wall_right_m + 0 * width, layout.wall_left_m + 0 * width
    top = layout.ceiling_m if np.isfinite(layout.ceiling_m) else 5.3
    tile, bare = np.array([0.62, 0.62, 0.57]), np.array([0.42, 0.41, 0.39])
    profile = ((0.0, 0.0), (0.0, 0.2 * top), (0.0, 0.57 * top), (0.35, 0.81 * top), (1.3, top))
    shades = (0.75 * tile, tile, bare, 0.85 * bare)
    for knot in range(count):
        joint = 0.93 if knot % 3 == 0 else 1.0
        for side, edge in ((1, left), (-1, right)):
            walk = (edge - side * 1.1, edge) if side > 0 else (edge, edge + 1.1)
            strips.add(knot, *walk, 'concrete', (0.4, 0.4, 0.39), 1, lift=(0.0, 0.0))
            for i, shade in enumerate(shades):
                (in0, z0), (in1, z1) = profile[i], profile[i + 1]
                a, b = edge - side * in0, edge - side * in1
                quad = [
                    strips.at(knot, a[knot], z0),
                    strips.at(knot + 1, a[knot + 1], z0),
                    strips.at(knot + 1, b[knot + 1], z1),
                    strips.at(knot, b[knot], z1),
                ]
                faces.add(
                    quad if side > 0 else quad[::-1], 'concrete', joint * shade, 1, section=knot
                )
            if knot % 2 == 0:
                lamp = edge - side * 1.0
                quad = [
                    strips.at(knot, lamp[knot] - 0.22, top - 0.45),
                    strips.at(knot, lamp[knot] + 0.22, top - 0.45),
                    strips.at(knot + 1, lamp[knot + 1] + 0.22, top - 0.45),
                    strips.at(knot + 1, lamp[knot + 1] - 0.22, top - 0.45),
                ]
                quad[2] = quad[1] + 0.55 * (quad[2] - quad[1])
                quad[3] = quad[0] + 0.55 * (quad[3] - quad[0])
                faces.add(quad, 'lamp', (1.0, 0.93, 0.78), 3, True, section=knot)
            if knot % 6 == 3:
                door = edge - side * 0.02
                quad = [strips.at(knot, door[knot], 0.4), strips.at(knot, door[knot], 1.3)]
                step = 0.35 * (
                    strips.at(knot + 1, door[knot + 1], 0) - strips.at(knot, door[knot], 0)
                )
                quad = [quad[0], quad[0] + step, quad[1] + step, quad[1]]
                faces.add(quad, 'sign', (0.10, 0.55, 0.28), 3, True, section=knot)
        a, b = left - 1.3, right + 1.3
        quad = [
            strips.at(knot, a[knot], top),
            strips.at(knot, b[knot], top),
            strips.at(knot + 1, b[knot + 1], top),
            strips.at(knot + 1, a[knot + 1], top),
        ]
        faces.add(quad, 'concrete', 0.7 * bare, 1, both_sides=True, section=knot)
