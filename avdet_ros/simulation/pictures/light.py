"""Light: a map over the image for the ground, one value per face for bodies."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.rig import Camera
from avdet_ros.simulation.pictures.composition import GROUND, Composition, Placed
from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.faces import NEAR_M
from avdet_ros.simulation.pictures.materials import INDEX, column
from avdet_ros.simulation.pictures.site import Thing
from avdet_ros.simulation.pictures.sky import horizon_colour, noise_image, zenith_colour

SHADOW_DISTANCE_M = 90.0
LAMP_POOL_M = 7.5
_GLOWS = column('glows') > 0
_GLOSS = column('gloss')
_SHIFT = 4


def ambient(conditions: Conditions, tunnel: bool) -> np.ndarray:
    """(3,) ambient light, red, green, blue; near 1 for a white wall by day."""
    if tunnel:
        return np.array([0.62, 0.57, 0.48])
    day, cloud = conditions.daylight, conditions.cloud
    colour = np.array([0.66, 0.70, 0.77]) * (1 - cloud) + cloud * np.array([0.93, 0.94, 0.96])
    colour = colour * (1 - 0.15 * conditions.rain)
    night = np.array([0.030, 0.034, 0.050]) + 0.03 * conditions.street_lamps
    return day * colour + (1 - day) * night


def sunlight(conditions: Conditions, tunnel: bool) -> np.ndarray:
    """(3,) sunlight on a surface that faces the sun."""
    if tunnel:
        return np.zeros(3)
    low = np.clip(conditions.sun_elevation_deg / 25, 0, 1)
    colour = low * np.array([0.80, 0.75, 0.66]) + (1 - low) * np.array([0.86, 0.62, 0.38])
    return colour * conditions.direct


def headlamp_beam(conditions: Conditions, tunnel: bool) -> float:
    """Return the strength of the ego vehicle's dipped beam relative to daylight."""
    return 0.25 if tunnel else 0.95 * (1 - conditions.daylight) ** 2


def beam(forward_m: np.ndarray, left_m: np.ndarray, up_m: np.ndarray | float) -> np.ndarray:
    """Light of dipped headlamps at points in front of a vehicle, 0 to 1; dark above cut-off."""
    ahead = np.maximum(forward_m, 0.1)
    spread = 1.6 + 0.26 * ahead
    across = np.exp(-((left_m + 0.02 * ahead) ** 2) / (2 * spread**2))
    along = np.exp(-(((ahead - 8) / np.where(ahead < 8, 4.0, 17.0)) ** 2) / 2)
    above = np.exp(-(np.maximum(up_m - 0.9, 0) ** 2) / 0.5)
    return np.where(forward_m > 0, across * along * above, 0.0)


