"""Mounting of a vehicle's camera and array, on which the boxes of a model of contract 1 depend.

Such a model has learned which direction belongs to which place in the image. With another focal
length, another viewing direction of the camera or a turned array, every box is silently wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.rig import Rig, yaw_pitch_roll_deg

FOCAL_PART = 0.02
"""Allowed relative difference in focal length: half a degree at the edge of the image."""

PRINCIPAL_PART = 0.01
"""Allowed offset of the principal point, as a fraction of the image's width."""

PLACE_M = 0.1
"""Allowed offset of camera or array: half a degree at 12 m."""

TURN_DEG = 1.0
"""Allowed rotation of camera or array: a fifth of a car's width at 10 m."""


@dataclass(frozen=True)
class Mounting:
    """Camera and array in base_link.

    Attributes:
        focal_px: (2,) float64 fx, fy.
        principal_px: (2,) float64 cx, cy.
        camera_position_m: (3,) float64.
        camera_rotation: (3, 3) float64, from base_link to the optical frame.
        array_position_m: (3,) float64.
        array_yaw_deg: about z, left positive.
    """

    focal_px: np.ndarray
    principal_px: np.ndarray
    camera_position_m: np.ndarray
    camera_rotation: np.ndarray
    array_position_m: np.ndarray
    array_yaw_deg: float

    def numbers(self) -> dict[str, np.ndarray]:
        """Return each attribute as an array, by its key in a model file."""
        return {name: np.asarray(value, np.float64) for name, value in vars(self).items()}

    def differences(self, rig: Rig) -> list[tuple[str, str, str]]:
        """List all differences to a rig: key, value in training, value of the rig."""
        actual, found = mounting_of(rig), []
        focal = np.abs(self.focal_px / actual.focal_px - 1).max()
        principal = np.abs(self.principal_px - actual.principal_px).max() / rig.camera.width_px
        for key, apart, most in (
            ('focal_px', focal, FOCAL_PART),
            ('principal_px', principal, PRINCIPAL_PART),
        ):
            if apart > most:
                found.append((key, _listed(getattr(self, key)), _listed(getattr(actual, key))))
        for key in ('camera_position_m', 'array_position_m'):
            taught_m, actual_m = getattr(self, key), getattr(actual, key)
            if (apart_m := float(np.linalg.norm(actual_m - taught_m))) > PLACE_M:
                found_text = f'{_listed(actual_m)} m, {apart_m:.2f} m away,'
                found.append((key, f'{_listed(taught_m)} m', found_text))
        turn_deg = _turn_deg(actual.camera_rotation, self.camera_rotation)
        if turn_deg > TURN_DEG:
            taught_deg, here_deg = (
                _angles_deg(self.camera_rotation),
                _angles_deg(actual.camera_rotation),
            )
            found.append(('camera_rotation', taught_deg, f'{here_deg}, {turn_deg:.1f} away,'))
        yaw_deg = abs((self.array_yaw_deg - actual.array_yaw_deg + 180) % 360 - 180)
        if yaw_deg > TURN_DEG:
            found.append(('array_yaw_deg', f'{self.array_yaw_deg:g}', f'{actual.array_yaw_deg:g}'))
        return found


def mounting_of(rig: Rig) -> Mounting:
    """Return the mounting of a rig's camera and array."""
    camera = rig.camera
    return Mounting(
        focal_px=np.array([camera.fx, camera.fy]),
        principal_px=np.array([camera.cx, camera.cy]),
        camera_position_m=camera.position_m,
        camera_rotation=camera.rotation,
        array_position_m=rig.array_position_m,
        array_yaw_deg=rig.array_yaw_deg,
    )


def _turn_deg(one: np.ndarray, other: np.ndarray) -> float:
    """Angle of the rotation from one orientation to another."""
    cos = (np.trace(one @ other.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cos, -1, 1))))


def _angles_deg(rotation: np.ndarray) -> str:
    """A camera's yaw, pitch and roll, as in a rig file."""
    angles = yaw_pitch_roll_deg(rotation).round(1) + 0.0  # no -0
    return f'yaw, pitch, roll {_listed(angles)} degrees'


def _listed(values: np.ndarray) -> str:
    return '(' + ', '.join(f'{value:g}' for value in values) + ')'
