"""Estimate the channels' gains from the levels of wave fronts that cross the array.

A distant wave is equally loud at every microphone, except that the vehicle's body shades those on
the far side. So the level of a wave in a channel is the channel's gain plus a smooth function of
the angle between the wave and the microphone's side of the array, the same for all channels.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import MICROPHONES

SECTORS = 12
HARMONICS = 2
"""Number of harmonics of the shading over the angle; a microphone at the centre has no shading."""

_ROUNDS = 8


def channel_gains(
    level_db: np.ndarray,
    weights: np.ndarray,
    azimuths: np.ndarray,
    positions_m: np.ndarray,
    alive: np.ndarray,
) -> np.ndarray:
    """Estimate gains by robust least squares, with each direction counted about once.

    Args:
        level_db: (S, 8) levels of the wave fronts.
        weights: (S,) weight of each segment, 0 to ignore it.
        azimuths: (S,) azimuths of the sources, radians.
        positions_m: (8, 2 or 3) positions of the microphones from the array's centre.
        alive: (8,) bool, channels that are used.

    Returns:
        (8,) gains in dB, mean 0 over the live channels, 0 for the others.
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