def shade_bodies(
    composed: Composition, conditions: Conditions, tunnel: bool, lamps_m: np.ndarray
) -> np.ndarray:
    """Return the colours of all strokes: bodies as lit, the ground as if in full light.

    Returns:
        (S, 3) float64 red, green, blue, not limited to 1.
    """
    faces = composed.faces
    normals, colour, material = faces.normals, faces.colour, faces.material
    # a face seen from behind shows its other side
    towards = composed.view.eye - composed.centres
    flipped = (normals * towards).sum(axis=1) < 0
    normals = np.where(flipped[:, None], -normals, normals)
    ambience = ambient(conditions, tunnel)
    light = ambience * (0.74 + 0.26 * normals[:, 2:3])
    facing = np.clip(normals @ conditions.sun, 0, 1)[:, None]
    light = light + sunlight(conditions, tunnel) * facing
    light = light + _lamp_light(composed, conditions, tunnel, lamps_m)
    ground = composed.owner == GROUND
    light[ground] = 1.0
    out = colour * light
    gloss = _GLOSS[material][:, None] * ~ground[:, None]
    # glossy faces mirror the sky if they face up, else the surroundings
    up = np.clip(normals[:, 2:3] * 1.2 + 0.25, 0, 1)
    mirror = up * zenith_colour(conditions) + (1 - up) * 0.5 * horizon_colour(conditions)
    if tunnel:
        mirror = np.full(3, 0.22)
    out = (1 - gloss) * out + gloss * mirror
    half = conditions.sun + towards / np.maximum(
        np.linalg.norm(towards, axis=1, keepdims=True), 1e-9
    )
    half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)
    spark = np.clip((normals * half).sum(axis=1), 0, 1)[:, None] ** 40
    out = out + 1.6 * gloss * spark * sunlight(conditions, tunnel)
    glowing = _GLOWS[material]
    lit = np.array([False] + [placed.lights for placed in composed.vehicles])
    on = lit[np.maximum(composed.owner, -1) + 1] & (composed.owner >= 0)
    dark = 1 - conditions.daylight
    lamp = glowing & (material == INDEX['lamp'])
    strength = 1.0 if tunnel else dark
    out[lamp] = np.maximum(out[lamp], 1.15 * colour[lamp] * strength)
    out[glowing & on & ~lamp] = np.clip(1.6 * colour[glowing & on & ~lamp] + 0.08, 0, 1)
    fade = 1 - np.exp(-conditions.haze_per_m * composed.depth_m)
    fade = fade * (0.25 if tunnel else 1.0)
    haze = horizon_colour(conditions) if not tunnel else np.array([0.30, 0.28, 0.24])
    # the ground's haze is added with its light
    fade = np.where(ground, 0.0, fade)[:, None]
    return (1 - fade) * out + fade * haze


def _lamp_light(
    composed: Composition, conditions: Conditions, tunnel: bool, lamps_m: np.ndarray
) -> np.ndarray:
    """(S, 3) light of the ego vehicle's headlamps and of street lamps on each stroke."""
    light = np.zeros((len(composed.owner), 3))
    strength = headlamp_beam(conditions, tunnel)
    if strength > 0.02:
        place = (composed.centres - composed.position) @ composed.rotation
        # upright surfaces face the beam better than the road does, and some are retroreflective
        lit = 1.2 * beam(place[:, 0], place[:, 1], place[:, 2])
        back = np.isin(composed.faces.material, [INDEX['plate'], INDEX['sign'], INDEX['taillamp']])
        light += strength * (lit * np.where(back, 3.0, 1.0))[:, None] * [1.0, 0.96, 0.86]
    dark = (1 - conditions.daylight) * conditions.street_lamps
    if dark > 0.05 and len(lamps_m) and not tunnel:
        near = lamps_m[np.linalg.norm(lamps_m - composed.position, axis=1) < 120]
        for lamp in near:
            apart = composed.centres - lamp
            sideways = (apart[:, :2] ** 2).sum(axis=1)
            light += (0.36 * dark * np.exp(-sideways / (2 * 5.5**2)) * (apart[:, 2] < 0.3))[
                :, None
            ] * [1.0, 0.84, 0.58]
    return light


