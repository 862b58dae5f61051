"""What a real vehicle and a real sound card add to the sound, each with a range to draw from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from avdet_ros.rig import MICROPHONES


def _zeros() -> np.ndarray:
    return np.zeros(MICROPHONES)


@dataclass(frozen=True, eq=False)
class Corruption:
    """How this drive's recording differs from the rig file's ideal array.

    The defaults are the clean recording: they add nothing but the air, the own vehicle and the
    microphones' noise.

    Attributes:
        gain_db: (8,) gain errors.
        position_error_m: (8, 3) errors of the microphones' positions, base_link.
        array_yaw_deg: rotation of the whole array about its centre, left positive.
        delay_samples: (8,) delays of the channels.
        shading_db: level a microphone loses to sound from the far side of the body.
        clock_ppm: how much faster the sound card's clock runs than the camera's.
        dead: (8,) bool, microphones that give only their self-noise.
        order: (8,) int64, which microphone is really on each microphone's channel.
        gaps_s: (G, 2) start and length of dropouts (zeros in all channels), drive time.
        clip_level: the card clips at this part of full scale.
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
    """Draw moderate errors: a carefully built array, looked after.

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
