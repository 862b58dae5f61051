"""The depth camera: the disparities of a stereo matcher with noise, gaps and limited range."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.dataset.depth_colours import BASELINE_M, colour_coded
from avdet_ros.simulation.pictures.materials import column
from avdet_ros.simulation.pictures.sky import noise_image
from avdet_ros.simulation.pictures.world import World

_UNMATCHED, _UNMATCHED_WET = column('unmatched'), column('unmatched_wet')


class DepthCamera:
    """Renders one drive's depth pictures, on a grid of half the image's resolution."""

    def __init__(self, world: World) -> None:
        self.world = world
        conditions = world.conditions
        camera = world.scene.rig.camera
        self.focal_px = camera.fx
        shape = camera.height_px // 2, camera.width_px // 2
        rng = np.random.default_rng([conditions.seed, 151])
        big = shape[0] + 64, shape[1] + 64
        noise = cv2.GaussianBlur(rng.normal(0, 1, big).astype(np.float32), (0, 0), 1.1)
        self.noise = noise / noise.std()
        # gaps form patches with ragged edges
        patches = 0.7 * noise_image(rng, *big, 32) + 0.3 * rng.random(big)
        order = np.argsort(patches, axis=None)
        ranks = np.empty(order.size, np.float32)
        ranks[order] = np.arange(order.size, dtype=np.float32) / order.size
        self.gaps = ranks.reshape(big)
        x, y = np.arange(shape[1]) * 2 + 0.5, np.arange(shape[0]) * 2 + 0.5
        self.x, self.y = x.astype(np.float32)[None], y.astype(np.float32)[:, None]

    def exact_m(self, t_s: float, without: frozenset[int] = frozenset()) -> np.ndarray:
        """(h, w) float32 true depth of the surfaces along the optical axis; inf in the sky."""
        composed = self.world.compose(t_s, without)
        plane = composed.plane.astype(np.float32)
        inverse = composed.look_up(plane[:, 0], 0.0) * self.x
        inverse += composed.look_up(plane[:, 1], 0.0) * self.y
        inverse += composed.look_up(plane[:, 2], 0.0)
        # the plane of a face seen edge-on gives extreme depths: use the face's mean depth there
        mean = composed.look_up((1 / np.maximum(composed.depth_m, 0.1)).astype(np.float32), 0.0)
        wild = (inverse < 0.3 * mean) | (inverse > 3.5 * mean)
        ground = composed.index < composed.ground
        inverse = np.where(wild & ~ground, mean, np.maximum(inverse, 0))
        with np.errstate(divide='ignore'):
            return np.where(composed.index >= 0, 1 / np.maximum(inverse, 1e-6), np.inf).astype(
                np.float32
            )

    def paint(
        self, t_s: float, rgb: np.ndarray, without: frozenset[int] = frozenset()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render one picture.

        Args:
            t_s: drive time.
            rgb: (H, W, 3) uint8 picture of the same instant; the matcher fails on its dark areas.
            without: identities of vehicles to leave out.

        Returns:
            colours: (H, W, 3) uint8 BGR, colour-coded disparity.
            metres: (H / 2, W / 2) float16, 0 where unknown.
        """
        conditions = self.world.conditions
        composed = self.world.compose(t_s, without)
        exact = self.exact_m(t_s, without)
        shift = np.random.default_rng([conditions.seed, 157, round(t_s * 1e3) % (1 << 31)])
        top, left = (int(n) for n in shift.integers(0, 64, 2))
        part = slice(top, top + exact.shape[0]), slice(left, left + exact.shape[1])
        disparity = self.focal_px * BASELINE_M / exact
        material = composed.faces.material
        wet = min(1.0, 1.6 * conditions.rain) * (not self.world.surroundings.tunnel)
        lost = (1 - wet) * _UNMATCHED[material] + wet * _UNMATCHED_WET[material]
        lost = composed.look_up(lost.astype(np.float32), 1.0)
        grey = cv2.resize(rgb, exact.shape[::-1], interpolation=cv2.INTER_AREA)
        grey = cv2.blur(cv2.cvtColor(grey, cv2.COLOR_BGR2GRAY), (9, 5)).astype(np.float32)
        dark = np.clip((34 - grey) / 34, 0, 1)
        blind = np.clip((grey - 246) / 8, 0, 1)
        readiness = 0.35 + 1.3 * conditions.depth_dropout
        fades = np.clip(
            (exact - 0.75 * conditions.depth_range_m) / (0.25 * conditions.depth_range_m), 0, 1
        )
        chance = readiness * (lost + 0.75 * dark + 0.8 * blind) + fades
        noise = conditions.depth_noise_px * (1 + 1.5 * dark) * self.noise[part]
        measured = np.where(np.isfinite(exact), disparity + noise, 0)
        smallest = self.focal_px * BASELINE_M / conditions.depth_range_m
        known = (self.gaps[part] >= chance) & (measured > smallest)
        measured = np.where(known, measured, 0).astype(np.float32)
        # isolated pixels are filtered out, as matchers do
        measured = np.where(known, cv2.medianBlur(measured, 3), 0)
        with np.errstate(divide='ignore'):
            metres = np.where(measured > 0, self.focal_px * BASELINE_M / measured, 0)
        camera = composed.view.camera
        large = cv2.resize(
            colour_coded(measured),
            (camera.width_px, camera.height_px),
            interpolation=cv2.INTER_NEAREST,
        )
        return large, np.minimum(metres, 60000).astype(np.float16)
