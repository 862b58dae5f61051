"""Drives whose vehicles sound unlike each other, and in which other things sound as well.

`random_scene` gives every car of a category one spectrum. Real ones differ by 3 to 6 dB an octave,
roads are wet or rough, engines loaded, and much that sounds is no vehicle at all, also where
vehicles are. `varied` draws all of that from streams of its own; a drive without it stays as it
was. What is drawn is part of the scene, so levels, labels and both renderers agree on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.rig import MICROPHONES
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.scene import Noise, Scene
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

WET_DB = np.array([0, 0, 0, 1, 3, 6, 8, 9.0])
ROUGH_DB = np.array([2, 4, 5, 5, 2, 0, -1, -1.0])
"""What a wet and a rough road add to tyres at most, by octave (our estimates)."""

_NUMBERS_FROM = 100
_ZERO = (0.0,) * 8


@dataclass(frozen=True)
class ColouredProfile(SoundProfile):
    """A vehicle with a spectrum of its own.

    Attributes:
        rolling_colour_db: (8,) added to the octave levels of its tyres.
        propulsion_colour_db: (8,) added to those of its engine.
    """

    rolling_colour_db: tuple[float, ...] = _ZERO
    propulsion_colour_db: tuple[float, ...] = _ZERO

    def rolling_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """See `SoundProfile.rolling_db`."""
        return super().rolling_db(speed_mps) + self.rolling_colour_db

    def propulsion_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """See `SoundProfile.propulsion_db`."""
        return super().propulsion_db(speed_mps) + self.propulsion_colour_db


@dataclass(frozen=True, eq=False)
class StormyNoise(Noise):
    """Rain on the microphones, and gusts that catch some of them.

    Attributes:
        rain_db: level of the rain in each microphone, dB SPL; -inf for none.
        gust_db: (8,) what a gust adds to the wind of each microphone.
    """

    rain_db: float = -np.inf
    gust_db: tuple[float, ...] = _ZERO

    def bands_db(self, speed_mps: float) -> np.ndarray:
        """See `Noise.bands_db`; drops rise by 2 dB an octave."""
        bands = super().bands_db(speed_mps)
        if not np.isfinite(self.rain_db):
            return bands
        shape = 2.0 * np.arange(8)
        return cnossos.add_levels(bands, shape - cnossos.add_levels(*shape) + self.rain_db)

    def gust_bands_db(self, microphone: int) -> np.ndarray:
        """(8,) what is added to the octave levels of one microphone: most of it below 500 Hz."""
        return self.gust_db[microphone] * np.array([1, 1, 0.9, 0.7, 0.4, 0.2, 0.1, 0.0])


@dataclass(frozen=True)
class _Kind:
    """A kind of other sounds: octave shape, power, pace of its beats, height, speed."""

    shape_db: tuple[float, ...]
    power_db: tuple[float, float]
    beat_s: tuple[float, float]
    height_m: tuple[float, float]
    speed_mps: tuple[float, float]
    nearest_m: float = 4.0


KINDS = {
    'speech': _Kind(
        (-25, -12, -4, -1, -5, -9, -14, -20), (68, 85), (0.3, 0.9), (1.2, 1.8), (0, 2)
    ),
    'crowd': _Kind((-22, -10, -3, -1, -4, -8, -13, -19), (80, 98), (0, 0), (1.2, 2), (0, 0)),
    'jackhammer': _Kind((-4, -5, -7, -7, -5, -4, -5, -8), (98, 112), (0.4, 3), (0.3, 1), (0, 0)),
    'grinder': _Kind(
        (-30, -25, -18, -12, -7, -3, -2, -4), (92, 106), (0.8, 4), (0.8, 1.2), (0, 0)
    ),
    'mower': _Kind((-6, -2, -2, -4, -6, -8, -12, -18), (88, 98), (0, 0), (0.3, 0.5), (0, 1.5)),
    'blower': _Kind((-14, -8, -4, -3, -4, -6, -8, -13), (92, 105), (0, 0), (1, 1.4), (0, 1.5)),
    'train': _Kind(
        (-3, -3, -3, -3, -4, -8, -14, -22), (105, 118), (0, 0), (0.5, 1), (12, 35), 20.0
    ),
    'tram': _Kind((-4, -3, -2, -2, -5, -9, -15, -22), (97, 108), (0, 0), (0.4, 0.6), (4, 15), 5.0),
    'aircraft': _Kind(
        (-2, -2, -4, -7, -11, -17, -27, -40), (118, 130), (0, 0), (60, 90), (0, 40), 30.0
    ),
    'helicopter': _Kind(
        (0, -3, -5, -8, -12, -18, -27, -40), (112, 125), (0, 0), (50, 80), (0, 30), 30.0
    ),
    'birds': _Kind((-60, -60, -50, -40, -20, -4, -3, -12), (70, 90), (0.3, 1.5), (3, 12), (0, 3)),
    'dog': _Kind((-40, -25, -12, -3, -3, -8, -15, -24), (85, 100), (0.5, 1.5), (0.4, 0.6), (0, 2)),
    'horn': _Kind((-40, -30, -12, -4, -2, -4, -10, -18), (100, 110), (0.6, 4), (0.6, 1), (0, 15)),
    'siren': _Kind((-40, -30, -15, -4, -2, -5, -12, -20), (108, 118), (1, 4), (1.5, 2.5), (0, 20)),
    'music': _Kind((-2, -2, -4, -6, -8, -10, -14, -20), (80, 98), (0.3, 0.6), (1, 3), (0, 0)),
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
        number: makes its noise its own.
        start_m: (3,) world place at t = 0.
        velocity_mps: (3,) world velocity.
        levels_db: (8,) octave sound power, dB re 1 pW.
        beat_s: period in which it comes and goes; 0 for a steady one.
        beat_part: part of the period in which it sounds.
        depth_db: how much softer it is in between.
    """

    kind: str
    number: int
    start_m: np.ndarray
    velocity_mps: np.ndarray
    levels_db: np.ndarray
    beat_s: float
    beat_part: float
    depth_db: float

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """World positions (..., 3)."""
        return self.start_m + np.asarray(t_s, np.float64)[..., None] * self.velocity_mps

    def bands_db(self, t_s: float) -> np.ndarray:
        """(8,) octave sound power, dB re 1 pW."""
        pause = self.beat_s > 0 and (t_s / self.beat_s + 0.37 * self.number) % 1 > self.beat_part
        return self.levels_db - self.depth_db * pause


