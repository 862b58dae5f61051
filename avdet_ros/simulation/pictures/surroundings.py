"""The surroundings: the road with its markings, verges, buildings, trees and lamps.

Everything is built once per drive, in the world frame, from the drive's roads and setting.
Sideways offsets are positive to the left of the road's direction, as in road.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures import houses, plants, street
from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.faces import FaceList, Faces
from avdet_ros.simulation.pictures.ground import (
    CROSS_REACH_M,
    STEP_M,
    Layout,
    cross_ground,
    main_ground,
    tunnel,
)
from avdet_ros.simulation.pictures.site import Thing
from avdet_ros.simulation.road import Road
from avdet_ros.simulation.scene import Scene

AHEAD_M = 230.0
BEHIND_M = 40.0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The static part of a drive's world.

    Attributes:
        ground: faces ordered by `Faces.section`; layer 0 terrain, 1 road, 2 markings; from 10
            upwards the crossing road, painted after the whole main road.
        first_face: (sections + 1,) index of each section's first face.
        first_m: distance along the main road where section 0 begins.
        things: objects that stand on the ground.
        tunnel: whether the road runs in a tunnel.
        lamps_m: (L, 3) world positions of the lamps that light the road.
        edges_m: mean right and left edge of the carriageway, metres left of the centre line.
    """

    ground: Faces
    first_face: np.ndarray
    first_m: float
    things: tuple[Thing, ...]
    tunnel: bool
    lamps_m: np.ndarray
    edges_m: tuple[float, float]


def is_tunnel(scene: Scene) -> bool:
    """Return whether a drive's road runs in a tunnel."""
    walls = scene.walls
    return scene.setting == 'tunnel' or (walls is not None and np.isfinite(walls.ceiling_m))


def build_surroundings(scene: Scene, conditions: Conditions) -> Surroundings:
    """Draw the surroundings of a drive from the conditions' seed."""
    rng = np.random.default_rng([conditions.seed, 103])
    road = scene.ego.road
    layout = _layout(scene)
    along = scene.ego.motion.along_m(np.linspace(0, scene.duration_s, 64))
    first = float(np.floor((along.min() - BEHIND_M) / STEP_M) * STEP_M)
    count = int(np.ceil((along.max() + AHEAD_M - first) / STEP_M))
    crossing = scene.crossing
    faces = FaceList()
    main_ground(faces, rng, road, layout, first, count, crossing)
    if layout.tunnel:
        tunnel(faces, road, layout, first, count)
    if crossing is not None:
        cross_ground(faces, road, crossing, layout)
    ground = faces.build()
    order = np.argsort(ground.section, kind='stable')
    ground = _picked(ground, order)
    sections = np.arange(count + 1)
    things: list[Thing] = []
    if not layout.tunnel:
        things = _things(rng, scene, conditions, road, layout, first, first + count * STEP_M)
        things = _clear(things, scene, crossing, layout)
    lamps = np.array([thing.lamp_m for thing in things if thing.lamp_m is not None])
    width = road.lane_width_m
    return Surroundings(
        ground,
        np.searchsorted(ground.section, sections),
        first,
        tuple(things),
        layout.tunnel,
        lamps.reshape(-1, 3),
        (layout.paved_right * width, layout.paved_left * width),
    )


def _layout(scene: Scene) -> Layout:
    """Infer the lanes of the road from the vehicles in them."""
    road = scene.ego.road
    moving = [v.motion.lane for v in scene.vehicles if v.road is road and v.sound.running]
    if scene.setting != 'roadside':
        moving.append(scene.ego.motion.lane)
    right = min([lane - 0.5 for lane in moving] + [-1.0])
    left = max([lane + 0.5 for lane in moving] + [1.0])
    inner = [abs(lane) - 0.5 for lane in moving]
    median = min(inner) if scene.setting == 'motorway' and inner else 0.0
    if scene.setting == 'motorway':
        right, left = min(right, -median - 1.5), max(left, median + 1.5)
    parked = [v.motion.lane for v in scene.vehicles if v.road is road and not v.sound.running]
    shoulder = 0.75 if scene.setting == 'motorway' else 0.08
    walls = scene.walls
    far = (-np.inf, np.inf, np.inf)
    wall_right, wall_left, ceiling = (
        far if walls is None else (walls.right_m, walls.left_m, walls.ceiling_m)
    )
    return Layout(
        right,
        left,
        min([right - shoulder] + [lane - 0.45 for lane in parked]),
        max([left + shoulder] + [lane + 0.45 for lane in parked]),
        max(median, 0.0),
        scene.setting,
        is_tunnel(scene),
        wall_right,
        wall_left,
        ceiling,
    )


def _picked(faces: Faces, order: np.ndarray) -> Faces:
    counts = faces.counts()[order]
    corners = np.concatenate(
        [np.arange(s, s + n) for s, n in zip(faces.starts[order], counts, strict=True)]
    )
    return Faces(
        faces.corners[corners],
        np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
        faces.normals[order],
        faces.material[order],
        faces.colour[order],
        faces.layer[order],
        faces.both_sides[order],
        faces.section[order],
    )


