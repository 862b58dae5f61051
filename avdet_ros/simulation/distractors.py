"""Sounds of sources other than road vehicles: trams, building sites, birds, fans.

They are audible, never labelled, and out of sight beyond the buildings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.simulation.signals import Signal

KINDS = ('tram', 'building_site', 'birds', 'fan')

# octave sound power spectra, 63 Hz to 8 kHz, dB relative to the A-weighted total (our estimates)
_SHAPES = {
    'tram': (-4, -3, -2, -2, -5, -9, -15, -22),
    'building_site': (-2, -4, -6, -7, -6, -6, -8, -12),
    'birds': (-60, -60, -50, -40, -20, -4, -3, -12),
    'fan': (4, 2, -1, -4, -7, -12, -18, -26),
}
_POWER_DB = {'tram': (97, 107), 'building_site': (95, 108), 'birds': (75, 92), 'fan': (75, 92)}


class SoundSource(Protocol):
    """A sound source in a scene that is not a vehicle."""

    @property
    def kind(self) -> str:
        """Kind of the source."""

    @property
    def number(self) -> int:
        """Seed of its noise, unique in the scene."""

    @property
    def noise_only(self) -> bool:
        """Whether it is noise without tones, so that `bands_db` describes it completely."""

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3) at times (...)."""

    def bands_db(self, t_s: float) -> np.ndarray:
        """Return (8,) octave sound power at a time, dB re 1 pW."""

    def signal(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        loss_db: Callable[[float], np.ndarray] | None,
    ) -> Signal:
        """Return the signal that it emits.

        Args:
            key: see `signals.Signal`.
            sample_rate_hz: see there.
            loss_db: see there.
        """


@dataclass(frozen=True, eq=False)
class Distractor:
    """A source of sound that no detector should report.

    Attributes:
        kind: one of `KINDS`.
        number: seeds its noise.
        start_m: (3,) world position at t = 0.
        velocity_mps: (3,) world velocity; zero for a standing source.
        power_db: sound power, dB re 1 pW, before the spectrum's shape is added.
        beat_s: period of hammering or chirping; 0 for a steady sound.
        beat_part: fraction of the period in which it is on.
    """

    kind: str
    number: int
    start_m: np.ndarray
    velocity_mps: np.ndarray
    power_db: float
    beat_s: float = 0.0
    beat_part: float = 1.0

    @property
    def noise_only(self) -> bool:
        """See `SoundSource`."""
        return True

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3)."""
        return self.start_m + np.asarray(t_s, np.float64)[..., None] * self.velocity_mps

    def bands_db(self, t_s: float) -> np.ndarray:
        """Return (8,) octave sound power, dB re 1 pW; 40 dB less between beats."""
        pause = self.beat_s > 0 and (t_s / self.beat_s + 0.37 * self.number) % 1 > self.beat_part
        return np.array(_SHAPES[self.kind], np.float64) + self.power_db - 40.0 * pause

    def signal(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        loss_db: Callable[[float], np.ndarray] | None,
    ) -> Signal:
        """Return the signal that it emits, see `signals.Signal`."""
        return Signal(key, sample_rate_hz, self.bands_db, loss_db)


def random_distractors(
    rng: np.random.Generator, origin_m: np.ndarray, heading_rad: float, duration_s: float
) -> tuple[Distractor, ...]:
    """Draw none to three distractors around a place.

    Args:
        rng: random generator.
        origin_m: (3,) middle of the ego vehicle's path.
        heading_rad: direction of the road there.
        duration_s: length of the drive; a tram passes once in it.
    """
    found = []
    along = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    aside = np.array([-along[1], along[0], 0.0])
    for number in range(int(rng.integers(0, 4))):
        kind = str(rng.choice(KINDS))
        side = rng.choice([-1, 1]) * rng.uniform(18, 70)
        height = np.array([0, 0, rng.uniform(3, 10) if kind in ('birds', 'fan') else 0.5])
        velocity = np.zeros(3)
        start = origin_m + side * aside + rng.uniform(-60, 60) * along + height
        if kind == 'tram':
            velocity = rng.choice([-1, 1]) * rng.uniform(6, 15) * along
            start = start - velocity * rng.uniform(0, duration_s)
        beats = kind in ('building_site', 'birds')
        found.append(
            Distractor(
                kind,
                number,
                start,
                velocity,
                rng.uniform(*_POWER_DB[kind]),
                rng.uniform(0.4, 2.5) if beats else 0.0,
                rng.uniform(0.3, 0.8) if beats else 1.0,
            )
        )
    return tuple(found)
