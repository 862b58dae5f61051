"""The RGB camera: light, wetness, glare and lamps of a drive."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.simulation.pictures.composition import GROUND, Composition
from avdet_ros.simulation.pictures.faces import NEAR_M
from avdet_ros.simulation.pictures.lens import add_light, drops, streaks
from avdet_ros.simulation.pictures.light import (
    GroundLight,
    ambient,
    shade_bodies,
    sunlight,
    thing_shadows,
)
from avdet_ros.simulation.pictures.materials import INDEX, column
from avdet_ros.simulation.pictures.sky import horizon_colour, look_at_sky, panorama
from avdet_ros.simulation.pictures.world import World

_GLOWS = column('glows') > 0
SMOOTH_M = 30.0
"""Up to this depth, wetness and haze of the road vary from pixel to pixel."""

_FULL = 160.0
"""Value that stands for light 1 in the map by which the ground is multiplied."""


class RgbCamera:
    """Renders one drive's RGB pictures; caches everything that does not change between them."""

    def __init__(self, world: World) -> None:
        self.world, self.conditions = world, world.conditions
        conditions = self.conditions
        self.tunnel = world.surroundings.tunnel
        camera = world.scene.rig.camera
        self.ground_light = GroundLight(camera, conditions)
        colours, self.land = panorama(conditions, world.scene.setting)
        if self.tunnel:
            colours = 0 * colours + np.array([0.20, 0.19, 0.17], np.float32)
        self.sky = (255 * colours[..., ::-1]).astype(np.uint8)
        rng = np.random.default_rng([conditions.seed, 127])
        size = (camera.height_px + 64, camera.width_px + 64)
        dark = 1 - conditions.daylight
        sigma = (1.6 + 3.6 * dark) if not self.tunnel else 2.5
        noise = rng.normal(0, sigma, size).astype(np.float32)
        self.brighter = np.clip(noise, 0, 60).astype(np.uint8)
        self.darker = np.clip(-noise, 0, 60).astype(np.uint8)
        self.streaks = [streaks(rng, size, conditions.rain, dark) for _ in range(3)]
        self.drops = drops(rng, camera.height_px, camera.width_px, conditions.lens_drops)
        self.sprites: dict[int, np.ndarray] = {}

    def paint(self, t_s: float, without: frozenset[int] = frozenset()) -> np.ndarray:
        """Render one picture.

        Args:
            t_s: drive time.
            without: identities of vehicles to leave out.

        Returns:
            (H, W, 3) uint8 BGR.
        """
        composed = self.world.compose(t_s, without)
        camera = composed.view.camera
        image = np.empty((camera.height_px, camera.width_px, 3), np.uint8)
        self._paint_sky(composed, image)
        colours = shade_bodies(
            composed, self.conditions, self.tunnel, self.world.surroundings.lamps_m
        )
        rounded = np.clip(255 * colours[:, ::-1], 0, 255).astype(int).tolist()
        composed.paint(
            image,
            rounded,
            composed.fixed(1.0),
            True,
            lambda img: self._light_ground(composed, img),
        )
        self._lamps(composed, image)
        self._glare(composed, image)
        return self._lens(image, t_s)

    def _paint_sky(self, composed: Composition, image: np.ndarray) -> None:
        camera = composed.view.camera
        # down to the lowest point of a tilted horizon; the ground is painted over it
        tilt = abs(composed.view.axes[0, 2]) * camera.width_px / 2
        level = camera.cy + camera.fy * composed.rotation[2, 0] + tilt
        rows = int(np.clip(level + 90, 40, camera.height_px)) // 2 * 2
        sky = look_at_sky(composed.view, self.sky, rows)
        image[:rows] = cv2.resize(sky, (camera.width_px, rows), interpolation=cv2.INTER_LINEAR)
        image[rows:] = np.array(255 * 0.5 * horizon_colour(self.conditions)[::-1]).astype(np.uint8)

    def _wet_ground(self, composed: Composition, image: np.ndarray) -> None:
        """Make wet asphalt darker nearby and let it mirror the sky far away."""
        rain = self.conditions.rain
        if not rain or self.tunnel:
            return
        stroke = composed.index_ground
        grass = np.append(composed.faces.material == INDEX['grass'], True)[stroke]
        wet = (stroke >= 0) & ~grass
        top = int(np.argmax(wet.any(axis=1)))
        grazing = np.clip(self._depth_m(composed)[top:] / 45, 0.08, 1) ** 0.7
        mirrors = np.where(wet[top:], 0.75 * min(1.0, 2 * rain) * grazing, 0)
        darker = np.where(wet[top:], 0.72 * (1 - mirrors), 1)
        day = self.conditions.daylight
        mirrored = horizon_colour(self.conditions) * (0.9 * day + 0.6 * (1 - day))
        part = image[2 * top :]
        size = part.shape[1::-1]
        kept, added = (
            cv2.resize((255 * share).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
            for share in (darker, mirrors)
        )
        light = np.empty_like(part)
        light[:] = np.clip(255 * mirrored[::-1], 0, 255)
        part[:] = cv2.add(
            cv2.multiply(part, cv2.merge([kept] * 3), scale=1 / 255),
            cv2.multiply(light, cv2.merge([added] * 3), scale=1 / 255),
        )

    def _depth_m(self, composed: Composition) -> np.ndarray:
        """(h, w) depth of the ground: nearby that of a flat road, far away that of its strokes."""
        flat = self.ground_light.forward
        far = np.append(composed.depth_m, 0.0)[composed.index_ground]
        return np.where((flat > 0) & (flat < SMOOTH_M), flat, far)

    def _light_ground(self, composed: Composition, image: np.ndarray) -> None:
        """Multiply the painted ground by its light and add haze."""
        self._wet_ground(composed, image)
        conditions, tunnel = self.conditions, self.tunnel
        ground = self.ground_light
        around = self.world.surroundings
        shadows = [] if tunnel else thing_shadows(composed, conditions, around.things)
        sun_hidden, sky_hidden = ground.shadows(composed, conditions, shadows, tunnel)
        pools = ground.pools(composed, conditions, tunnel, around.lamps_m)
        sky = float(ambient(conditions, tunnel).mean())
        sun = float(sunlight(conditions, tunnel).mean() * max(conditions.sun[2], 0))
        light = sky * (1 - 0.82 * sky_hidden) + sun * (1 - sun_hidden) * (1 - sky_hidden)
        light = (light + pools * (1 - 0.5 * sky_hidden)) * ground.texture(composed)
        stroke = composed.index_ground
        shown = stroke >= 0
        glows = np.append(_GLOWS[composed.faces.material], False)
        light = np.where(shown & ~glows[stroke], light, 1.0)
        top = int(np.argmax(shown.any(axis=1))) * 2
        small = np.clip(light[top // 2 :] * _FULL, 0, 255).astype(np.uint8)
        wide = cv2.resize(small, (image.shape[1], image.shape[0] - top))
        wide = cv2.merge([wide] * 3)
        part = image[top:]
        cv2.multiply(part, wide, part, 1 / _FULL)
        if not tunnel and conditions.haze_per_m > 0:
            depth = self._depth_m(composed)[top // 2 :]
            fade = np.where(shown[top // 2 :], 1 - np.exp(-conditions.haze_per_m * depth), 0)
            rows = int(np.count_nonzero((fade > 0.004).any(axis=1)))
            if rows:
                fade = cv2.resize((255 * fade[:rows]).astype(np.uint8), (image.shape[1], 2 * rows))
                part = part[: 2 * rows]
                fade = cv2.merge([fade[: len(part)]] * 3)
                haze = np.empty_like(part)
                haze[:] = np.clip(255 * horizon_colour(conditions)[::-1], 0, 255)
                part[:] = cv2.add(
                    cv2.multiply(part, 255 - fade, scale=1 / 255),
                    cv2.multiply(haze, fade, scale=1 / 255),
                )

    def _lamps(self, composed: Composition, image: np.ndarray) -> None:
        """Add the glow of lamps that face the camera, and their reflection in a wet road."""
        conditions = self.conditions
        dark = max(1 - conditions.daylight, 0.6 * self.tunnel, 0.25 * (conditions.rain > 0))
        if dark < 0.08:
            return
        shown = composed.index
        eye = composed.view.eye
        for row, placed in enumerate(composed.vehicles):
            if not placed.lights:
                continue
            forward = placed.rotation[:, 0]
            for lamp in placed.body.lamps:
                place = placed.position + placed.rotation @ np.array(lamp.place_m)
                towards = eye - place
                away = float(np.linalg.norm(towards))
                aligned = float(towards @ forward) / away * lamp.forward
                if aligned < 0.1:
                    continue
                strength = lamp.strength * dark * (0.35 + 0.65 * aligned**3)
                if lamp.forward > 0:
                    strength *= 1 + 1.2 * conditions.glare
                visible = self._seen(composed, shown, place, row)
                if visible:
                    self._glow(composed, image, place, lamp.colour, strength, away)
                if conditions.rain and visible:
                    below = place - 2 * lamp.place_m[2] * placed.rotation[:, 2]
                    self._mirror(composed, image, below, lamp.colour, strength * conditions.rain)
        if not self.tunnel and conditions.street_lamps:
            for lamp in self.world.surroundings.lamps_m:
                away = float(np.linalg.norm(lamp - eye))
                if 3 < away < 130 and self._seen(composed, shown, lamp, None):
                    self._glow(composed, image, lamp, (1.0, 0.82, 0.52), 0.5 * dark, away)
                    if conditions.rain:
                        below = lamp - [0, 0, 13.5]
                        self._mirror(
                            composed, image, below, (1.0, 0.82, 0.52), 0.25 * conditions.rain
                        )

    def _seen(
        self, composed: Composition, shown: np.ndarray, place: np.ndarray, row: int | None
    ) -> bool:
        """Return whether a lamp is visible: its pixel shows the object that carries it."""
        optical = composed.view.optical(place[None])
        if optical[0, 2] < NEAR_M:
            return False
        x, y = (composed.view.pixels(optical)[0] / 2).astype(int)
        if not (0 <= x < shown.shape[1] and 0 <= y < shown.shape[0]):
            return False
        patch = shown[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if row is None:
            depth = np.append(composed.depth_m, 1e9)[patch]
            return bool((depth > optical[0, 2] - 3).any())
        return bool((np.append(composed.owner, GROUND)[patch] == row).any())

    def _sprite(self, radius: int) -> np.ndarray:
        if radius not in self.sprites:
            y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
            r = np.hypot(x, y)
            core = np.exp(-((r / 0.10) ** 2)) + 0.42 * np.exp(-((r / 0.28) ** 2))
            rays = 0.10 * np.exp(-np.abs(x) / 0.35) * np.exp(-np.abs(y) / 0.018)
            halo = 0.16 * np.exp(-r / 0.3)
            whole = (core + rays + halo) * np.clip(1.2 * (1 - r), 0, 1)
            self.sprites[radius] = np.clip(whole, 0, 1.2).astype(np.float32)
        return self.sprites[radius]

    def _glow(
        self,
        composed: Composition,
        image: np.ndarray,
        place: np.ndarray,
        colour: tuple[float, float, float],
        strength: float,
        away: float,
    ) -> None:
        x, y = composed.view.pixels(composed.view.optical(place[None]))[0]
        wide = (30 + 620 / (away + 4)) * (0.45 + 0.75 * min(strength, 1.4))
        wide *= 1 + 0.5 * self.conditions.rain
        radius = int(np.clip(wide, 6, 170)) // 4 * 4 + 4
        sprite = self._sprite(radius) * (255 * min(strength, 1.3))
        add_light(image, sprite, round(x) - radius, round(y) - radius, colour)

    def _mirror(
        self,
        composed: Composition,
        image: np.ndarray,
        below: np.ndarray,
        colour: tuple[float, float, float],
        strength: float,
    ) -> None:
        """Add a long streak towards the camera at a lamp's mirror image in a wet road."""
        optical = composed.view.optical(below[None])
        if optical[0, 2] < 2:
            return
        x, y = composed.view.pixels(optical)[0]
        if not self._on_asphalt(composed, x, y):
            return
        tall, wide = int(70 + 700 / optical[0, 2]), int(6 + 120 / optical[0, 2])
        v, u = np.mgrid[-tall : tall + 1, -wide : wide + 1]
        streak = np.exp(-np.abs(v) / (0.32 * tall)) * np.exp(-((u / (0.45 * wide)) ** 2))
        streak = streak * np.clip(1 - np.abs(v) / tall, 0, 1)
        add_light(
            image,
            (120 * strength * streak).astype(np.float32),
            int(x) - wide,
            int(y) - tall,
            colour,
        )

    def _on_asphalt(self, composed: Composition, x: float, y: float) -> bool:
        height, width = composed.index_ground.shape
        column, row = int(x) // 2, int(y) // 2
        if not (0 <= column < width and 0 <= row < height):
            return False
        stroke = composed.index_ground[row, column]
        return stroke >= 0 and composed.faces.material[stroke] != INDEX['grass']

    def _glare(self, composed: Composition, image: np.ndarray) -> None:
        """Add the veil of a low sun in or near the picture."""
        conditions = self.conditions
        strength = conditions.glare * conditions.direct
        if strength < 0.03 or self.tunnel:
            return
        sun = composed.view.axes @ conditions.sun
        if sun[2] < 0.15:
            return
        x, y = composed.view.pixels(sun[None])[0]
        height, width = image.shape[0] // 4, image.shape[1] // 4
        v, u = np.mgrid[0:height, 0:width].astype(np.float32) * 4
        apart = np.hypot(u - x, v - y)
        angle = np.arctan2(v - y, u - x)
        rays = 1 + 0.25 * np.cos(6 * angle) ** 8
        veil = strength * (0.95 * np.exp(-apart / 60) + 0.55 * rays * np.exp(-apart / 260) + 0.16)
        veil = cv2.resize(veil, image.shape[1::-1])
        colour = np.array([0.80, 0.94, 1.0]) * 255
        for channel in range(3):
            light = np.clip(veil * colour[channel], 0, 255).astype(np.uint8)
            image[..., channel] = cv2.add(np.ascontiguousarray(image[..., channel]), light)

    def _lens(self, image: np.ndarray, t_s: float) -> np.ndarray:
        """Add rain in the air, drops on the lens and the sensor's noise."""
        height, width = image.shape[:2]
        shift = np.random.default_rng([self.conditions.seed, 131, round(t_s * 1e3) % (1 << 31)])
        if self.conditions.rain:
            top, left = (int(n) for n in shift.integers(0, 64, 2))
            streak = self.streaks[int(shift.integers(len(self.streaks)))]
            streak = streak[top : top + height, left : left + width]
            image = cv2.add(image, cv2.merge([streak] * 3))
            small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
            if self.drops is not None:
                blurred = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), (width, height))
                for x, y, r, mask in self.drops:
                    part = (slice(y, y + 2 * r), slice(x, x + 2 * r))
                    # a drop shows a wide part of the scene, upside down
                    inside = blurred[part][::-1]
                    image[part] = (mask * inside + (1 - mask) * image[part]).astype(np.uint8)
        top, left = (int(n) for n in shift.integers(0, 64, 2))
        part = slice(top, top + height), slice(left, left + width)
        image = cv2.add(image, cv2.merge([self.brighter[part]] * 3))
        return cv2.subtract(image, cv2.merge([self.darker[part]] * 3))
