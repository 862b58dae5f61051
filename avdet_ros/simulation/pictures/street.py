"""Furniture of a road: lamps, posts, rails and signs."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList
from avdet_ros.simulation.pictures.site import Site, Thing
from avdet_ros.simulation.road import Road


def street_lamp(road: Road, along: float, aside: float, side: int) -> Thing:
    """Build a lamp post with an arm over the road."""
    site = Site(road, along, aside)
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
    """Build a white roadside post with a black band."""
    site = Site(road, along, aside)
    faces = FaceList()
    faces.box((-0.06, -0.06, -0.02), (0.06, 0.06, 1.0), 'plastic', (0.85, 0.85, 0.83))
    band = [(-0.07, -0.07, 0.72), (-0.07, 0.07, 0.72), (-0.07, 0.07, 0.9), (-0.07, -0.07, 0.9)]
    faces.add(band[::-1], 'plastic', (0.08, 0.08, 0.08), 1, normal=(-1, 0, 0))
    return site.thing(faces, (-0.06, -0.06), (0.06, 0.06), flat=True)


def rail(road: Road, along: float, length_m: float, aside: float) -> Thing:
    """Build a stretch of guard rail with two posts."""
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
    """Build a traffic sign on a post, or a large blue sign beside a motorway."""
    site = Site(road, along, aside)
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
