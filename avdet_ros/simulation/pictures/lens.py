"""Effects of the RGB camera's lens and the air: glowing lights, rain, drops."""

from __future__ import annotations

import cv2
import numpy as np


def add_light(
    image: np.ndarray, sprite: np.ndarray, x: int, y: int, colour: tuple[float, float, float]
) -> None:
    """Add a light to an image, clipped to the image."""
    height, width = sprite.shape
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + width, image.shape[1]), min(y + height, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cut = sprite[y0 - y : y1 - y, x0 - x : x1 - x, None] * np.array(colour[::-1], np.float32)
    part = image[y0:y1, x0:x1]
    part[:] = cv2.add(np.ascontiguousarray(part), np.clip(cut, 0, 255).astype(np.uint8))


def streaks(
    rng: np.random.Generator, size: tuple[int, int], rain: float, dark: float
) -> np.ndarray:
    """(h, w) uint8 of shape `size`: streaks of rain in the air, to be added to a picture."""
    image = np.zeros(size, np.uint8)
    if not rain:
        return image
    slant = rng.uniform(-0.2, 0.2)
    for _ in range(int(900 * rain)):
        x, y = rng.integers(0, size[1]), rng.integers(-40, size[0])
        near = rng.random() ** 3
        tall = 14 + 70 * near
        level = int((10 + 26 * rng.random()) * (1 - 0.5 * dark))
        end = int(x + slant * tall), int(y + tall)
        cv2.line(image, (int(x), int(y)), end, level, 1 + int(near > 0.6), cv2.LINE_AA)
    return cv2.GaussianBlur(image, (3, 5), 0)


Drop = tuple[int, int, int, np.ndarray]
"""Column and row of a drop's corner, its radius (all px), and its (2 r, 2 r, 1) mask, 0 to 1."""


def drops(rng: np.random.Generator, height: int, width: int, count: int) -> list[Drop] | None:
    """Draw drops on the lens; None without any."""
    if not count:
        return None
    drops = []
    for _ in range(count):
        r = int(rng.uniform(9, 34))
        x, y = int(rng.uniform(0, width - 2 * r)), int(rng.uniform(0, height - 2 * r))
        v, u = (np.mgrid[0 : 2 * r, 0 : 2 * r] - r + 0.5) / r
        out = np.hypot(u * rng.uniform(1.0, 1.25), v)
        mask = 0.85 * np.clip((1 - out) * 5, 0, 1)[..., None].astype(np.float32)
        drops.append((x, y, r, mask))
    return drops
