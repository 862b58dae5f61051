"""Sounds other than road vehicles, moving and standing, also in places where vehicles are.

Each has noise in octave bands; horns, sirens, birds and the like also have tones, whose pitch may
rise and fall. They have the interface of `distractors.Distractor`, and are never labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.recorded_sounds import RecordedSound, SoundFolder
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.signals import Signal, harmonic_table
from avdet_ros.simulation.sound_kinds import CARRIED, KINDS
from avdet_ros.simulation.vehicles import Vehicle

MOST = 3
"""Maximum number of these sounds in a drive."""

TONAL_DB = -12.0
"""Level of a tonal sound's noise relative to its tones."""

_NUMBERS_FROM, _CARRIED_NUMBER = 100, 99
_HIGHEST_HZ = 10_000.0


@dataclass(frozen=True, eq=False)
class OtherSound:
    """One such sound, with the interface of `distractors.Distractor`.

    Attributes:
        kind: key of `KINDS`.
        number: seeds its noise.
        start_m: (3,) world position at t = 0.
        velocity_mps: (3,) world velocity.
        levels_db: (8,) octave sound power, dB re 1 pW.
        beat_s: period of its modulation; 0 for a steady sound.
        beat_part: fraction of the period in which it is on.
        depth_db: attenuation while it is off.
        tone_hz: its lowest tone; 0 for none.
        harmonics: number of tones.
        sweep: fraction by which the pitch rises and falls.
        sweep_s: period of the sweep.
    """

    kind: str
    number: int
    start_m: np.ndarray
    velocity_mps: np.ndarray
    levels_db: np.ndarray
    beat_s: float
    beat_part: float
    depth_db: float
    tone_hz: float = 0.0
    harmonics: int = 0
    sweep: float = 0.0
    sweep_s: float = 1.0

    @property
    def noise_only(self) -> bool:
        """See `distractors.SoundSource`."""
        return self.tone_hz == 0

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3)."""
        return self.start_m + np.asarray(t_s, np.float64)[..., None] * self.velocity_mps

    def bands_db(self, t_s: float) -> np.ndarray:
        """Return (8,) octave sound power, dB re 1 pW."""
        pause = self.beat_s > 0 and (t_s / self.beat_s + 0.37 * self.number) % 1 > self.beat_part
        return self.levels_db - self.depth_db * pause

    def signal(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        loss_db: Callable[[float], np.ndarray] | None,
    ) -> Signal:
        """See `distractors.SoundSource`."""
        if self.tone_hz == 0:
            return Signal(key, sample_rate_hz, self.bands_db, loss_db)
        rng = np.random.default_rng(key)
        order = np.arange(1, self.harmonics + 1)
        order = order[order * self.tone_hz * (1 + self.sweep) < _HIGHEST_HZ]
        octave = np.log2(order * self.tone_hz / cnossos.BANDS_HZ[0])
        band = np.clip(np.round(octave), 0, 7).astype(int)
        weight = 10 ** ((self.levels_db[band] + rng.normal(0, 3, len(order))) / 10)
        weight *= np.sum(10 ** (self.levels_db / 10)) / weight.sum()
        table = harmonic_table(np.sqrt(2 * weight), rng.uniform(0, 2 * np.pi, len(order)))

        def noise_db(t_s: float) -> np.ndarray:
            return self.bands_db(t_s) + TONAL_DB

        def tones(t_s: float, _: np.ndarray) -> np.ndarray:
            softer = self.bands_db(t_s)[0] - self.levels_db[0]
            return table * np.float32(10 ** (softer / 20))

        return Signal(
            key, sample_rate_hz, noise_db, loss_db, tones, self._phase, filter_tones=True
        )

    def _phase(self, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cycles, and cycles per second, of the lowest tone."""
        rate = 2 * np.pi / self.sweep_s
        swing = self.tone_hz * self.sweep
        cycles = self.tone_hz * t_s - swing / rate * np.cos(rate * t_s)
        return cycles, self.tone_hz + swing * np.sin(rate * t_s)


