"""Draw a drive: a road, the ego vehicle, and flows of traffic in its lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.corruption import Corruption, random_corruption, severe_corruption
from avdet_ros.simulation.distractors import Distractor, random_distractors
from avdet_ros.simulation.junctions import corner_buildings
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.recordings import Recordings
from avdet_ros.simulation.road import Road, random_road
from avdet_ros.simulation.scene import HORIZON_M, Noise, Scene
from avdet_ros.simulation.vehicles import Vehicle, random_vehicle
from avdet_ros.simulation.walls import building_fronts, tunnel

SETTINGS = {'city': 0.3, 'country': 0.25, 'motorway': 0.15, 'roadside': 0.15, 'junction': 0.15}
"""Settings and their probabilities."""

AHEAD_M = 70.0
"""Traffic density is drawn as the number of moving vehicles within this distance ahead."""

PARKED_STAY = 0.35
"""Fraction of the parked vehicles that drives with pictures keep."""

_MARGIN_S = 2.0


@dataclass(frozen=True)
class _Setting:
    curvature_per_m: float
    slope: float
    lane_width_m: tuple[float, float]
    speed_mps: tuple[float, float]
    lanes: tuple[int, ...]
    median_m: float
    shares: tuple[float, ...]  # car, van, lorry, motorcycle, electric car


_SETTINGS = {
    'city': _Setting(
        1 / 250, 0.02, (2.7, 3.5), (6, 16), (1, 1, 2), 0, (0.6, 0.12, 0.06, 0.07, 0.15)
    ),
    'country': _Setting(
        1 / 180, 0.04, (2.8, 3.6), (13, 28), (1,), 0, (0.63, 0.1, 0.12, 0.06, 0.09)
    ),
    'motorway': _Setting(
        1 / 1200, 0.015, (3.4, 3.8), (22, 36), (2, 3), 6, (0.6, 0.1, 0.19, 0.03, 0.08)
    ),
    'roadside': _Setting(
        1 / 300, 0.02, (2.8, 3.6), (8, 27), (1, 1, 2), 0, (0.6, 0.12, 0.1, 0.06, 0.12)
    ),
    'junction': _Setting(
        1 / 400, 0.015, (2.8, 3.5), (5, 14), (1, 2), 0, (0.6, 0.12, 0.07, 0.07, 0.14)
    ),
}
_KINDS = ('car', 'van', 'lorry', 'motorcycle', 'electric_car')


def random_scene(
    seed: int,
    rig: Rig | None = None,
    duration_s: float = 8.0,
    corrupted: bool = True,
    setting: str = '',
) -> Scene:
    """Draw a drive.

    Traffic drives on the right. The number of moving vehicles within 70 m ahead is
    gamma-distributed over drives with mean 2.6, from empty roads to queues. Behind the ego vehicle
    there are on average as many.

    Args:
        seed: seed of the drive.
        rig: microphones and camera; None for the package's own.
        duration_s: length.
        corrupted: False for the clean variant of the same drive: same world and noise, but an
            ideal array without shading.
        setting: one of `SETTINGS`; '' draws it.
    """
    rig = rig or load_rig()
    # one stream each, so that a change in one part leaves the others unchanged
    world, crowd, air, errors = (np.random.default_rng([seed, stream]) for stream in range(4))
    drawn = str(world.choice(list(SETTINGS), p=list(SETTINGS.values())))
    name = setting or drawn
    limits = _SETTINGS[name]
    speed = world.uniform(*limits.speed_mps)
    ego_speed = 0.0 if name in ('roadside', 'junction') else speed
    reach = HORIZON_M + 60.0
    span = duration_s + 2 * _MARGIN_S
    width = world.uniform(*limits.lane_width_m)
    road = random_road(
        world,
        -reach - ego_speed * _MARGIN_S,
        reach + ego_speed * span,
        limits.curvature_per_m,
        limits.slope,
        width,
    )
    ego_lanes, other_lanes = (int(world.choice(limits.lanes)) for _ in range(2))
    median = limits.median_m / width * world.uniform(0.3, 1.5)
    same = [-(lane + 0.5 + median / 2) for lane in range(ego_lanes)]
    opposite = [lane + 0.5 + median / 2 for lane in range(other_lanes)]
    ego, turn = _ego(world, name, road, same, ego_speed)
    flows = _Flows(crowd, road, ego.motion, duration_s, limits.shares)
    ahead = crowd.gamma(1.7, 2.6 / 1.7)
    lanes = len(same) + len(opposite)
    gap_m = AHEAD_M * lanes / max(ahead, 0.02)
    for lane in same:
        in_ego_lane = lane == ego.motion.lane
        slow = (
            0.0
            if name == 'junction'
            else speed * (1.0 if in_ego_lane else crowd.uniform(0.8, 1.3))
        )
        flows.add(road, lane, slow, gap_m * (1.5 if in_ego_lane else 1.0))
    for lane in opposite:
        queue = name == 'junction' and crowd.random() < 0.5
        back = 0.0 if queue else speed * crowd.uniform(0.75, 1.3)
        if name != 'junction' or queue:
            flows.add(road, lane, -back, gap_m, start_m=30.0 if queue else None)
    if name == 'junction':
        _crossing(world, crowd, flows, road, width, speed, max(ahead, 0.6))
    if name in ('city', 'roadside', 'junction') and crowd.random() < 0.5:
        flows.park(same[-1] - 1.0, opposite[-1] + 1.0, crowd.uniform(9, 60))
    sways = tuple(
        (float(air.uniform(0, top)), float(air.uniform(0.8, 3)), float(air.uniform(0, 6.28)))
        for top in ((0.35, 0.5) if ego_speed else (0.02, 0.02))
    )
    noise = Noise(
        insertion_db=air.uniform(18, 32),
        wind_db=air.uniform(42, 60),
        breeze_mps=air.uniform(0, 5),
        self_db=air.uniform(24, 32),
        ambient_db=air.uniform(30, 48),
    )
    return Scene(
        seed=seed,
        duration_s=duration_s,
        rig=rig,
        setting=name,
        ego=ego,
        vehicles=tuple(flows.vehicles),
        ego_turn_deg=turn,
        body_sway=sways,
        temperature_c=air.uniform(-5, 35),
        humidity_percent=air.uniform(25, 95),
        noise=noise,
        corruption=random_corruption(errors) if corrupted else Corruption(),
    )


def _ego(
    rng: np.random.Generator, name: str, road: Road, lanes: list[float], speed: float
) -> tuple[Vehicle, float]:
    lane = float(rng.choice(lanes))
    aside, turn, sway = rng.normal(0, 0.25), 0.0, rng.uniform(0, 1.5)
    if name == 'roadside':
        # beside the road, looking along it or across it
        lane = lanes[-1] - 0.5
        aside, turn = -rng.uniform(1.5, 5.0), rng.uniform(-15, 70)
    motion = Motion(
        0.0,
        speed,
        sway if speed else 0.0,
        rng.uniform(0.2, 0.6),
        rng.uniform(0, 6.28),
        lane,
        aside,
        0.15 if speed else 0.0,
    )
    kind = 'car' if rng.random() < 0.8 else 'electric_car'
    running = bool(speed) or (rng.random() < 0.6 and name == 'junction')
    return random_vehicle(rng, 0, kind, road, motion, running), turn


def _crossing(
    world: np.random.Generator,
    crowd: np.random.Generator,
    flows: _Flows,
    road: Road,
    width: float,
    speed: float,
    ahead: float,
) -> None:
    """Add a crossing road with traffic, some metres ahead of the standing ego vehicle."""
    place = world.uniform(12, 28)
    origin, forward, _, _ = road.frame(place)
    heading = np.arctan2(forward[1], forward[0]) + np.deg2rad(world.uniform(65, 115))
    reach = HORIZON_M + 60 + 15 * flows.duration_s
    cross = random_road(world, -reach, reach, 1 / 500, 0.01, width, origin, heading)
    gap_m = 2 * AHEAD_M * 2 / ahead
    for lane, direction in ((-0.5, 1), (0.5, -1)):
        flows.add(cross, lane, direction * speed * crowd.uniform(0.8, 1.25), gap_m, around_m=0.0)


class _Flows:
    """Traffic in lanes, such that vehicles pass the ego vehicle throughout the drive."""

    def __init__(
        self,
        rng: np.random.Generator,
        road: Road,
        ego: Motion,
        duration_s: float,
        shares: tuple[float, ...],
    ) -> None:
        self.rng, self.road, self.ego = rng, road, ego
        self.duration_s, self.shares = duration_s, shares
        self.vehicles: list[Vehicle] = []

    def _vehicle(self, road: Road, motion: Motion, running: bool = True) -> Vehicle:
        kind = str(self.rng.choice(_KINDS, p=self.shares))
        return random_vehicle(self.rng, len(self.vehicles) + 1, kind, road, motion, running)

    def _reach(self, speed: float, around_m: float | None) -> tuple[float, float]:
        """Return the range of places at t = 0 from which a vehicle comes near during the drive."""
        times = np.array([-_MARGIN_S, self.duration_s + _MARGIN_S])
        ego = self.ego.along_m(times) if around_m is None else np.full(2, around_m)
        places = ego - speed * times
        return float(places.min() - HORIZON_M - 10), float(places.max() + HORIZON_M + 10)

    def add(
        self,
        road: Road,
        lane: float,
        speed: float,
        gap_m: float,
        start_m: float | None = None,
        around_m: float | None = None,
    ) -> None:
        """Add a lane of vehicles that all drive at the lane's speed, with exponential gaps."""
        low, high = self._reach(speed, around_m)
        ego_lane = road is self.road and lane == self.ego.lane
        room = 2.0 + 0.5 * abs(speed)
        if ego_lane:
            # outwards from the ego vehicle in both directions
            self._fill(road, lane, speed, gap_m, 2.5 + room, high, 1)
            self._fill(road, lane, speed, gap_m, -(2.5 + room), low, -1)
        else:
            begin = low - self.rng.exponential(gap_m) if start_m is None else start_m
            self._fill(road, lane, speed, gap_m, begin, high, 1)

    def _fill(
        self,
        road: Road,
        lane: float,
        speed: float,
        gap_m: float,
        begin: float,
        end: float,
        way: int,
    ) -> None:
        rng = self.rng
        room = 2.0 + 0.5 * abs(speed)
        place = begin + way * rng.exponential(gap_m)
        while way * (end - place) > 0:
            motion = Motion(
                0.0,
                speed,
                rng.uniform(0, 1.0) * min(abs(speed) / 10, 1),
                rng.uniform(0.2, 0.7),
                rng.uniform(0, 6.28),
                lane,
                rng.normal(0, 0.3),
                rng.uniform(0, 0.3) * (speed != 0),
            )
            vehicle = self._vehicle(road, motion)
            middle = place + way * vehicle.length_m / 2
            self.vehicles.append(replace(vehicle, motion=replace(motion, start_m=middle)))
            place += way * (vehicle.length_m + room + rng.exponential(gap_m))

    def park(self, right: float, left: float, gap_m: float) -> None:
        """Add silent vehicles along both edges of the road."""
        low, high = self._reach(0.0, None)
        for lane in (right, left):
            place = low + self.rng.exponential(gap_m)
            while place < high:
                motion = Motion(place, 0.0, lane=lane, aside_m=self.rng.normal(0, 0.15))
                vehicle = self._vehicle(self.road, motion, running=False)
                near = np.linalg.norm(vehicle.pose(0.0)[0] - self.road.point(0.0)) < 8
                clear = abs(place) > 8 or not near or self.ego.speed_mps != 0
                if clear and vehicle.kind != 'lorry':
                    self.vehicles.append(vehicle)
                place += vehicle.length_m + 1.0 + self.rng.exponential(gap_m)