def varied(scene: Scene, most_sounds: int = 3) -> Scene:
    """The drive with vehicles of many spectra, another road surface, weather and other sounds.

    Args:
        scene: any drive; its roads, traffic and boxes stay as they are.
        most_sounds: other sounds in it, at most; half of the drives have none.
    """
    colours, world = (np.random.default_rng([scene.seed, stream]) for stream in (13, 14))
    wet = colours.uniform(0.2, 1) if colours.random() < 0.25 else 0.0
    rough = colours.uniform(-0.3, 1) if colours.random() < 0.5 else 0.0
    road_db = wet * WET_DB + rough * ROUGH_DB
    vehicles = tuple(_coloured(colours, vehicle, road_db) for vehicle in scene.vehicles)
    ego = _coloured(colours, scene.ego, road_db)
    sounds = _other_sounds(world, scene, most_sounds) if world.random() < 0.5 else ()
    return replace(
        scene,
        vehicles=vehicles,
        ego=ego,
        noise=_weather(world, scene.noise, wet),
        distractors=(*scene.distractors, *sounds),
    )


def _coloured(rng: np.random.Generator, vehicle: Vehicle, road_db: np.ndarray) -> Vehicle:
    profile = vehicle.sound
    rolling, propulsion = _colour(rng), _colour(rng)
    # a load lifts the engine's middle, a gear changes its speed
    load = rng.uniform(0, 6) if rng.random() < 0.3 else 0.0
    propulsion = propulsion + load * np.array([0.3, 0.6, 1, 1, 1, 0.8, 0.6, 0.4])
    coloured = ColouredProfile(
        **{
            **vars(profile),
            'rolling_offset_db': profile.rolling_offset_db + rng.normal(0, 1.5),
            'propulsion_offset_db': profile.propulsion_offset_db + rng.normal(0, 2),
            'cycles_per_m': profile.cycles_per_m * np.exp(rng.normal(0, 0.25)),
            'idle_hz': profile.idle_hz * np.exp(rng.normal(0, 0.12)),
        },
        rolling_colour_db=tuple((rolling + road_db).tolist()),
        propulsion_colour_db=tuple(propulsion.tolist()),
    )
    return replace(vehicle, sound=coloured)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """(8,) an equaliser: 3 to 6 dB of spread in each octave, and a tilt of up to 6 dB."""
    tilt = rng.uniform(-6, 6) * np.linspace(-0.5, 0.5, 8) * 2
    return np.clip(rng.normal(0, rng.uniform(2, 5), 8) + tilt, -14, 12)


def _weather(rng: np.random.Generator, noise: Noise, wet: float) -> Noise:
    rain = rng.uniform(42, 66) if wet > 0 and rng.random() < 0.5 else -np.inf
    gusts = np.zeros(MICROPHONES)
    if rng.random() < 0.15:
        caught = rng.permutation(MICROPHONES)[: int(rng.integers(1, 5))]
        gusts[caught] = rng.uniform(5, 25, len(caught))
    return StormyNoise(**vars(noise), rain_db=rain, gust_db=tuple(gusts.tolist()))


def _other_sounds(rng: np.random.Generator, scene: Scene, most: int) -> tuple[OtherSound, ...]:
    """One to `most`, where vehicles are or anywhere around the array's way."""
    found = []
    for number in range(int(rng.integers(1, most + 1))):
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
        levels = np.array(kind.shape_db) + rng.uniform(*kind.power_db) + rng.normal(0, 3, 8)
        beats = kind.beat_s[1] > 0
        found.append(
            OtherSound(
                name,
                _NUMBERS_FROM + number,
                here - velocity * at_s,
                velocity,
                levels,
                float(rng.uniform(*kind.beat_s)) if beats else 0.0,
                float(rng.uniform(0.2, 0.9)),
                float(rng.uniform(10, 40)),
            )
        )
    return tuple(found)