@dataclass(frozen=True, eq=False)
class CarriedSound(OtherSound):
    """A sound that the ego vehicle carries; `start_m` is in base_link.

    Attributes:
        ego: the ego vehicle.
    """

    ego: Vehicle = field(kw_only=True)

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3)."""
        position, rotation = self.ego.pose(t_s)
        return position + rotation @ self.start_m


CARRIED_PART = 0.3
"""Fraction of the drives with a carried sound."""


def carried_sounds(rng: np.random.Generator, ego: Vehicle) -> tuple[SoundSource, ...]:
    """Draw none or one of `CARRIED`.

    Args:
        rng: random generator.
        ego: the vehicle that carries it.
    """
    if rng.random() >= CARRIED_PART:
        return ()
    name = str(rng.choice(list(CARRIED)))
    kind = CARRIED[name]
    half = ego.length_m / 2
    place = [rng.uniform(-0.6, 0.9) * half, rng.uniform(-0.7, 0.7), rng.uniform(*kind.height_m)]
    return (
        CarriedSound(
            name,
            _CARRIED_NUMBER,
            np.array(place),
            np.zeros(3),
            np.array(kind.shape_db) + rng.uniform(*kind.power_db) + rng.normal(0, 3, 8),
            float(rng.uniform(*kind.beat_s)),
            float(rng.uniform(0.1, 0.5)),
            float(rng.uniform(10, 40)),
            ego=ego,
        ),
    )


def random_sounds(
    rng: np.random.Generator, scene: Scene, recordings: SoundFolder | None = None
) -> tuple[SoundSource, ...]:
    """Draw one to `MOST` sounds, where vehicles are or anywhere around the array's path.

    Args:
        rng: random generator.
        scene: the drive.
        recordings: recordings that replace half of the synthetic sounds.
    """
    found: list[SoundSource] = []
    for number in range(int(rng.integers(1, MOST + 1))):
        name = str(rng.choice(list(KINDS)))
        kind = KINDS[name]
        at_s = rng.uniform(0, scene.duration_s)
        position, rotation = scene.ego_pose(np.array([at_s]))
        # in front more often than not
        azimuth = rng.uniform(-1, 1) * (np.radians(60) if rng.random() < 0.6 else np.pi)
        away = kind.nearest_m * np.exp(rng.uniform(0, np.log(80.0 / kind.nearest_m)))
        here = position[0] + rotation[0] @ (away * np.array([np.cos(azimuth), np.sin(azimuth), 0]))
        here = here * [1, 1, 0] + [0, 0, position[0, 2] + rng.uniform(*kind.height_m)]
        heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(*kind.speed_mps)
        if rng.random() < 0.3 and kind.speed_mps[1] == 0:
            # it stands or moves with the ego vehicle: a load, a trailer, a radio
            velocity = (scene.ego.pose(at_s + 0.5)[0] - scene.ego.pose(at_s - 0.5)[0]) * [1, 1, 0]
        else:
            velocity = speed * np.array([np.cos(heading), np.sin(heading), 0.0])
        start = here - velocity * at_s
        key = _NUMBERS_FROM + number
        if recordings is not None and rng.random() < 0.5:
            power = float(rng.uniform(80, 112))
            index, begin = int(rng.integers(len(recordings))), float(rng.random())
            found.append(RecordedSound(key, start, velocity, recordings, index, power, begin))
            continue
        levels = np.array(kind.shape_db) + rng.uniform(*kind.power_db) + rng.normal(0, 3, 8)
        beats = kind.beat_s[1] > 0
        found.append(
            OtherSound(
                name,
                key,
                start,
                velocity,
                levels,
                float(rng.uniform(*kind.beat_s)) if beats else 0.0,
                float(rng.uniform(0.2, 0.9)),
                float(rng.uniform(10, 40)),
                float(rng.uniform(*kind.tone_hz)),
                kind.harmonics,
                kind.sweep * float(rng.random()),
                float(rng.uniform(*kind.sweep_s)),
            )
        )
    return tuple(found)
