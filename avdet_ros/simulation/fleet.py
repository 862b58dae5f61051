"""Poses of many vehicles at once, and selection of near ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avdet_ros.simulation.scene import HORIZON_M, Scene
from avdet_ros.simulation.vehicles import Vehicle


def fleet_poses(vehicles: Sequence[Vehicle], times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute `Vehicle.pose` of many vehicles, road by road.

    Args:
        vehicles: V vehicles.
        times_s: (T,) drive times.

    Returns:
        position: (V, T, 3) float64 world.
        rotation: (V, T, 3, 3) float64, vehicle to world.
    """
    times = np.asarray(times_s, np.float64)
    position = np.empty((len(vehicles), len(times), 3))
    rotation = np.empty((len(vehicles), len(times), 3, 3))
    roads: dict[int, list[int]] = {}
    for row, vehicle in enumerate(vehicles):
        if vehicle.motion.changes:  # rare, and turned relative to the road
            position[row], rotation[row] = vehicle.pose(times)
        else:
            roads.setdefault(id(vehicle.road), []).append(row)
    for rows in roads.values():
        some = [vehicles[row] for row in rows]
        road = some[0].road
        along = np.stack([vehicle.motion.along_m(times) for vehicle in some])
        centre, forward, left, up = road.frame(along)
        width = road.width_m(along)
        for index, (row, vehicle) in enumerate(zip(rows, some, strict=True)):
            motion = vehicle.motion
            turn = motion.wander_rate_rad_s * times + vehicle.vehicle_id
            wander = motion.wander_m * np.sin(turn)
            aside = motion.lane * width[index] + motion.aside_m + wander
            position[row] = centre[index] + aside[:, None] * left[index]
            way = -1.0 if motion.speed_mps < 0 else 1.0
            rotation[row, :, :, 0] = way * forward[index]
            rotation[row, :, :, 1] = way * left[index]
            rotation[row, :, :, 2] = up[index]
    return position, rotation


def only_near(scene: Scene, t_s: float, within_m: float = HORIZON_M + 25.0) -> Scene:
    """Keep only the vehicles near at a time; the drive's truth at that time is unchanged."""
    if not scene.vehicles:
        return scene
    position, _ = fleet_poses(scene.vehicles, np.array([t_s]))
    ego_position = scene.ego.pose(float(t_s))[0]
    near = np.linalg.norm(position[:, 0] - ego_position, axis=1) < within_m
    kept = tuple(v for v, stays in zip(scene.vehicles, near, strict=True) if stays)
    return replace(scene, vehicles=kept)