def _things(
    rng: np.random.Generator,
    scene: Scene,
    conditions: Conditions,
    road: Road,
    layout: Layout,
    first: float,
    last: float,
) -> list[Thing]:
    """Place buildings, trees, posts and rails along both sides."""
    width = road.lane_width_m
    lit = conditions.lit_windows * (1 - conditions.daylight)
    things: list[Thing] = []
    urban = layout.setting in ('city', 'junction')
    for side, edge in ((1, layout.paved_left * width), (-1, layout.paved_right * width)):
        fronts = _fronts(rng, scene, layout, side, edge, first, last)
        for building in scene.buildings:
            if building.side == side:
                things += houses.row(rng, building, lit)
        for at, front, setback in fronts:
            things.append(houses.building(rng, road, at, front, setback, side, lit, True))
        if urban:
            for at in np.arange(first + rng.uniform(0, 20), last, rng.uniform(14, 24)):
                if rng.random() < 0.7:
                    things.append(plants.tree(rng, road, at, edge + side * 2.6, 0.75))
        else:
            density = rng.uniform(0.05, 0.16)
            for at in np.arange(first, last, 4.0):
                wall = layout.wall_left_m if side > 0 else layout.wall_right_m
                depth = min(45.0, max(abs(wall - edge) - 2.0, 6.0))
                aside = edge + side * rng.uniform(5.5, depth)
                if rng.random() < 2.2 * density:
                    things.append(plants.tree(rng, road, at, aside, rng.uniform(0.8, 1.5)))
                if rng.random() < 1.6 * density:
                    things.append(
                        plants.bush(rng, road, at + 2, edge + side * rng.uniform(3.2, 9))
                    )
                share = 0.03 if layout.setting != 'motorway' else 0.006
                if rng.random() < share and not np.isfinite(wall):
                    away = edge + side * rng.uniform(14, 34)
                    things.append(
                        houses.building(rng, road, at, rng.uniform(9, 16), away, side, lit, False)
                    )
            if layout.setting == 'motorway':
                for at in np.arange(first, last, 8.0):
                    things.append(street.rail(road, at, 8.0, edge + side * 0.5))
            else:
                for at in np.arange(first, last, 25.0):
                    things.append(street.delineator(road, at, edge + side * 0.6, side))
        if urban or (layout.setting == 'roadside' and conditions.street_lamps):
            for at in np.arange(first + rng.uniform(0, 30), last, 32.0):
                things.append(street.street_lamp(road, at, edge + side * 0.7, side))
        for at in np.arange(first + rng.uniform(20, 90), last, rng.uniform(60, 160)):
            if side < 0:
                things.append(street.sign(rng, road, at, edge - 1.2, layout.setting))
    if layout.median > 0.3:
        for at in np.arange(first, last, 8.0):
            things.append(street.rail(road, at, 8.0, 0.0))
    return things


def _fronts(
    rng: np.random.Generator,
    scene: Scene,
    layout: Layout,
    side: int,
    edge: float,
    first: float,
    last: float,
) -> list[tuple[float, float, float]]:
    """Place buildings along one side: begin, length, metres left of the centre line.

    Where the drive's sound has a wall, they stand in its plane and leave its gaps. Elsewhere in
    town they stand anywhere, but so far away that their missing echo is inaudible.
    """
    walls = scene.walls
    wall = layout.wall_left_m if side > 0 else layout.wall_right_m
    if scene.buildings:  # the junction's corners already have buildings
        first = max(b.along_m + b.front_m / 2 for b in scene.buildings) + 3.0
    if walls is not None and np.isfinite(wall):
        gaps = walls.left_gaps_m if side > 0 else walls.right_gaps_m
        ends = np.append(gaps[:, 0], np.inf)
        starts = np.append(-np.inf, gaps[:, 1])
        blocks = [
            (max(low, first), min(high, last))
            for low, high in zip(starts, ends, strict=True)
            if min(high, last) - max(low, first) > 5
        ]
        setback = wall
    elif layout.setting in ('city', 'junction'):
        blocks = [(first, last)]
        setback = edge + side * (4.2 if walls is None else 18.0)
    else:
        return []
    fronts = []
    for low, high in blocks:
        at = low
        while high - at > 5:
            front = float(rng.uniform(9, 22))
            front = high - at if high - at < front + 6 else front
            open_lot = not np.isfinite(wall) and rng.random() < 0.15
            if not open_lot:
                shift = 0.0 if np.isfinite(wall) else side * rng.choice([0.0, 0.0, 2.5])
                fronts.append((at, front, setback + shift))
            at += front if np.isfinite(wall) else front + rng.choice([0.3, 0.5, 4.0, 9.0])
    return fronts


def _clear(
    things: list[Thing], scene: Scene, crossing: Road | None, layout: Layout
) -> list[Thing]:
    """Leave out objects that would stand on a road or in the ego vehicle's path."""
    track, _ = scene.ego_pose(np.linspace(0, scene.duration_s, 400))
    if scene.setting == 'roadside':
        # keep the view from the standing vehicle to the road free
        _, rotation = scene.ego_pose(0.0)
        track = track[:1] + np.linspace(0, 25, 26)[:, None] * rotation[:, 0]
    ways = [(track, 3.0 + 1.5 * (scene.setting == 'roadside'))]
    if crossing is not None:
        along = np.arange(-CROSS_REACH_M, CROSS_REACH_M, 2.0)
        ways.append((crossing.point(along), crossing.lane_width_m * 1.1 + 2.8))
    kept = []
    for thing in things:
        corners = thing.footprint
        # check the edges, too: a building may span a road between its corners
        parts = np.linspace(0, 1, 6)[:, None, None]
        points = (corners + parts * (np.roll(corners, -1, axis=0) - corners)).reshape(-1, 2)
        if thing.flat:
            points = corners
        clear = all(
            np.linalg.norm(points[:, None] - way[None, :, :2], axis=-1).min() > room
            for way, room in ways
        )
        if clear or (thing.flat and crossing is None and scene.setting != 'roadside'):
            kept.append(thing)
    return kept