def fewer_parked(scene: Scene) -> Scene:
    """Remove most parked vehicles from a drive, so that on average 3 vehicles are visible."""
    stays = np.random.default_rng([scene.seed, 8]).random(len(scene.vehicles)) < PARKED_STAY
    kept = [v for v, stay in zip(scene.vehicles, stays, strict=True) if stay or v.sound.running]
    return replace(scene, vehicles=tuple(kept))


def furnished(
    scene: Scene,
    corrupted: bool = True,
    recordings: Recordings | None = None,
) -> Scene:
    """Add walls, buildings and distractors to a drive, and the errors of a neglected array.

    One in ten drives in a lane goes through a tunnel (setting 'tunnel'). Streets in town have
    building fronts. Buildings at the corners of junctions hide crossing traffic. There are up to
    three distractors. The drive's road, traffic and true boxes are unchanged.

    Args:
        scene: from `random_scene`.
        corrupted: False for the clean variant.
        recordings: loops that replace the synthetic sound of vehicles.
    """
    rng, errors = (np.random.default_rng([scene.seed, stream]) for stream in (4, 5))
    road, width = scene.ego.road, scene.ego.road.lane_width_m
    used = [v for v in scene.vehicles if v.road is road] + [scene.ego]
    asides = [v.motion.lane * width * 1.1 + v.motion.aside_m for v in used] + [-width, width]
    right, left = min(asides) - width / 2, max(asides) + width / 2
    setting, walls = scene.setting, None
    drawn = rng.random()
    if setting in ('city', 'country', 'motorway') and drawn < 0.1:
        setting, walls = 'tunnel', tunnel(rng, road, right, left)
    elif setting in ('city', 'roadside') and drawn < 0.85:
        walls = building_fronts(rng, road, right, left)
    distractors: tuple[Distractor, ...] = ()
    if setting != 'tunnel':
        middle = scene.ego.motion.along_m(scene.duration_s / 2)
        origin, forward, _, _ = road.frame(middle)
        heading = float(np.arctan2(forward[1], forward[0]))
        distractors = random_distractors(rng, origin, heading, scene.duration_s)
    corruption = severe_corruption(errors, scene.duration_s) if corrupted else Corruption()
    buildings: tuple[Building, ...] = ()
    if scene.crossing is not None:
        corners = np.random.default_rng([scene.seed, 7])
        buildings = corner_buildings(corners, road, scene.crossing, right, left)
    return replace(
        scene,
        setting=setting,
        walls=walls,
        distractors=distractors,
        corruption=corruption,
        recordings=recordings,
        buildings=buildings,
    )
