"""Common parts of vehicle bodies: colours, wheels, discs, panes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Faces, Point

BLACK = (0.05, 0.05, 0.055)
DARK = (0.10, 0.10, 0.11)
GLASS = (0.10, 0.13, 0.16)
SILVER = (0.50, 0.51, 0.53)
RED = (0.62, 0.04, 0.05)
AMBER = (0.85, 0.45, 0.08)
LENS = (0.86, 0.88, 0.90)
PLATE = (0.85, 0.85, 0.82)


@dataclass(frozen=True)
class Lamp:
    """A lamp on a vehicle.

    Attributes:
        place_m: position (x, y, z) in the vehicle's frame.
        colour: red, green, blue, 0 to 1.
        strength: brightness relative to a headlamp.
        forward: 1 if it shines forwards, -1 backwards.
    """

    place_m: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float
    forward: int


@dataclass(frozen=True, eq=False)
class Body:
    """Polygons and lamps of one vehicle, in its frame."""

    faces: Faces
    lamps: tuple[Lamp, ...]


def turned(points: Sequence[Point], side: float) -> Sequence[Point]:
    """Order corners so that the polygon faces its side; given clockwise as seen from the left."""
    area = sum(
        a[0] * b[2] - b[0] * a[2] for a, b in zip(points, [*points[1:], points[0]], strict=True)
    )
    return points if (area < 0) == (side > 0) else points[::-1]


def inset(quad: Sequence[Point], part_y: float, part_x: float) -> Sequence[Point]:
    """Return a quadrilateral inside another, inset by fractions of its two directions."""
    a, b, c, d = (np.array(point, float) for point in quad)

    def at(u: float, v: float) -> np.ndarray:
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    return [
        at(u, v)
        for u, v in (
            (part_y, part_x),
            (1 - part_y, part_x),
            (1 - part_y, 1 - part_x),
            (part_y, 1 - part_x),
        )
    ]


def disc(
    faces: FaceList,
    centre: Point,
    radius: float,
    axis: str,
    sign: int,
    material: str,
    colour: Point,
    layer: int,
    corners: int = 16,
    lowest: float = -1.0,
) -> None:
    """Add a disc facing axis x or y of the vehicle, cut off below `lowest` radii."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) * sign
    horizontal, vertical = np.cos(angles) * radius, np.maximum(np.sin(angles), lowest) * radius
    zero = np.zeros(corners)
    offsets = (zero, horizontal, vertical) if axis == 'x' else (-horizontal, zero, vertical)
    normal = (sign, 0, 0) if axis == 'x' else (0, sign, 0)
    faces.add(np.stack(offsets, -1) + centre, material, colour, layer, normal=normal)


def wheels(faces: FaceList, axles: list[float], half: float, radius: float) -> None:
    """Add both wheels of each axle: arch, tyre, rim, spokes and the tread."""
    for at in axles:
        for side in (1, -1):
            y = side * (half - 0.005)
            arch = (at, y - side * 0.01, radius)
            disc(faces, arch, radius * 1.17, 'y', side, 'plastic', BLACK, 2, lowest=-0.6)
            disc(faces, (at, y, radius), radius, 'y', side, 'tyre', (0.07, 0.07, 0.075), 3)
            disc(faces, (at, y, radius), radius * 0.66, 'y', side, 'rim', (0.2, 0.2, 0.21), 4)
            for spoke in range(5):
                turn = spoke * 2 * np.pi / 5 + at
                ends = [(0.10, -0.5), (0.62, -0.22), (0.62, 0.22), (0.10, 0.5)]
                quad = [
                    (at + radius * r * np.cos(turn + s), y, radius * (1 + r * np.sin(turn + s)))
                    for r, s in ends
                ]
                faces.add(turned(quad, side), 'rim', SILVER, 5, normal=(0, side, 0))
            disc(faces, (at, y, radius), radius * 0.16, 'y', side, 'rim', SILVER, 6, 8)
            # the tread, seen from the front and from behind
            inner = y - side * 0.21
            for end in (0.75, -0.75):
                quad = [
                    (at + end * radius, y, 0),
                    (at + end * radius, inner, 0),
                    (at + end * radius, inner, radius),
                    (at + end * radius, y, radius),
                ]
                faces.add(
                    quad, 'tyre', (0.045, 0.045, 0.05), -1, True, (float(np.sign(end)), 0, 0)
                )


def underbody(faces: FaceList, length: float, width: float, clearance_m: float) -> None:
    """Add the dark underside, seen below the sills."""
    low, high, dark = 0.45 * clearance_m, clearance_m * 1.35, (0.03, 0.03, 0.035)
    for x in (-0.40 * length, 0.40 * length):
        y = 0.44 * width
        quad = [(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)]
        faces.add(quad, 'underbody', dark, -2, True, (1.0, 0, 0))
    for y in (-0.42 * width, 0.42 * width):
        x = 0.45 * length
        quad = [(-x, y, low), (x, y, low), (x, y, high), (-x, y, high)]
        faces.add(quad, 'underbody', dark, -2, True, (0, 1.0, 0))


def patch(x: float, y: tuple[float, float], z: tuple[float, float]) -> Sequence[Point]:
    """Return an upright rectangle across the vehicle."""
    return [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]


def flank(x: tuple[float, float], y: float, z: tuple[float, float]) -> Sequence[Point]:
    """Return an upright rectangle along the vehicle."""
    return turned([(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])], np.sign(y))
