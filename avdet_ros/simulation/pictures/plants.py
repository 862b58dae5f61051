"""Trees and bushes."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Point
from avdet_ros.simulation.pictures.site import Site, Thing
from avdet_ros.simulation.road import Road


def tree(rng: np.random.Generator, road: Road, along: float, aside: float, size: float) -> Thing:
    """Build a broad-leaved tree or a conifer."""
    site = Site(road, along, aside)
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
    """Build a bush of two round pieces."""
    site = Site(road, along, aside)
    faces = FaceList()
    leaf = np.array([0.22, 0.32, 0.12]) * rng.uniform(0.75, 1.2)
    size = rng.uniform(0.5, 1.3)
    _blob(rng, faces, (0, 0, 0.5 * size), (size, size, 0.8 * size), leaf, 0)
    _blob(rng, faces, (0.6 * size, 0.3 * size, 0.4 * size), (0.7 * size,) * 3, 1.1 * leaf, 0)
    return site.thing(faces, (-0.5 * size, -0.5 * size), (0.5 * size, 0.5 * size))


def _blob(
    rng: np.random.Generator,
    faces: FaceList,
    centre: Point,
    radii: Point,
    colour: np.ndarray,
    layer: int,
) -> None:
    """Add a dented ball of leaves with facets of slightly different colours."""
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
