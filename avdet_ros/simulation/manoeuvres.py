"""Vehicles that overtake, change lanes and turn, as steady traffic in lanes does not.

They are added to a drive with traffic. Each manoeuvre is tried at several random times; one in
which vehicles would touch within sight or earshot is discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from avdet_ros.simulation.fleet import fleet_poses
from avdet_ros.simulation.junctions import turn
from avdet_ros.simulation.motion import LaneChange, Motion, Slowing
from avdet_ros.simulation.recordings import Recordings
from avdet_ros.simulation.road import Road
from avdet_ros.simulation.scene import HORIZON_M, Scene
from avdet_ros.simulation.traffic import fewer_parked, furnished
from avdet_ros.simulation.vehicles import Vehicle, random_vehicle

OVERTAKING_EVERY_S = 20.0
TURNING_EVERY_S = 12.0
CHANGING = 0.2
"""Fraction of the vehicles on multi-lane roads that try to change lanes."""

TRIES = 12
CLEAR_M = 0.5
"""Minimum gap between vehicles."""

_STEP_S = 0.25
_KINDS = ('car', 'van', 'motorcycle', 'electric_car')
_SHARES = (0.65, 0.1, 0.13, 0.12)


def add_to_drive(
    scene: Scene, corrupted: bool = True, recordings: Recordings | None = None
) -> Scene:
    """Add what drives with pictures have beyond `random_scene`; see `plan.make_scene`."""
    return with_manoeuvres(furnished(fewer_parked(scene), corrupted, recordings))


def with_manoeuvres(scene: Scene) -> Scene:
    """Add vehicles that overtake, change lanes or turn, drawn from the drive's own seed."""
    rng = np.random.default_rng([scene.seed, 6])
    crowd = _Crowd(scene)
    if scene.crossing is not None:
        count = rng.poisson(scene.duration_s / TURNING_EVERY_S) + 1
        _repeat(crowd, count, lambda number: _turning(rng, scene, number))
    else:
        count = rng.poisson(scene.duration_s / OVERTAKING_EVERY_S) + 1
        _repeat(crowd, count, lambda number: _overtaking(rng, scene, number))
    for vehicle in _changing(rng, scene):
        changed = _changed(rng, scene, vehicle)
        if changed is not None and crowd.has_room_for(changed):
            crowd.put(changed)
    return replace(scene, vehicles=crowd.vehicles)


def _repeat(crowd: _Crowd, count: int, draw: Callable[[int], Vehicle | None]) -> None:
    for _ in range(count):
        number = max((v.vehicle_id for v in crowd.vehicles), default=0) + 1
        for _ in range(TRIES):
            guest = draw(number)
            if guest is not None and crowd.has_room_for(guest):
                crowd.put(guest)
                break


class _Crowd:
    """All vehicles of a drive, and their positions over time."""

    def __init__(self, scene: Scene) -> None:
        self.times_s = np.arange(-1.0, scene.duration_s + 1.0, _STEP_S)
        self._by_id = {vehicle.vehicle_id: vehicle for vehicle in scene.vehicles}
        self._tracks = {v.vehicle_id: self._track(v) for v in (scene.ego, *scene.vehicles)}
        self._ego_id = scene.ego.vehicle_id

    @property
    def vehicles(self) -> tuple[Vehicle, ...]:
        return tuple(self._by_id[key] for key in sorted(self._by_id))

    def put(self, vehicle: Vehicle) -> None:
        """Add a vehicle, or replace the one with its number."""
        self._by_id[vehicle.vehicle_id] = vehicle
        self._tracks[vehicle.vehicle_id] = self._track(vehicle)

    def has_room_for(self, guest: Vehicle) -> bool:
        """Return whether a vehicle comes near at all, and touches no other while it is near."""
        guest_track, guest_width = self._track(guest)
        ego_track = self._tracks[self._ego_id][0].mean(axis=1)
        near = np.linalg.norm(guest_track.mean(axis=1) - ego_track, axis=1) < HORIZON_M + 10
        if not near.any():
            return False
        for number, (track, width) in self._tracks.items():
            if number == guest.vehicle_id:
                continue
            close = near & (np.abs(track[:, 0] - guest_track[:, 0]).max(axis=1) < 40)
            if not close.any():
                continue
            apart = np.linalg.norm(guest_track[close][:, :, None] - track[close][:, None], axis=-1)
            if apart.min() < (guest_width + width) / 2 + CLEAR_M:
                return False
        return True

    def _track(self, vehicle: Vehicle) -> tuple[np.ndarray, float]:
        """Return (T, 9, 2) points along a vehicle's middle over time, and its width."""
        position, rotation = vehicle.pose(self.times_s)
        reach = max(vehicle.length_m - vehicle.width_m, 0.1) / 2
        along = np.linspace(-reach, reach, 9)[:, None]
        points = position[:, None] + along * rotation[:, None, :, 0]
        return points[..., :2], vehicle.width_m