class GroundLight:
    """Grain, shadows and pools of light on the ground, as maps over the image."""

    def __init__(self, camera: Camera, conditions: Conditions) -> None:
        self.camera = camera
        rng = np.random.default_rng([conditions.seed, 113])
        coarse = noise_image(rng, 512, 512, 64)
        fine: np.ndarray = rng.normal(0, 1, (512, 512)).astype(np.float32)
        fine = cv2.GaussianBlur(fine, (0, 0), 0.8)
        fine = fine / fine.std()
        self.coarse = np.float32(0.16) * (coarse - 0.5)
        self.fine = np.float32(0.045) * fine
        height, width = camera.height_px // 2, camera.width_px // 2
        x, y = np.meshgrid(np.arange(width) * 2 + 0.5, np.arange(height) * 2 + 0.5)
        rays = camera.directions(np.stack([x, y], axis=-1))
        down = np.maximum(-rays[..., 2], 1e-4)
        reach = camera.position_m[2] / down
        self.forward = (camera.position_m[0] + rays[..., 0] * reach).astype(np.float32)
        self.left = (camera.position_m[1] + rays[..., 1] * reach).astype(np.float32)
        flat = np.hypot(self.forward, self.left)
        flat = np.where(rays[..., 2] < -1e-3, flat, 1e4)
        self.first_row = int(np.argmax((flat < 300).any(axis=1)))
        self.grain = (1 / (1 + (flat / 9) ** 2)).astype(np.float32)
        self.patches = (1 / (1 + (flat / 45) ** 2)).astype(np.float32)
        self.grain_row = int(np.argmax((self.grain > 0.03).any(axis=1)))
        # OpenCV's maps have 16 bits: limit distances to their range
        self.forward, self.left = (np.clip(x, -600, 600) for x in (self.forward, self.left))
        self.beam = beam(self.forward, self.left, 0.0).astype(np.float32)
        self.beam[flat > 1e3] = 0

    def texture(self, composed: Composition) -> np.ndarray:
        """(h, w) float32 relative brightness, fixed to the world, at half the image's size."""
        out = np.ones(self.beam.shape, np.float32)
        turn, place = composed.rotation[:2, :2].astype(np.float32), composed.position[:2]
        for image, metre, weight, first in (
            (self.fine, 0.04, self.grain, self.grain_row),
            (self.coarse, 0.07, self.patches, self.first_row),
        ):
            rows = slice(first, None)
            # the origin is wrapped to the texture's size before float32 loses digits
            origin = np.mod(place / metre, 512)
            scale = turn / np.float32(metre)
            forward, left = self.forward[rows], self.left[rows]
            column = scale[0, 0] * forward + scale[0, 1] * left + np.float32(origin[0])
            row = scale[1, 0] * forward + scale[1, 1] * left + np.float32(origin[1])
            grain = cv2.remap(image, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            out[rows] += weight[rows] * grain
        return out

    def shadows(
        self, composed: Composition, conditions: Conditions, things: list[np.ndarray], tunnel: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return two (h, w) float32 maps, 0 to 1: hidden from the sun, and hidden from the sky."""
        shape = self.beam.shape
        sun_mask: np.ndarray = np.zeros(shape, np.uint8)
        contact: np.ndarray = np.zeros(shape, np.uint8)
        cast = conditions.direct > 0.05 and not tunnel and conditions.sun_elevation_deg > 3
        for placed in composed.vehicles:
            if np.linalg.norm(placed.position - composed.position) > SHADOW_DISTANCE_M:
                continue
            for grow, dark in ((1.12, 110), (1.0, 205)):
                _fill_ground(contact, composed, _outline(placed, grow), dark)
            if cast:
                _fill_ground(sun_mask, composed, _sun_hull(placed, conditions), 255)
        if cast:
            for corners in things:
                _fill_ground(sun_mask, composed, corners, 255)
        contact = cv2.GaussianBlur(contact, (5, 5), 0)
        sun_mask = cv2.blur(sun_mask, (3, 3))
        scale = np.float32(1 / 255)
        return sun_mask * scale, contact * scale

    def pools(
        self, composed: Composition, conditions: Conditions, tunnel: bool, lamps_m: np.ndarray
    ) -> np.ndarray:
        """(h, w) float32 light on the ground from the lamps of vehicles and streets."""
        light = headlamp_beam(conditions, tunnel) * self.beam
        dark = 1 - conditions.daylight
        if tunnel or dark < 0.1:
            return light
        pool = np.zeros((self.beam.shape[0] // 2, self.beam.shape[1] // 2), np.uint8)
        angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles), np.zeros(18)], axis=-1)
        for lamp in lamps_m if conditions.street_lamps else ():
            if np.linalg.norm(lamp - composed.position) < 110:
                foot = lamp - [0, 0, 6.75]
                for part, level in ((1.0, 26), (0.75, 48), (0.5, 72), (0.25, 88)):
                    _fill_ground(pool, composed, foot + part * LAMP_POOL_M * circle, level, 0.25)
        for placed in composed.vehicles:
            away = np.linalg.norm(placed.position - composed.position)
            if placed.lights and away < SHADOW_DISTANCE_M:
                nose = placed.size_m[0] / 2
                for reach, wide, level in ((16, 3.0, 30), (11, 2.2, 60), (7, 1.5, 95)):
                    patch = [
                        (nose + 0.8, -0.8, 0),
                        (nose + reach, -wide, 0),
                        (nose + reach * 1.15, 0, 0),
                        (nose + reach, wide, 0),
                        (nose + 0.8, 0.8, 0),
                    ]
                    corners = placed.position + np.array(patch) @ placed.rotation.T
                    _fill_ground(pool, composed, corners, level, 0.25)
        pool = cv2.GaussianBlur(pool, (0, 0), 2.2)
        pool = cv2.resize(pool, self.beam.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return light + pool * np.float32(dark * 0.85 / 128)


def thing_shadows(
    composed: Composition, conditions: Conditions, things: tuple[Thing, ...]
) -> list[np.ndarray]:
    """Return the outlines, in the world, of the ground shadows of nearby buildings and trees."""
    if conditions.direct < 0.05 or conditions.sun_elevation_deg < 3:
        return []
    outlines = []
    sun = conditions.sun
    for thing in things:
        middle = thing.footprint.mean(axis=0)
        if thing.flat or np.linalg.norm(middle - composed.position[:2]) > SHADOW_DISTANCE_M:
            continue
        corners = thing.faces.corners
        # project onto the ground at its foot, assumed level
        ground = float(composed.position[2]) if len(corners) == 0 else float(_foot(thing))
        height = np.clip(corners[:, 2] - ground, 0, None)
        flat = corners[:, :2] - height[:, None] / max(sun[2], 0.05) * sun[:2]
        hull = cv2.convexHull((flat - middle).astype(np.float32))[:, 0] + middle
        outlines.append(np.column_stack([hull, np.full(len(hull), ground)]))
    return outlines


def _foot(thing: Thing) -> float:
    low = thing.faces.corners[:, 2].min()
    return float(low)


def _outline(placed: Placed, grow: float) -> np.ndarray:
    length, width, _ = placed.size_m
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * [
        length / 2,
        width / 2,
        0,
    ]
    return placed.position + grow * 0.97 * corners @ placed.rotation.T


def _sun_hull(placed: Placed, conditions: Conditions) -> np.ndarray:
    """Return the outline of the vehicle's shadow in the plane it stands on."""
    sun = conditions.sun @ placed.rotation
    points = placed.body.faces.corners
    flat = points[:, :2] - points[:, 2:3] / max(sun[2], 0.05) * sun[:2]
    hull = cv2.convexHull(flat.astype(np.float32))[:, 0]
    return placed.position + np.column_stack([hull, np.zeros(len(hull))]) @ placed.rotation.T


def _fill_ground(
    mask: np.ndarray, composed: Composition, corners: np.ndarray, level: int, scale: float = 0.5
) -> None:
    """Fill a convex outline that lies on the ground into a map smaller than the image."""
    optical = composed.view.optical(np.asarray(corners))
    if optical[:, 2].max() < NEAR_M:
        return
    if optical[:, 2].min() < NEAR_M:
        optical = _cut_near(optical)
    pixels = composed.view.pixels(optical)
    points = np.clip(((pixels + 0.5) * scale - 0.5), -20000, 20000)
    points = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(mask, points, int(level), cv2.LINE_8, _SHIFT)


def _cut_near(points: np.ndarray) -> np.ndarray:
    out = []
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        if a[2] >= NEAR_M:
            out.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            out.append(a + (NEAR_M - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(out)
