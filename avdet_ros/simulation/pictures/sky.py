"""The sky all around as one panorama per drive: clouds, sun, stars, distant hills or roofs."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.faces import View

PER_DEG = 6.0
LOWEST_DEG, HIGHEST_DEG = -6.0, 34.0
_CELL = 32


def noise_image(rng: np.random.Generator, height: int, width: int, coarsest: int) -> np.ndarray:
    """(height, width) float32 smooth noise of several octaves that wraps around, 0 to 1."""
    total, weight = np.zeros((height, width), np.float32), 0.0
    size, strength = coarsest, 1.0
    while size >= 2:
        shape = max(height // size, 1) + 3, max(width // size, 1)
        grid = rng.random(shape).astype(np.float32)
        grid = np.concatenate([grid, grid[:, :3]], axis=1)
        big = cv2.resize(
            grid, (int(width * grid.shape[1] / shape[1]), height), interpolation=cv2.INTER_CUBIC
        )
        total += strength * big[:, :width]
        weight += strength
        size, strength = size // 2, strength * 0.55
    total /= weight
    low, high = np.percentile(total, [1, 99])
    return np.clip((total - low) / max(high - low, 1e-6), 0, 1)


def panorama(conditions: Conditions, setting: str) -> tuple[np.ndarray, np.ndarray]:
    """Paint the whole horizon.

    Returns:
        colours: (H, W, 3) float32 red, green, blue; column = azimuth from -180 degrees upwards,
            row = elevation from `HIGHEST_DEG` down, `PER_DEG` pixels per degree.
        land: (H, W) bool, where hills or roofs hide the sky.
    """
    rng = np.random.default_rng([conditions.seed, 107])
    height, width = int((HIGHEST_DEG - LOWEST_DEG) * PER_DEG), int(360 * PER_DEG)
    elevation = (HIGHEST_DEG - (np.arange(height) + 0.5) / PER_DEG)[:, None].astype(np.float32)
    azimuth = ((np.arange(width) + 0.5) / PER_DEG - 180)[None, :].astype(np.float32)
    colours = _clear_sky(conditions, elevation, azimuth)
    colours = _clouds(rng, conditions, colours, elevation)
    if conditions.daylight < 0.2:
        stars = rng.random((height, width)) < 0.0009 * (1 - conditions.cloud) ** 2
        colours[stars & (elevation > 1.5)] += 0.35
    _sun_disc(conditions, colours, elevation, azimuth)
    land = _land(rng, conditions, setting, colours, elevation, azimuth)
    return np.clip(colours, 0, 1), land


def horizon_colour(conditions: Conditions) -> np.ndarray:
    """(3,) colour to which distant objects fade."""
    day = conditions.daylight
    fair = np.array([0.78, 0.85, 0.92])
    if conditions.sun_elevation_deg < 12:
        fair = np.array([0.88, 0.77, 0.66])
    grey = np.array([0.70, 0.72, 0.74]) * (1 - 0.25 * conditions.rain)
    colour = (1 - conditions.cloud) * fair + conditions.cloud * grey
    return day * colour + (1 - day) * np.array([0.035, 0.04, 0.06])


def zenith_colour(conditions: Conditions) -> np.ndarray:
    """(3,) colour of the sky overhead."""
    day, cloud = conditions.daylight, conditions.cloud
    colour = (1 - cloud) * np.array([0.28, 0.50, 0.82]) + cloud * np.array([0.55, 0.58, 0.62])
    colour = colour * (1 - 0.3 * conditions.rain)
    return day * colour + (1 - day) * np.array([0.012, 0.016, 0.035])


def _clear_sky(conditions: Conditions, elevation: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    height = np.clip(elevation / 32.0, 0, 1)[..., None] ** 0.6
    low, high = horizon_colour(conditions), zenith_colour(conditions)
    colours = (1 - height) * low + height * high
    colours = np.repeat(colours, azimuth.shape[1], axis=1).astype(np.float32)
    if conditions.sun_elevation_deg > -8:
        apart = _apart_deg(conditions, elevation, azimuth)
        warm = np.array([1.0, 0.75, 0.42], np.float32)
        low_sun = np.clip(1.3 - conditions.sun_elevation_deg / 25, 0.15, 1.0)
        strength = low_sun * (1 - conditions.cloud) * max(conditions.daylight, 0.25)
        glow = strength * (0.5 * np.exp(-apart / 9) + 0.3 * np.exp(-apart / 30))
        colours += glow[..., None] * warm
    return colours


def _apart_deg(conditions: Conditions, elevation: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    sun = conditions.sun
    e, a = np.deg2rad(elevation), np.deg2rad(azimuth)
    cosine = np.cos(e) * (np.cos(a) * sun[0] + np.sin(a) * sun[1]) + np.sin(e) * sun[2]
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


def _sun_disc(
    conditions: Conditions, colours: np.ndarray, elevation: np.ndarray, azimuth: np.ndarray
) -> None:
    if conditions.sun_elevation_deg < -1 or conditions.cloud > 0.75:
        return
    apart = _apart_deg(conditions, elevation, azimuth)
    disc = np.exp(-((apart / 0.9) ** 4))
    colours += (1 - conditions.cloud) * disc[..., None] * np.array([1.0, 0.95, 0.8], np.float32)


def _clouds(
    rng: np.random.Generator, conditions: Conditions, colours: np.ndarray, elevation: np.ndarray
) -> np.ndarray:
    height, width = colours.shape[:2]
    # clouds look flatter towards the horizon: squeeze the rows
    rows = np.clip((HIGHEST_DEG - elevation[:, 0]) / HIGHEST_DEG, 0, 1) ** 2.2 * (height - 1) * 2
    field = noise_image(rng, 2 * height, width, 128)
    field = field[np.clip(rows.astype(int), 0, 2 * height - 1)]
    fine = noise_image(rng, height, width, 24)
    field = 0.8 * field + 0.2 * fine
    edge = 1.02 - 0.95 * conditions.cloud
    cover = np.clip((field - edge) / 0.22, 0, 1)
    cover *= np.clip(elevation / 2.5, 0.0, 1.0)
    shade = np.clip((field - edge) / 0.6, 0, 1)
    day = conditions.daylight
    bright = np.array([0.95, 0.95, 0.96]) - 0.35 * conditions.cloud
    dark = np.array([0.56, 0.58, 0.62]) * (1 - 0.35 * conditions.rain)
    if -6 < conditions.sun_elevation_deg < 10:
        bright = bright * [1.0, 0.86, 0.74]
    colour = (1 - shade[..., None]) * bright + shade[..., None] * dark
    colour = day * colour + (1 - day) * np.array([0.05, 0.05, 0.06])
    return ((1 - cover[..., None]) * colours + cover[..., None] * colour).astype(np.float32)


def _land(
    rng: np.random.Generator,
    conditions: Conditions,
    setting: str,
    colours: np.ndarray,
    elevation: np.ndarray,
    azimuth: np.ndarray,
) -> np.ndarray:
    """Paint hills, woods and roofs on the horizon, paler with distance; changes `colours`."""
    width = azimuth.shape[1]
    haze = horizon_colour(conditions)
    land = np.zeros(colours.shape[:2], bool)
    urban = setting in ('city', 'junction')
    for layer, (tall, rough, part) in enumerate(
        ((2.6, 900, 0.72), (1.7, 420, 0.5), (0.9, 60, 0.3))
    ):
        top = noise_image(rng, 4, width, rough)[1] * tall
        if layer == 2:
            top = top * (0.5 + noise_image(rng, 4, width, 12)[1])
        if urban and layer > 0:
            blocks = rng.uniform(0.3, 1.0, width // 14 + 1).repeat(14)[:width]
            top = tall * 1.5 * blocks
        colour = np.array([0.24, 0.32, 0.25]) if not urban else np.array([0.42, 0.41, 0.42])
        colour = colour * max(conditions.daylight, 0.05)
        clear = (1 - part) * np.exp(-350 * max(conditions.haze_per_m - 0.001, 0))
        mixed = (1 - clear) * haze + clear * colour
        under = elevation < top[None, :]
        colours[under] = mixed
        land |= under
        if urban and layer > 0 and conditions.daylight < 0.3:
            lit = under & (rng.random(under.shape) < 0.012) & (elevation > 0)
            colours[lit] = (0.55, 0.45, 0.25)
    return land


def look_at_sky(view: View, image: np.ndarray, rows: int, step: int = 2) -> np.ndarray:
    """Return the part of a panorama that the camera sees in its uppermost rows.

    Args:
        view: the camera.
        image: a panorama, (H, W) or (H, W, 3).
        rows: number of pixel rows, from the top.
        step: image pixels per pixel of the result.

    Returns:
        (ceil(rows / step), width / step[, 3]) of the panorama's type.
    """
    camera = view.camera
    height, width = -(-rows // step), camera.width_px // step
    # directions change slowly: a coarse grid that reaches one cell beyond the image is enough
    columns, lines = width // _CELL + 3, height // _CELL + 3
    coarse_x = (np.arange(columns) - 0.5) * _CELL * step
    coarse_y = (np.arange(lines) - 0.5) * _CELL * step
    x, y = np.meshgrid((coarse_x - camera.cx) / camera.fx, (coarse_y - camera.cy) / camera.fy)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ view.axes
    azimuth = np.unwrap(np.arctan2(rays[..., 1], rays[..., 0]), axis=1)
    azimuth += 2 * np.pi * np.round((azimuth[:1, :1] - azimuth[:, :1]) / (2 * np.pi))
    elevation = np.arctan2(rays[..., 2], np.hypot(rays[..., 0], rays[..., 1]))
    column = (np.rad2deg(azimuth) + 180) * PER_DEG
    row = (HIGHEST_DEG - np.rad2deg(elevation)) * PER_DEG
    size = columns * _CELL, lines * _CELL
    part = slice(_CELL, _CELL + height), slice(_CELL, _CELL + width)
    column, row = (cv2.resize(grid.astype(np.float32), size)[part] for grid in (column, row))
    wide = image.shape[1]
    column = np.mod(column, wide).astype(np.float32)
    return cv2.remap(image, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
