"""A drive's surroundings and vehicle bodies, built once and put in painting order at any time."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.bodies import body_of
from avdet_ros.simulation.pictures.body_parts import Body
from avdet_ros.simulation.pictures.composition import GROUND, STILL, Composition, Placed
from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.faces import NEAR_M, Faces, Seen, View, joined, look, view_of
from avdet_ros.simulation.pictures.ground import STEP_M
from avdet_ros.simulation.pictures.order import back_to_front
from avdet_ros.simulation.pictures.surroundings import (
    AHEAD_M,
    Surroundings,
    build_surroundings,
)
from avdet_ros.simulation.scene import HORIZON_M, Scene

THING_DISTANCE_M = 190.0


class World:
    """A drive's surroundings and vehicle bodies, built once and viewed at any time."""

    def __init__(self, scene: Scene, conditions: Conditions) -> None:
        self.scene, self.conditions = scene, conditions
        self.surroundings: Surroundings = build_surroundings(scene, conditions)
        things = self.surroundings.things
        self._footprints = np.array([thing.footprint for thing in things]).reshape(-1, 4, 2)
        self._middles = self._footprints.mean(axis=1) if things else np.zeros((0, 2))
        self._bodies: dict[int, Body] = {}
        self._last: tuple[float, frozenset[int], Composition] | None = None

    def compose(self, t_s: float, without: frozenset[int] = frozenset()) -> Composition:
        """Put everything in painting order.

        Args:
            t_s: drive time.
            without: identities of vehicles to leave out.
        """
        if self._last is not None and self._last[:2] == (t_s, without):
            return self._last[2]
        position, rotation = self.scene.ego_pose(float(t_s))
        view = view_of(self.scene.rig.camera, position, rotation)
        ground, ground_faces = self._ground(t_s, view)
        vehicles = self._vehicles(t_s, position, without)
        composed = self._with_bodies(view, position, rotation, ground, ground_faces, vehicles)
        self._last = t_s, without, composed
        return composed

    def _ground(self, t_s: float, view: View) -> tuple[Seen, Faces]:
        around = self.surroundings
        along = float(self.scene.ego.motion.along_m(t_s))
        last = len(around.first_face) - 1
        begin = int(np.clip((along - 30 - around.first_m) / STEP_M, 0, last))
        end = int(np.clip((along + AHEAD_M - around.first_m) / STEP_M, 0, last))
        whole = around.ground
        spans = [(around.first_face[begin], around.first_face[end])]
        if whole.section[-1] >= 100000:
            spans.append((int(np.searchsorted(whole.section, 100000)), len(whole)))
        faces = joined([_part(whole, low, high) for low, high in spans if high > low])
        seen = look(faces, view)
        section = faces.section[seen.index]
        layer = faces.layer[seen.index]
        # stretches from far to near; within each: terrain, road, markings
        reach = np.full(int(section.max(initial=0)) + 1, 0.0)
        np.maximum.at(reach, section, seen.furthest_m)
        order = np.lexsort((layer, section, -reach[section], layer >= 10))
        return _ordered(seen, order), faces

    def _vehicles(
        self, t_s: float, position: np.ndarray, without: frozenset[int]
    ) -> tuple[Placed, ...]:
        scene, conditions = self.scene, self.conditions
        placed = []
        for vehicle in scene.vehicles:
            if vehicle.vehicle_id in without:
                continue
            place, turn = vehicle.pose(float(t_s))
            if np.linalg.norm(place - position) > HORIZON_M:
                continue
            if vehicle.vehicle_id not in self._bodies:
                self._bodies[vehicle.vehicle_id] = body_of(vehicle)
            chance = np.random.default_rng([conditions.seed, 109, vehicle.vehicle_id]).random(2)
            running = vehicle.sound.running
            warmth = 0.0 if not running else 0.75 + 0.25 * chance[1]
            if chance[0] < conditions.started_share:
                warmth *= 0.12
            if vehicle.kind == 'electric_car':
                warmth *= 0.6
            dim = conditions.daylight < 0.7 or conditions.rain > 0 or self.surroundings.tunnel
            size = vehicle.length_m, vehicle.width_m, vehicle.height_m
            placed.append(
                Placed(
                    vehicle.vehicle_id,
                    self._bodies[vehicle.vehicle_id],
                    place,
                    turn,
                    size,
                    float(warmth),
                    bool(running and (dim or chance[1] < 0.4)),
                    float(vehicle.speed_mps(t_s)),
                )
            )
        return tuple(placed)

    def _with_bodies(
        self,
        view: View,
        position: np.ndarray,
        rotation: np.ndarray,
        ground: Seen,
        ground_faces: Faces,
        vehicles: tuple[Placed, ...],
    ) -> Composition:
        away = self._middles - view.eye[:2]
        ahead = (rotation[:2, 0] * away).sum(axis=1)
        near = np.flatnonzero((np.hypot(*away.T) < THING_DISTANCE_M) & (ahead > -25))
        feet, kinds, seens, sources = [], [], [], []
        candidates = [
            (STILL, self.surroundings.things[i].faces, self._footprints[i]) for i in near
        ]
        for row, placed in enumerate(vehicles):
            candidates.append(
                (
                    row,
                    placed.body.faces.moved(placed.position, placed.rotation),
                    _footprint(placed),
                )
            )
        # project all bodies in one call, then separate them again
        every = joined([faces for _, faces, _ in candidates])
        begins = np.cumsum([0] + [len(faces) for _, faces, _ in candidates])
        seen = look(every, view)
        cuts = np.searchsorted(seen.index, begins)
        for (owner, _, foot), low, high in zip(candidates, cuts[:-1], cuts[1:], strict=True):
            if high > low:
                feet.append(foot - view.eye[:2])
                kinds.append(owner)
                seens.append((low, high))
                sources.append(_footprint_depth(foot, view))
        polygons, index = list(ground.polygons), [ground.index]
        plane = [ground.plane]
        depth = [(ground.nearest_m + ground.furthest_m) / 2]
        owners = [np.full(len(ground.index), GROUND)]
        bodies, hidden_by = [], []
        if seens:
            spans = np.array([[seen.box[a:b, 0].min(), seen.box[a:b, 2].max()] for a, b in seens])
            nearest = np.array(sources)
            for chosen in back_to_front(np.array(feet), nearest, spans):
                low, high = seens[chosen]
                rows = np.arange(low, high)
                layer = every.layer[seen.index[rows]]
                middle = (seen.nearest_m[rows] + seen.furthest_m[rows]) / 2
                rows = rows[np.lexsort((-middle, layer))]
                begin = len(polygons)
                polygons += [seen.polygons[row] for row in rows]
                bodies.append((begin, len(polygons)))
                hidden_by.append(_crests(ground, seen.box[rows], nearest[chosen]))
                index.append(seen.index[rows] + len(ground_faces))
                plane.append(seen.plane[rows])
                depth.append((seen.nearest_m[rows] + seen.furthest_m[rows]) / 2)
                owners.append(np.full(len(rows), kinds[chosen]))
        all_faces = joined([ground_faces, every])
        strokes = _gathered(all_faces, np.concatenate(index))
        return Composition(
            view,
            position,
            rotation,
            polygons,
            strokes,
            np.concatenate(plane),
            np.concatenate(depth),
            np.concatenate(owners),
            len(ground.index),
            bodies,
            hidden_by,
            vehicles,
        )


