"""Other sounds than road vehicles, moving and standing, also where vehicles are.

Each has noise in octave bands; horns, sirens, birds and the like have tones as well, whose pitch
may rise and fall. They have what `distractors.Distractor` has, and are never labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.recorded_sounds import RecordedSound, SoundFolder
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.signals import Signal, harmonic_table
from avdet_ros.simulation.vehicles import Vehicle

MOST = 3
"""A drive has at most so many of them."""

TONAL_DB = -12.0
"""The noise of a tonal sound is this much softer than its tones."""

_NUMBERS_FROM, _CARRIED_NUMBER = 100, 99
_HIGHEST_HZ = 10_000.0


@dataclass(frozen=True)
class _Kind:
    """What a kind of sound is like.

    Attributes:
        shape_db: (8,) octave levels against the total.
        power_db: least and greatest total sound power, dB re 1 pW.
        beat_s: the same of its period; 0, 0 for a steady sound.
        height_m: above the ground.
        speed_mps: of its movement.
        nearest_m: it is at least so far from the array.
        tone_hz: of its lowest tone; 0, 0 for none.
        harmonics: how many tones.
        sweep: part by which its pitch rises and falls.
        sweep_s: least and greatest period of that.
    """

    shape_db: tuple[float, ...]
    power_db: tuple[float, float]
    beat_s: tuple[float, float]
    height_m: tuple[float, float]
    speed_mps: tuple[float, float]
    nearest_m: float = 4.0
    tone_hz: tuple[float, float] = (0.0, 0.0)
    harmonics: int = 0
    sweep: float = 0.0
    sweep_s: tuple[float, float] = (1.0, 1.0)


KINDS = {
    'speech': _Kind(
        (-25, -12, -4, -1, -5, -9, -14, -20),
        (68, 85),
        (0.3, 0.9),
        (1.2, 1.8),
        (0, 2),
        4.0,
        (90, 250),
        20,
        0.2,
        (0.3, 1.5),
    ),
    'crowd': _Kind((-22, -10, -3, -1, -4, -8, -13, -19), (80, 98), (0, 0), (1.2, 2), (0, 0)),
    'jackhammer': _Kind((-4, -5, -7, -7, -5, -4, -5, -8), (98, 112), (0.4, 3), (0.3, 1), (0, 0)),
    'grinder': _Kind(
        (-30, -25, -18, -12, -7, -3, -2, -4), (92, 106), (0.8, 4), (0.8, 1.2), (0, 0)
    ),
    'mower': _Kind(
        (-6, -2, -2, -4, -6, -8, -12, -18),
        (88, 98),
        (0, 0),
        (0.3, 0.5),
        (0, 1.5),
        4.0,
        (40, 70),
        24,
    ),
    'blower': _Kind((-14, -8, -4, -3, -4, -6, -8, -13), (92, 105), (0, 0), (1, 1.4), (0, 1.5)),
    'train': _Kind(
        (-3, -3, -3, -3, -4, -8, -14, -22), (105, 118), (0, 0), (0.5, 1), (12, 35), 20.0
    ),
    'tram': _Kind((-4, -3, -2, -2, -5, -9, -15, -22), (97, 108), (0, 0), (0.4, 0.6), (4, 15), 5.0),
    'aircraft': _Kind(
        (-2, -2, -4, -7, -11, -17, -27, -40), (118, 130), (0, 0), (60, 90), (0, 40), 30.0
    ),
    'helicopter': _Kind(
        (0, -3, -5, -8, -12, -18, -27, -40),
        (112, 125),
        (0, 0),
        (50, 80),
        (0, 30),
        30.0,
        (12, 28),
        30,
    ),
    'birds': _Kind(
        (-60, -60, -50, -40, -20, -4, -3, -12),
        (70, 90),
        (0.3, 1.5),
        (3, 12),
        (0, 3),
        4.0,
        (2200, 5500),
        1,
        0.3,
        (0.15, 0.6),
    ),
    'dog': _Kind(
        (-40, -25, -12, -3, -3, -8, -15, -24),
        (85, 100),
        (0.5, 1.5),
        (0.4, 0.6),
        (0, 2),
        4.0,
        (300, 700),
        6,
        0.2,
        (0.3, 0.6),
    ),
    'horn': _Kind(
        (-40, -30, -12, -4, -2, -4, -10, -18),
        (100, 110),
        (0.6, 4),
        (0.6, 1),
        (0, 15),
        4.0,
        (330, 520),
        12,
    ),
    'siren': _Kind(
        (-40, -30, -15, -4, -2, -5, -12, -20),
        (108, 118),
        (1, 4),
        (1.5, 2.5),
        (0, 20),
        4.0,
        (500, 900),
        8,
        0.35,
        (0.4, 5),
    ),
    'music': _Kind(
        (-2, -2, -4, -6, -8, -10, -14, -20),
        (80, 98),
        (0.3, 0.6),
        (1, 3),
        (0, 0),
        4.0,
        (80, 440),
        12,
        0.02,
        (0.2, 0.5),
    ),
    'thunder': _Kind(
        (0, -3, -7, -12, -19, -28, -38, -50), (125, 138), (3, 9), (80, 100), (0, 0), 40.0
    ),
    'ventilation': _Kind((4, 2, -1, -4, -7, -12, -18, -26), (75, 98), (0, 0), (0.5, 8), (0, 0)),
    'water': _Kind((-14, -12, -10, -8, -6, -5, -6, -8), (75, 95), (0, 0), (0, 1), (0, 0)),
    'impacts': _Kind((-3, -5, -6, -6, -6, -7, -9, -12), (95, 112), (0.5, 4), (0.2, 3), (0, 0)),
}
"""Kinds of other sounds; their spectra and powers are our estimates."""


@dataclass(frozen=True, eq=False)
class OtherSound:
    """One of them, with what `distractors.Distractor` has.

    Attributes:
        kind: key of `KINDS`.
        number: seeds its noise.
        start_m: (3,) world place at t = 0.
        velocity_mps: (3,) world velocity.
        levels_db: (8,) octave sound power, dB re 1 pW.
        beat_s: period of its modulation; 0 for a steady one.
        beat_part: part of the period in which it is on.
        depth_db: attenuation in between.
        tone_hz: its lowest tone; 0 for none.
        harmonics: how many tones.
        sweep: part by which the pitch rises and falls.
        sweep_s: period of that.
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
        """World positions (..., 3)."""
        return self.start_m + np.asarray(t_s, np.float64)[..., None] * self.velocity_mps

    def bands_db(self, t_s: float) -> np.ndarray:
        """(8,) octave sound power, dB re 1 pW."""
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
        """Cycles and cycles a second of the lowest tone."""
        rate = 2 * np.pi / self.sweep_s
        swing = self.tone_hz * self.sweep
        cycles = self.tone_hz * t_s - swing / rate * np.cos(rate * t_s)
        return cycles, self.tone_hz + swing * np.sin(rate * t_s)