def _vehicle(rng: np.random.Generator, number: int, road: Road, motion: Motion) -> Vehicle:
    kind = str(rng.choice(_KINDS, p=_SHARES))
    return random_vehicle(rng, number, kind, road, motion)


def _turning(rng: np.random.Generator, scene: Scene, number: int) -> Vehicle | None:
    """Draw a vehicle that turns from one of the two roads into the other."""
    road, crossing = scene.ego.road, scene.crossing
    if crossing is None:
        return None
    towards, across = int(rng.choice([-1, 1])), int(rng.choice([-1, 1]))
    if rng.random() < 0.6:  # out of the crossing road, from around the corner
        way, middle = turn(road, crossing, crossing, across, road, towards)
    else:  # oncoming, then out of sight
        way, middle = turn(road, crossing, road, -1, crossing, across)
    speed = rng.uniform(7, 12)
    at_s, slow = rng.uniform(0, scene.duration_s), speed - rng.uniform(3.5, 5.5)
    motion = Motion(
        middle - speed * at_s,
        speed,
        aside_m=rng.normal(0, 0.15),
        slowings=(Slowing(slow, at_s, rng.uniform(1.8, 3.0)),),
    )
    return _vehicle(rng, number, way, motion)


def _overtaking(rng: np.random.Generator, scene: Scene, number: int) -> Vehicle | None:
    """Draw a vehicle that overtakes the ego vehicle or one near it."""
    at_s = rng.uniform(0, scene.duration_s)
    ego_position = scene.ego.pose(at_s)[0]
    moving = [
        v
        for v in (scene.ego, *scene.vehicles)
        if v.road is scene.ego.road and abs(v.motion.speed_mps) > 3
    ]
    places = fleet_poses(moving, np.array([at_s]))[0][:, 0]
    hosts = [
        v
        for v, place in zip(moving, places, strict=True)
        if v is scene.ego or np.linalg.norm(place - ego_position) < 60
    ]
    if not hosts:
        return None
    host = (
        scene.ego if scene.ego in hosts and rng.random() < 0.6 else hosts[rng.integers(len(hosts))]
    )
    host_speed = float(host.motion.along_mps(at_s))
    speed = host_speed * rng.uniform(1.25, 1.6) + np.sign(host_speed) * 1.5
    side = np.sign(
        host_speed
    )  # the driver's left is the road's left when driving in its direction
    probe = _vehicle(rng, number, host.road, Motion(0.0, speed))
    pass_s = ((host.length_m + probe.length_m) / 2 + rng.uniform(7, 14)) / abs(speed - host_speed)
    length_s = rng.uniform(2.2, 3.8)
    motion = Motion(
        float(host.motion.along_m(at_s)) - speed * at_s,
        speed,
        lane=host.motion.lane,
        aside_m=host.motion.aside_m * 0.5,
        changes=(
            LaneChange(side, at_s - pass_s - length_s / 2, length_s),
            LaneChange(-side, at_s + pass_s + length_s / 2, length_s),
        ),
    )
    return replace(probe, motion=motion)


def _changing(rng: np.random.Generator, scene: Scene) -> Iterator[Vehicle]:
    """Yield vehicles that may change to another lane of the same direction."""
    lanes = _lanes(scene)
    for vehicle in scene.vehicles:
        motion = vehicle.motion
        if vehicle.road is not scene.ego.road or abs(motion.speed_mps) <= 3:
            continue
        if len(lanes[np.sign(motion.speed_mps)]) > 1 and rng.random() < CHANGING:
            yield vehicle


def _changed(rng: np.random.Generator, scene: Scene, vehicle: Vehicle) -> Vehicle | None:
    """Let a vehicle change to an adjacent lane while it is near; None if it cannot."""
    times = np.arange(0, scene.duration_s, 1.0)
    apart = np.linalg.norm(vehicle.pose(times)[0] - scene.ego.pose(times)[0], axis=1)
    times = times[apart < 60]
    adjacent = [
        lane
        for lane in _lanes(scene)[np.sign(vehicle.motion.speed_mps)]
        if 0.5 < abs(lane - vehicle.motion.lane) < 1.5
    ]
    if not len(times) or not adjacent:
        return None
    to = float(adjacent[rng.integers(len(adjacent))])
    change = LaneChange(
        to - vehicle.motion.lane, float(rng.choice(times)) + rng.uniform(0, 1), rng.uniform(2.5, 5)
    )
    return replace(vehicle, motion=replace(vehicle.motion, changes=(change,)))


def _lanes(scene: Scene) -> dict[float, set[float]]:
    """Return the lanes of the ego vehicle's road that have traffic, by direction."""
    lanes: dict[float, set[float]] = {}
    for vehicle in (scene.ego, *scene.vehicles):
        if vehicle.road is scene.ego.road and abs(vehicle.motion.speed_mps) > 3:
            lanes.setdefault(np.sign(vehicle.motion.speed_mps), set()).add(vehicle.motion.lane)
    return lanes
