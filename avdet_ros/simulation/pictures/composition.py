"""What the camera sees at one instant, in painting order, before any modality colours it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from avdet_ros.simulation.pictures.bodies import body_of
from avdet_ros.simulation.pictures.body_parts import Body
from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.faces import NEAR_M, Faces, View, joined, look, view_of
from avdet_ros.simulation.pictures.ground import STEP_M
from avdet_ros.simulation.pictures.order import back_to_front
from avdet_ros.simulation.pictures.surroundings import (
    AHEAD_M,
    Surroundings,
    build_surroundings,
)
from avdet_ros.simulation.scene import HORIZON_M, Scene

GROUND, STILL = -1, -2
"""Owners of strokes that belong to no vehicle."""

THING_DISTANCE_M = 190.0
_SHIFT = 4


@dataclass(frozen=True, eq=False)
class Placed:
    """A vehicle at the instant.

    Attributes:
        vehicle_id: its identity.
        body: its shape.
        position: (3,) world.
        rotation: (3, 3) vehicle to world.
        size_m: length, width, height.
        warmth: 0 cold to 1 warm from driving.
        lights: whether its lamps are on.
        speed_mps: its speed.
    """

    vehicle_id: int
    body: Body
    position: np.ndarray
    rotation: np.ndarray
    size_m: tuple[float, float, float]
    warmth: float
    lights: bool
    speed_mps: float


@dataclass(frozen=True, eq=False)
class Composition:
    """Strokes: polygons in painting order, ground first.

    Attributes:
        view: the camera.
        position: (3,) base_link in the world.
        rotation: (3, 3) base_link to world.
        polygons: S arrays (P, 2) float64, pixels of the full image.
        faces: S polygons in the world frame, in the same order.
        plane: (S, 3) 1 / depth = a x + b y + c at full image pixel x, y.
        depth_m: (S,) mean of nearest and furthest depth.
        owner: (S,) `GROUND`, `STILL` or the row of the vehicle in `vehicles`.
        ground: how many strokes are ground.
        bodies: first stroke, last stroke + 1 of each body, in painting order.
        hidden_by: for each body the ground strokes in front of it, such as a crest.
        vehicles: those near enough to be drawn.
    """

    view: View
    position: np.ndarray
    rotation: np.ndarray
    polygons: list[np.ndarray]
    faces: Faces
    plane: np.ndarray
    depth_m: np.ndarray
    owner: np.ndarray
    ground: int
    bodies: list[tuple[int, int]]
    hidden_by: list[np.ndarray]
    vehicles: tuple[Placed, ...]

    @cached_property
    def centres(self) -> np.ndarray:
        """(S, 3) middle of each stroke's polygon, world."""
        sums = np.add.reduceat(self.faces.corners, self.faces.starts)
        return sums / self.faces.counts()[:, None]

    def fixed(self, scale: float) -> list[np.ndarray]:
        """The polygons as OpenCV's fixed-point integers, for an image scaled by `scale`."""
        if not self.polygons:
            return []
        every = (np.concatenate(self.polygons) + 0.5) * scale - 0.5
        every = np.round(every * (1 << _SHIFT)).astype(np.int32)
        ends = np.cumsum([len(points) for points in self.polygons]).tolist()
        # slices: np.split costs three times as much
        return [every[low:high] for low, high in zip([0, *ends], ends, strict=False)]

    def paint(
        self,
        image: np.ndarray,
        colours: list,
        polygons: list[np.ndarray],
        smooth: bool,
        between=None,
        ground_too: bool = True,
    ) -> None:
        """Fill all strokes into an image.

        Args:
            image: painted on.
            colours: one OpenCV scalar a stroke.
            polygons: of `fixed`, at the image's scale.
            smooth: antialiased edges.
            between: called with the image once the ground is painted.
            ground_too: paint the ground as well, not only the bodies.
        """
        line = cv2.LINE_AA if smooth else cv2.LINE_8
        for stroke in range(self.ground if ground_too else 0):
            cv2.fillConvexPoly(image, polygons[stroke], colours[stroke], line, _SHIFT)
        if between is not None:
            between(image)
        below = image.copy() if any(len(hidden) for hidden in self.hidden_by) else None
        for (first, last), hidden in zip(self.bodies, self.hidden_by, strict=True):
            for stroke in range(first, last):
                cv2.fillConvexPoly(image, polygons[stroke], colours[stroke], line, _SHIFT)
            if len(hidden):
                mask = np.zeros(image.shape[:2], np.uint8)
                for stroke in hidden:
                    cv2.fillConvexPoly(mask, polygons[stroke], 255, cv2.LINE_8, _SHIFT)
                cv2.copyTo(below, mask, image)

    @cached_property
    def index_ground(self) -> np.ndarray:
        """(H / 2, W / 2) int32 the ground's stroke there, behind bodies too; -1 the sky."""
        camera = self.view.camera
        image = np.full((camera.height_px // 2, camera.width_px // 2), -1, np.int32)
        polygons = self._half
        for stroke in range(self.ground):
            cv2.fillConvexPoly(image, polygons[stroke], stroke, cv2.LINE_8, _SHIFT)
        return image

    @cached_property
    def _half(self) -> list[np.ndarray]:
        return self.fixed(0.5)

    @cached_property
    def index(self) -> np.ndarray:
        """(H / 2, W / 2) int32 which stroke shows, -1 for the sky."""
        camera = self.view.camera
        image = np.empty((camera.height_px // 2, camera.width_px // 2), np.int32)

        def ground(painted: np.ndarray) -> None:
            painted[:] = self.index_ground

        self.paint(image, range(len(self.polygons)), self._half, False, ground, ground_too=False)
        return image

    def look_up(self, values: np.ndarray, sky: float) -> np.ndarray:
        """(H / 2, W / 2) of the value of the stroke that shows; `sky` where none does."""
        return np.append(values, sky).astype(values.dtype)[self.index]


class World:
    """A drive's surroundings and bodies, built once, looked at at any time."""

    def __init__(self, scene: Scene, conditions: Conditions) -> None:
        self.scene, self.conditions = scene, conditions
        self.surroundings: Surroundings = build_surroundings(scene, conditions)
        things = self.surroundings.things
        self._footprints = np.array([thing.footprint for thing in things]).reshape(-1, 4, 2)
        self._middles = self._footprints.mean(axis=1) if things else np.zeros((0, 2))
        self._bodies: dict[int, Body] = {}
        self._last: tuple[float, frozenset, Composition] | None = None

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

    def _ground(self, t_s: float, view: View) -> tuple:
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
        # stretches from far to near; within one, terrain, road, markings
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
            running = vehicle.voice.running
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
        ground,
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
        # one look at all bodies together, then apart again
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
        owner = [np.full(len(ground.index), GROUND)]
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
                owner.append(np.full(len(rows), kinds[chosen]))
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
            np.concatenate(owner),
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


def _crests(ground, box: np.ndarray, nearest_m: float) -> np.ndarray:
    """Ground strokes nearer than a body that reach above its foot."""
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
    """A run of polygons."""
    first = faces.starts[low]
    last = faces.starts[high] if high < len(faces) else len(faces.corners)
    names = ('normals', 'material', 'colour', 'layer', 'both_sides', 'section')
    return Faces(
        faces.corners[first:last],
        faces.starts[low:high] - first,
        *(getattr(faces, name)[low:high] for name in names),
    )


def _gathered(faces: Faces, index: np.ndarray) -> Faces:
    """Chosen polygons in a given order."""
    counts = faces.counts()[index]
    ends = np.cumsum(counts)
    starts = ends - counts
    corners = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        faces.starts[index] - starts, counts
    )
    names = ('normals', 'material', 'colour', 'layer', 'both_sides', 'section')
    return Faces(faces.corners[corners], starts, *(getattr(faces, name)[index] for name in names))


def _ordered(seen, order: np.ndarray):
    return type(seen)(
        seen.index[order],
        [seen.polygons[i] for i in order],
        seen.nearest_m[order],
        seen.furthest_m[order],
        seen.box[order],
        seen.plane[order],
    )
