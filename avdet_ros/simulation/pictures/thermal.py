"""The thermal camera: temperatures of surfaces as 16-bit counts.

The scale is 80 counts per kelvin from absolute zero, so that MAVD's clip range of 21800 to 25000
counts corresponds to -0.65 to 39.35 degrees Celsius. The camera has half the RGB image's
resolution; its picture is interpolated to the RGB image's pixels, like an aligned picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.simulation.pictures.composition import GROUND, STILL, Composition
from avdet_ros.simulation.pictures.light import GroundLight, thing_shadows
from avdet_ros.simulation.pictures.materials import column
from avdet_ros.simulation.pictures.sky import look_at_sky, noise_image
from avdet_ros.simulation.pictures.world import World

COUNTS_PER_K = 80.0
ZERO_C_K = 273.15
QUANTUM = 4
"""Counts have steps of four, a twentieth of a kelvin: below the noise, and easy to compress."""

_SOLAR, _WARM, _COLD = column('solar_k'), column('warm_k'), column('cold_sky')


def counts(temperature_c: np.ndarray) -> np.ndarray:
    """Convert degrees Celsius to counts (float)."""
    return (np.asarray(temperature_c) + ZERO_C_K) * COUNTS_PER_K


def temperature_c(count: np.ndarray) -> np.ndarray:
    """Convert counts to degrees Celsius."""
    return np.asarray(count, np.float32) / COUNTS_PER_K - ZERO_C_K


class ThermalCamera:
    """Renders one drive's thermal pictures."""

    def __init__(self, world: World, ground_light: GroundLight, land: np.ndarray) -> None:
        self.world, self.ground_light = world, ground_light
        conditions = world.conditions
        self.tunnel = world.surroundings.tunnel
        rng = np.random.default_rng([conditions.seed, 137])
        camera = world.scene.rig.camera
        self.shape = camera.height_px // 2, camera.width_px // 2
        self.noise = rng.normal(0, 1, (self.shape[0] + 64, self.shape[1] + 64)).astype(np.float32)
        self.columns = rng.normal(0, 0.35, self.shape[1]).astype(np.float32)
        # a clear sky is cold; clouds and woods are nearly as warm as the air
        height = np.linspace(34, -6, land.shape[0], dtype=np.float32)[:, None]
        clear = -34 + 30 * np.exp(-np.clip(height, 0, None) / 9)
        clouds = noise_image(rng, land.shape[0], land.shape[1], 96)
        cover = np.clip(conditions.cloud + 0.5 * (clouds - 0.5) * (1 - conditions.cloud), 0, 1)
        sky = clear * (1 - 0.82 * cover) - 1.5
        self.sky = np.where(land, -1.0, sky).astype(np.float32) + np.float32(conditions.air_c)
        self.sun_k = conditions.direct * float(np.clip(conditions.sun_elevation_deg / 45, 0.15, 1))
        hot = np.clip((conditions.air_c - 12) / 20, 0.45, 1.5)
        self.sun_k *= float(hot) * (not self.tunnel)

    def paint(self, t_s: float, without: frozenset[int] = frozenset()) -> np.ndarray:
        """Render one picture, (H, W) uint16 counts."""
        conditions = self.world.conditions
        composed = self.world.compose(t_s, without)
        faces, material = composed.faces, composed.faces.material
        air = conditions.air_c
        facing = np.clip(faces.normals @ conditions.sun, 0, 1)
        exposure = np.where(composed.owner == GROUND, 0.75, 0.35 + 0.65 * facing)
        wet = 1 - 0.8 * conditions.rain
        surface = air + _SOLAR[material] * self.sun_k * exposure * wet
        clear = (1 - conditions.cloud) * (not self.tunnel)
        upward = np.clip(0.3 + 0.7 * faces.normals[:, 2], 0, 1)
        surface -= 22 * clear * _COLD[material] * upward
        # asphalt and walls keep the day's warmth at night
        stores = (composed.owner == GROUND) & (_SOLAR[material] > 10)
        surface[stores] += 2.5 * (1 - conditions.daylight) * wet
        warmth = np.array([0.0] + [placed.warmth for placed in composed.vehicles])
        on_vehicle = composed.owner >= 0
        surface += _WARM[material] * warmth[np.where(on_vehicle, composed.owner, -1) + 1] * wet
        # a little variety among objects of the same kind
        variety = np.random.default_rng([conditions.seed, 139]).normal(0, 0.5, 64)
        surface += np.where(composed.owner == STILL, variety[(material * 7) % 64], 0.0)
        # damp or hazy air reduces the contrast
        carried = np.exp(-(0.0012 + 0.35 * conditions.haze_per_m) * composed.depth_m)
        surface = air + (surface - air) * carried
        picture = composed.look_up(surface.astype(np.float32), 0.0)
        self._sky(composed, picture)
        self._ground(composed, picture, wet)
        picture = cv2.GaussianBlur(picture, (0, 0), max(conditions.thermal_blur_px, 0.3))
        shift = np.random.default_rng([conditions.seed, 149, round(t_s * 1e3) % (1 << 31)])
        top, left = (int(n) for n in shift.integers(0, 64, 2))
        noise = self.noise[top : top + self.shape[0], left : left + self.shape[1]] + self.columns
        picture = picture + np.float32(conditions.thermal_noise_k * (1 + conditions.rain)) * noise
        camera = composed.view.camera
        size = camera.width_px, camera.height_px
        large = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        steps = (large + np.float32(ZERO_C_K)) * np.float32(COUNTS_PER_K / QUANTUM)
        return np.clip(np.round(steps) * QUANTUM, 0, 65535).astype(np.uint16)

    def _sky(self, composed: Composition, picture: np.ndarray) -> None:
        shown = composed.index < 0
        rows = int(np.count_nonzero(shown.any(axis=1)))
        if self.tunnel or not rows:
            picture[shown] = self.world.conditions.air_c
            return
        last = int(np.flatnonzero(shown.any(axis=1))[-1]) + 1
        sky = look_at_sky(composed.view, self.sky, 2 * last)[:last]
        picture[:last] = np.where(shown[:last], sky, picture[:last])

    def _ground(self, composed: Composition, picture: np.ndarray, wet: float) -> None:
        """Add cool shadows, and the warmth of engines on the road beneath them."""
        conditions = self.world.conditions
        on_ground = (composed.index >= 0) & (composed.index < composed.ground)
        things = thing_shadows(composed, conditions, self.world.surroundings.things)
        shadow, beneath = self.ground_light.shadows(composed, conditions, things, self.tunnel)
        warmth = np.mean([p.warmth for p in composed.vehicles]) if composed.vehicles else 0.0
        change = -9.0 * self.sun_k * shadow * wet + 3.0 * float(warmth) * beneath
        texture = (self.ground_light.texture(composed) - 1) * (2.0 + 8 * self.sun_k)
        picture += np.where(on_ground, change + texture, 0).astype(np.float32)
