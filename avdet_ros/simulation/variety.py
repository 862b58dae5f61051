"""Drives with vehicles of many spectra, weather, and other sounds.

`random_scene` gives every car of a category the same spectrum. Real cars differ by 3 to 6 dB per
octave, roads are wet or rough, engines are loaded, and many sounds do not come from vehicles, also
where vehicles are. `varied` draws all of this from separate random streams, so drives without it
are unchanged. The result is part of the scene, so levels, labels and both renderers agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.rig import MICROPHONES
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.other_sounds import carried_sounds, random_sounds
from avdet_ros.simulation.recorded_sounds import SoundFolder
from avdet_ros.simulation.scene import Noise, Scene
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

WET_DB = np.array([0, 0, 0, 1, 3, 6, 8, 9.0])
ROUGH_DB = np.array([2, 4, 5, 5, 2, 0, -1, -1.0])
"""Maximum increase of tyre noise on a wet and on a rough road, by octave (our estimates)."""

_ZERO = (0.0,) * 8


@dataclass(frozen=True)
class ColouredProfile(SoundProfile):
    """A sound profile with its own spectrum.

    Attributes:
        rolling_colour_db: (8,) gains added to the octave levels of its tyres.
        propulsion_colour_db: (8,) gains added to the octave levels of its engine.
        tones: see `SoundProfile.tonal_share`.
    """

    rolling_colour_db: tuple[float, ...] = _ZERO
    propulsion_colour_db: tuple[float, ...] = _ZERO
    tones: float = 1.0

    @property
    def tonal_share(self) -> float:
        """See `SoundProfile.tonal_share`."""
        return self.tones

    def rolling_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """See `SoundProfile.rolling_db`."""
        return super().rolling_db(speed_mps) + self.rolling_colour_db

    def propulsion_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """See `SoundProfile.propulsion_db`."""
        return super().propulsion_db(speed_mps) + self.propulsion_colour_db


@dataclass(frozen=True, eq=False)
class StormyNoise(Noise):
    """Noise with rain on the microphones, and gusts that hit some of them.

    Attributes:
        rain_db: level of the rain at each microphone, dB SPL; -inf for none.
        gust_db: (8,) increase of wind noise by a gust at each microphone.
    """

    rain_db: float = -np.inf
    gust_db: tuple[float, ...] = _ZERO

    def bands_db(self, speed_mps: float) -> np.ndarray:
        """See `Noise.bands_db`; the level of rain rises by 2 dB per octave."""
        bands = super().bands_db(speed_mps)
        if not np.isfinite(self.rain_db):
            return bands
        shape = 2.0 * np.arange(8)
        return cnossos.add_levels(bands, shape - cnossos.add_levels(*shape) + self.rain_db)

    def gust_bands_db(self, microphone: int) -> np.ndarray:
        """Return what gusts add to one microphone's (8,) octave levels: most is below 500 Hz."""
        return self.gust_db[microphone] * np.array([1, 1, 0.9, 0.7, 0.4, 0.2, 0.1, 0.0])


def varied(scene: Scene, recordings: SoundFolder | None = None) -> Scene:
    """Vary a drive's vehicle spectra, road surface and weather, and add other sounds.

    Args:
        scene: any drive; its roads, traffic and boxes are unchanged.
        recordings: recordings of other sounds, used for half of them.
    """
    colours, world = (np.random.default_rng([scene.seed, stream]) for stream in (13, 14))
    wet = colours.uniform(0.2, 1) if colours.random() < 0.25 else 0.0
    rough = colours.uniform(-0.3, 1) if colours.random() < 0.5 else 0.0
    road_db = wet * WET_DB + rough * ROUGH_DB
    vehicles = tuple(_coloured(colours, vehicle, road_db) for vehicle in scene.vehicles)
    ego = _coloured(colours, scene.ego, road_db)
    sounds = random_sounds(world, scene, recordings) if world.random() < 0.5 else ()
    return replace(
        scene,
        vehicles=vehicles,
        ego=ego,
        noise=_weather(world, scene.noise, wet),
        distractors=(*scene.distractors, *sounds, *carried_sounds(world, ego)),
    )


def _coloured(rng: np.random.Generator, vehicle: Vehicle, road_db: np.ndarray) -> Vehicle:
    profile = vehicle.sound
    rolling, propulsion = _colour(rng), _colour(rng)
    # a load raises the engine's middle octaves, a gear changes its speed
    load = rng.uniform(0, 6) if rng.random() < 0.3 else 0.0
    propulsion = propulsion + load * np.array([0.3, 0.6, 1, 1, 1, 0.8, 0.6, 0.4])
    # a quarter of the vehicles have no audible tones
    tones = rng.random()
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
        tones=0.0 if tones < 0.25 else float(min(1.0, tones * 1.3)),
    )
    return replace(vehicle, sound=coloured)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Draw an (8,) equaliser: 2 to 5 dB of spread in each octave, and a tilt of up to 6 dB."""
    tilt = rng.uniform(-6, 6) * np.linspace(-0.5, 0.5, 8) * 2
    return np.clip(rng.normal(0, rng.uniform(2, 5), 8) + tilt, -14, 12)


def _weather(rng: np.random.Generator, noise: Noise, wet: float) -> Noise:
    rain = rng.uniform(42, 66) if wet > 0 and rng.random() < 0.5 else -np.inf
    gusts = np.zeros(MICROPHONES)
    if rng.random() < 0.15:
        caught = rng.permutation(MICROPHONES)[: int(rng.integers(1, 5))]
        gusts[caught] = rng.uniform(5, 25, len(caught))
    return StormyNoise(**vars(noise), rain_db=rain, gust_db=tuple(gusts.tolist()))
