"""Error-free odometry of the ego vehicle: pose, velocity and turn rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from avdet_ros.dataset.odometry import STEP_S, Odometry

if TYPE_CHECKING:
    from avdet_ros.simulation.scene import Scene

_APART_S = 0.05
"""Velocities are differences between the poses this long before and after the instant."""


@dataclass(frozen=True)
class EgoState:
    """State of the ego vehicle at several instants.

    Attributes:
        position_m: (..., 3) base_link in the drive's world.
        rotation: (..., 3, 3) base_link to world.
        velocity_mps: (..., 3) velocity in base_link.
        turning_rad_s: (..., 3) angular velocity in base_link.
    """

    position_m: np.ndarray
    rotation: np.ndarray
    velocity_mps: np.ndarray
    turning_rad_s: np.ndarray


def ego_state(scene: Scene, time_s: ArrayLike) -> EgoState:
    """Compute the ego vehicle's state at drive times (...)."""
    now_s = np.asarray(time_s, np.float64)
    (position_before, rotation_before), (position_after, rotation_after) = (
        scene.ego_pose(now_s + step) for step in (-_APART_S, _APART_S)
    )
    position, rotation = scene.ego_pose(now_s)
    back = np.swapaxes(rotation, -1, -2)
    velocity = (back @ (position_after - position_before)[..., None])[..., 0] / (2 * _APART_S)
    between = (np.swapaxes(rotation_before, -1, -2) @ rotation_after).reshape(-1, 3, 3)
    rates = Rotation.from_matrix(between).as_rotvec().reshape(position.shape) / (2 * _APART_S)
    return EgoState(position, rotation, velocity, rates)


def ego_odometry(scene: Scene, start_ns: int) -> Odometry:
    """Compute a whole drive's planar odometry, as stored with drives.

    Args:
        scene: the drive.
        start_ns: start of the drive.
    """
    time_s = np.arange(round(scene.duration_s / STEP_S) + 1) * STEP_S
    state = ego_state(scene, time_s)
    yaw_rad = np.arctan2(state.rotation[:, 1, 0], state.rotation[:, 0, 0])
    stamps_ns = start_ns + np.round(time_s * 1e9).astype(np.int64)
    x_m, y_m, _ = np.moveaxis(state.position_m, -1, 0)
    return Odometry(stamps_ns, x_m, y_m, yaw_rad, state.velocity_mps[:, 0])
