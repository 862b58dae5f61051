"""Blind corners: junctions between buildings, and the side on which a vehicle is about to emerge.

A vehicle is coming if a building hides it now and it comes into sight within `WITHIN_S`, in the
front sector of `detection.steering`. This depends on positions only, not on a camera's image, so
it holds for any camera that looks ahead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.detection.steering import FRONT_DEG, heading_rad
from avdet_ros.rig import Rig
from avdet_ros.simulation.buildings import length_in_sight, stacked
from avdet_ros.simulation.fleet import fleet_poses, only_near
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import meeting_m
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.truth import LABEL_DISTANCE_M

WITHIN_S = 4.0
"""A hidden vehicle that comes into sight within this time counts as coming."""

UNSURE_S = 6.0
"""A vehicle that comes into sight after `WITHIN_S` but within this time is left unlabelled."""

LEAST_SIDE_DEG = 4.0
"""Minimum azimuth from the heading for a vehicle to be on a side."""

IN_SIGHT = 0.3
"""Minimum fraction of a vehicle's length in sight for the vehicle to count as in sight."""

DRIVING_MPS, STOP_M = 4.0, 6.0
"""Speed of the ego vehicle towards a junction, and where it ends, before the junction's middle."""

APPROACH_MPS = (2.0, 7.0)
"""Range from which `blind_corner` draws this speed."""

_STEP_S = 0.5


def blind_corner(seed: int, rig: Rig, duration_s: float) -> Scene:
    """Draw a furnished drive at a junction; half of the ego vehicles drive up to it.

    Args:
        seed: seed of the drive.
        rig: microphones and camera.
        duration_s: length; traffic continues for another `WITHIN_S`.
    """
    scene = random_scene(seed, rig, duration_s + WITHIN_S, corrupted=False, setting='junction')
    scene = add_to_drive(scene, corrupted=False)
    rng = np.random.default_rng([seed, 19])
    driving = drive_up(scene, float(rng.uniform(*APPROACH_MPS))) if rng.random() < 0.5 else None
    return driving or scene


def drive_up(scene: Scene, speed_mps: float = DRIVING_MPS) -> Scene | None:
    """Let the ego vehicle drive up to the junction; None if the drive has no crossing road."""
    crossing, ego = scene.crossing, scene.ego
    if crossing is None:
        return None
    end_m = meeting_m(ego.road, crossing) - STOP_M
    motion = Motion(
        end_m - speed_mps * scene.duration_s,
        speed_mps,
        lane=ego.motion.lane,
        aside_m=ego.motion.aside_m,
    )
    # The ego vehicle would drive through vehicles that stand in its lane.
    vehicles = tuple(
        vehicle
        for vehicle in scene.vehicles
        if vehicle.road is not ego.road or abs(vehicle.motion.lane - ego.motion.lane) > 0.6
    )
    sound = replace(ego.sound, running=True)
    return replace(scene, ego=replace(ego, motion=motion, sound=sound), vehicles=vehicles)


def coming_sides(scene: Scene, t_s: float) -> np.ndarray:
    """Find the sides on which an audible vehicle is about to emerge from behind a building.

    Args:
        scene: any drive.
        t_s: drive time.

    Returns:
        (2,) int8, left and right of the camera's heading: 1 where a vehicle is coming, 0 where
        none is, -1 where it is too faint or comes between `WITHIN_S` and `UNSURE_S` (unlabelled).
    """
    sides = np.zeros(2, np.int8)
    if not scene.buildings:
        return sides
    near = only_near(scene, t_s, LABEL_DISTANCE_M + 10.0)
    times = t_s + np.arange(0, UNSURE_S + 1e-6, _STEP_S)
    azimuth, range_m, clear = _seen_from(near, times)
    hidden = ~clear[:, 0] & (range_m[:, 0] <= LABEL_DISTANCE_M)
    seen = clear & (np.abs(azimuth) <= FRONT_DEG)
    coming = hidden & seen.any(axis=1) & (np.abs(azimuth[:, 0]) >= LEAST_SIDE_DEG)
    if not coming.any():
        return sides
    truth = near.truth(t_s)
    audible = set(truth.ids[truth.audible].tolist())
    for row in np.flatnonzero(coming):
        soon = times[int(seen[row].argmax())] - t_s <= WITHIN_S
        sure = soon and near.vehicles[row].vehicle_id in audible
        side = 0 if azimuth[row, 0] > 0 else 1
        sides[side] = 1 if sure or sides[side] == 1 else -1
    return sides


def corner_starts_s(scene: Scene, windows: int, length_s: float, window_s: float) -> list[float]:
    """Draw window starts; every other window ends when a vehicle is coming, if there is one.

    Args:
        scene: see `blind_corner`.
        windows: number of windows.
        length_s: length of the part of the drive that they lie in.
        window_s: length of a window.
    """
    rng = np.random.default_rng([scene.seed, 9])
    times = np.arange(window_s, length_s + WITHIN_S + 1e-6, _STEP_S)
    azimuth, range_m, clear = _seen_from(scene, times)
    seen = clear & (np.abs(azimuth) <= FRONT_DEG)
    hidden = ~clear & (range_m <= LABEL_DISTANCE_M)
    ahead = round(WITHIN_S / _STEP_S)
    soon = np.zeros_like(seen)
    for step in range(1, ahead + 1):
        soon[:, :-step] |= seen[:, step:]
    moments = times[(hidden & soon).any(axis=0) & (times <= length_s)]
    ends = rng.uniform(window_s, length_s, windows)
    if len(moments):
        ends[::2] = rng.choice(moments, len(ends[::2])) + rng.uniform(-0.25, 0.25, len(ends[::2]))
    return (np.clip(ends, window_s, length_s).round(2) - window_s).tolist()


def _seen_from(scene: Scene, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Locate each of V vehicles at T times, seen from the camera.

    Returns:
        azimuth_deg relative to the camera's heading, left positive; range_m; whether no building
        hides the vehicle, computed for near ones and True for others; (V, T) each.
    """
    place, turn = fleet_poses(scene.vehicles, times_s)
    every, camera = stacked(scene.buildings), scene.rig.camera
    azimuth, range_m = np.empty(place.shape[:2]), np.empty(place.shape[:2])
    clear = np.ones(place.shape[:2], bool)
    for column, t_s in enumerate(times_s):
        position, rotation = scene.ego_pose(float(t_s))
        eye = position + rotation @ camera.position_m
        apart = (place[:, column] - eye) @ rotation
        angle = np.degrees(np.arctan2(apart[:, 1], apart[:, 0]) - heading_rad(camera))
        azimuth[:, column] = (angle + 180) % 360 - 180
        range_m[:, column] = np.hypot(apart[:, 0], apart[:, 1])
        for row in np.flatnonzero(range_m[:, column] <= LABEL_DISTANCE_M + 40.0):
            forward, length_m = turn[row, column, :, 0], scene.vehicles[row].length_m
            share = length_in_sight(every, eye, place[row, column], forward, length_m)
            clear[row, column] = share >= IN_SIGHT
    return azimuth, range_m, clear
