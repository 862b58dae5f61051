"""Gains of the channels from the levels of wave fronts that cross the array.

A wave from afar is as loud at every microphone, but for the vehicle's body, which shades those on
the far side. So the level of a wave in a channel is the channel's gain and a smooth function of
the angle between the wave and the microphone's side of the array, the same for all channels.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import MICROPHONES

SECTORS = 12
HARMONICS = 2
"""Of the shading over the angle; odd and even ones, none for a microphone at the centre."""

_ROUNDS = 8


def channel_gains(
    level_db: np.ndarray,
    weights: np.ndarray,
    azimuths: np.ndarray,
    positions_m: np.ndarray,
    alive: np.ndarray,
) -> np.ndarray:
    """Gains by robust least squares, each direction counted about once.

    Args:
        level_db: (S, 8) of the wave fronts.
        weights: (S,) what each segment counts, 0 for not.
        azimuths: (S,) radians, of the sources.
        positions_m: (8, 2 or 3) of the microphones from the array's centre.
        alive: (8,) bool, channels that count.

    Returns:
        (8,) dB, mean 0 over the live ones, 0 for the others.
    """
    live = np.flatnonzero(alive)
    use = weights > 0
    gain_db = np.zeros(MICROPHONES)
    if use.sum() < 2 * len(live):
        return gain_db
    level = level_db[use][:, live].astype(float)
    level -= level.mean(axis=1, keepdims=True)
    azimuths, weights = azimuths[use], weights[use]
    side = np.arctan2(positions_m[live, 1], positions_m[live, 0])
    out = np.minimum(np.hypot(positions_m[live, 0], positions_m[live, 1]) / 0.05, 1.0)
    angle = azimuths[:, None] - side
    shading = np.stack([out * np.cos(k * angle) for k in range(1, HARMONICS + 1)], axis=-1)
    shading -= shading.mean(axis=1, keepdims=True)
    own = np.eye(len(live)) - 1 / len(live)
    design = np.concatenate([np.broadcast_to(own, (len(level), *own.shape)), shading], axis=2)
    design = design.reshape(-1, design.shape[2])
    sector = (azimuths / (2 * np.pi) * SECTORS % SECTORS).astype(int) % SECTORS
    crowd = np.bincount(sector, weights, SECTORS)[sector]
    plain = np.repeat(weights / np.sqrt(np.maximum(crowd, 10)), len(live))
    robust, target = plain, level.reshape(-1)
    hold = 1e-6 * plain.sum() * np.eye(design.shape[1])
    for _ in range(_ROUNDS):
        weighted = design * robust[:, None]
        solution = np.linalg.solve(weighted.T @ design + hold, weighted.T @ target)
        residual = target - design @ solution
        spread = 1.5 * np.median(np.abs(residual)) + 1e-3
        robust = plain / (1 + (residual / spread) ** 2)
    gain_db[live] = solution[: len(live)] - solution[: len(live)].mean()
    return gain_db