@dataclass(frozen=True, eq=False)
class CarriedSound(OtherSound):
    """One that the ego vehicle carries: its place is in base_link.

    Attributes:
        ego: the ego vehicle.
    """

    ego: Vehicle | None = None

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """World positions (..., 3)."""
        position, rotation = self.ego.pose(t_s)
        return position + rotation @ self.start_m


CARRIED = {
    'indicator': _Kind(
        (-40, -35, -28, -20, -12, -6, -3, -5), (52, 72), (0.6, 0.8), (0.5, 1), (0, 0)
    ),
    'wipers': _Kind((-6, -4, -4, -6, -9, -12, -16, -22), (60, 80), (0.8, 2.0), (0.9, 1.3), (0, 0)),
    'cabin': _Kind((-4, -2, -4, -6, -8, -12, -18, -26), (60, 82), (0, 0), (0.8, 1.2), (0, 0)),
    'rattle': _Kind((-14, -10, -7, -5, -5, -6, -8, -12), (60, 84), (0.1, 0.5), (0.3, 1.2), (0, 0)),
    'cooling': _Kind((-10, -6, -3, -3, -6, -10, -16, -24), (62, 82), (0, 0), (0.5, 0.8), (0, 0)),
}
"""Sounds of the ego vehicle itself besides its engine and tyres."""

CARRIED_PART = 0.3
"""Part of the drives in which one of them sounds."""


def carried_sounds(rng: np.random.Generator, ego: Vehicle) -> tuple[SoundSource, ...]:
    """Draw none or one of `CARRIED`.

    Args:
        rng: where the randomness comes from.
        ego: who carries it.
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
    """Draw one to `MOST`, where vehicles are or anywhere around the array's way.

    Args:
        rng: where the randomness comes from.
        scene: the drive.
        recordings: half of the sounds are played from them, in place of one's own.
    """
    found: list[SoundSource] = []
    for number in range(int(rng.integers(1, MOST + 1))):
        name = str(rng.choice(list(KINDS)))
        kind = KINDS[name]
        at_s = rng.uniform(0, scene.duration_s)
        position, rotation = scene.ego_pose(np.array([at_s]))
        # as often in front as elsewhere
        azimuth = rng.uniform(-1, 1) * (np.radians(60) if rng.random() < 0.6 else np.pi)
        away = kind.nearest_m * np.exp(rng.uniform(0, np.log(80.0 / kind.nearest_m)))
        here = position[0] + rotation[0] @ (away * np.array([np.cos(azimuth), np.sin(azimuth), 0]))
        here = here * [1, 1, 0] + [0, 0, position[0, 2] + rng.uniform(*kind.height_m)]
        heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(*kind.speed_mps)
        if rng.random() < 0.3 and kind.speed_mps[1] == 0:
            # it stands where the ego vehicle stands or goes with it: a load, a trailer, a radio
            velocity = (scene.ego.pose(at_s + 0.5)[0] - scene.ego.pose(at_s - 0.5)[0]) * [1, 1, 0]
        else:
            velocity = speed * np.array([np.cos(heading), np.sin(heading), 0.0])
        start = here - velocity * at_s
        key = _NUMBERS_FROM + number
        if recordings is not None and rng.random() < 0.5:
            power = float(rng.uniform(80, 112))
            which, begin = int(rng.integers(len(recordings))), float(rng.random())
            found.append(RecordedSound(key, start, velocity, recordings, which, power, begin))
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