def _footprint(placed: Placed) -> np.ndarray:
    length, width, _ = placed.size_m
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * [
        length / 2,
        width / 2,
        0,
    ]
    return (placed.position + corners @ placed.rotation.T)[:, :2]


def _footprint_depth(foot: np.ndarray, view: View) -> float:
    forward = view.axes[2, :2]
    return float(((foot - view.eye[:2]) @ forward).min())


def _crests(ground: Seen, box: np.ndarray, nearest_m: float) -> np.ndarray:
    """Return the ground strokes in front of a body that may cover part of it."""
    x0, y0 = box[:, 0].min(), box[:, 1].min()
    x1, y1 = box[:, 2].max(), box[:, 3].max()
    over = (
        (ground.furthest_m < max(nearest_m, NEAR_M) - 0.3)
        & (ground.box[:, 1] < y1 - 1.5)
        & (ground.box[:, 3] > y0)
        & (ground.box[:, 0] < x1)
        & (ground.box[:, 2] > x0)
    )
    return np.flatnonzero(over)


def _part(faces: Faces, low: int, high: int) -> Faces:
    """Return a contiguous range of polygons."""
    first = faces.starts[low]
    last = faces.starts[high] if high < len(faces) else len(faces.corners)
    names = ('normals', 'material', 'colour', 'layer', 'both_sides', 'section')
    return Faces(
        faces.corners[first:last],
        faces.starts[low:high] - first,
        *(getattr(faces, name)[low:high] for name in names),
    )


def _gathered(faces: Faces, index: np.ndarray) -> Faces:
    """Return selected polygons in the given order."""
    counts = faces.counts()[index]
    ends = np.cumsum(counts)
    starts = ends - counts
    corners = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        faces.starts[index] - starts, counts
    )
    names = ('normals', 'material', 'colour', 'layer', 'both_sides', 'section')
    return Faces(faces.corners[corners], starts, *(getattr(faces, name)[index] for name in names))


def _ordered(seen: Seen, order: np.ndarray) -> Seen:
    return Seen(
        seen.index[order],
        [seen.polygons[i] for i in order],
        seen.nearest_m[order],
        seen.furthest_m[order],
        seen.box[order],
        seen.plane[order],
    )
