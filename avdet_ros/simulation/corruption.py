"""Recording errors of a real vehicle and sound card, and the ranges they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from avdet_ros.rig import MICROPHONES


def _zeros() -> np.ndarray:
    return np.zeros(MICROPHONES)


@dataclass(frozen=True, eq=False)
class Corruption:
    """How this drive's recording differs from the rig file's ideal array.

    The defaults give a clean recording: only the air, the ego vehicle and the microphones' noise
    are left.

    Attributes:
        gain_db: (8,) gain errors.
        position_error_m: (8, 3) errors of the microphones' positions, base_link.
        array_yaw_deg: rotation of the whole array about its centre, left positive.
        delay_samples: (8,) how many samples early each channel is; late ones are negative.
        shading_db: loss at a microphone for sound from the far side of the body.
        clock_ppm: how much longer the sound card's second is than the camera's; positive if the
            card's clock is slow.
        dead: (8,) bool, microphones that record only their self-noise.
        order: (8,) int64, which microphone is actually on each microphone's channel.
        gaps_s: (G, 2) start and length of dropouts (zeros in all channels), drive time.
        clip_level: fraction of full scale at which the card clips.
    """

    gain_db: np.ndarray = field(default_factory=_zeros)
    position_error_m: np.ndarray = field(default_factory=lambda: np.zeros((MICROPHONES, 3)))
    array_yaw_deg: float = 0.0
    delay_samples: np.ndarray = field(default_factory=_zeros)
    shading_db: float = 0.0
    clock_ppm: float = 0.0
    dead: np.ndarray = field(default_factory=lambda: np.zeros(MICROPHONES, bool))
    order: np.ndarray = field(default_factory=lambda: np.arange(MICROPHONES))
    gaps_s: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    clip_level: float = 1.0


def random_corruption(rng: np.random.Generator) -> Corruption:
    """Draw moderate errors: a carefully built, well-kept array.

    Gains of 0 to 1.5 dB spread, positions of 0 to 4 mm, yaw 0.4 degrees, channel delays of 0 to
    0.1 sample, shading of 0 to 6 dB, clock 20 ppm.
    """
    return Corruption(
        gain_db=rng.normal(0, rng.uniform(0, 1.5), MICROPHONES),
        position_error_m=rng.normal(0, rng.uniform(0, 0.004), (MICROPHONES, 3)),
        array_yaw_deg=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        delay_samples=rng.normal(0, rng.uniform(0, 0.1), MICROPHONES),
        shading_db=float(rng.uniform(0, 6)),
        clock_ppm=float(np.clip(rng.normal(0, 20), -50, 50)),
    )


def severe_corruption(rng: np.random.Generator, duration_s: float) -> Corruption:
    """Draw the errors of a neglected vehicle.

    Gains of 1 to 3 dB spread, positions of 5 to 10 mm, yaw of 1 to 3 degrees, delays of 0 to 3
    samples, shading of 0 to 8 dB, clock up to 50 ppm; in one drive of six a dead microphone, in
    one of ten two swapped channels, in one of three 1 to 5 gaps of 5 to 200 ms, in one of five a
    gain so high that loud vehicles clip.
    """
    dead = np.zeros(MICROPHONES, bool)
    dead[rng.integers(MICROPHONES)] = rng.random() < 1 / 6
    order = np.arange(MICROPHONES)
    pair = rng.permutation(MICROPHONES)[:2]
    if rng.random() < 0.1:
        order[pair] = order[pair[::-1]]
    count = int(rng.integers(1, 6)) if rng.random() < 1 / 3 else 0
    gaps = np.stack([rng.uniform(0, duration_s, count), rng.uniform(0.005, 0.2, count)], axis=-1)
    return Corruption(
        gain_db=rng.normal(0, rng.uniform(1, 3), MICROPHONES),
        position_error_m=rng.normal(0, rng.uniform(0.005, 0.01), (MICROPHONES, 3)),
        array_yaw_deg=float(rng.choice([-1, 1]) * rng.uniform(1, 3)),
        delay_samples=rng.uniform(0, 3, MICROPHONES),
        shading_db=float(rng.uniform(0, 8)),
        clock_ppm=float(rng.uniform(-50, 50)),
        dead=dead,
        order=order,
        gaps_s=gaps[np.argsort(gaps[:, 0])],
        clip_level=float(rng.uniform(0.005, 0.05)) if rng.random() < 0.2 else 1.0,
    )
