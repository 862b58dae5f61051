"""One non-vehicle sound at a fixed bearing in the camera's view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.detection.steering import heading_rad
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.other_sounds import OtherSound
from avdet_ros.simulation.recorded_sounds import RecordedSound, SoundFolder
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.signals import Signal
from avdet_ros.simulation.sound_kinds import KINDS

AZIMUTH_DEG = 40.0
"""Maximum angle between the bearing and the camera's heading."""

DISTANCE_M = (12.0, 35.0)
HEIGHT_M = 1.0
EGO_DISTANCE_M = 2.0
"""Distance of the ego vehicle's own sources from the array, as in `Scene`."""

_STREAM = 14
_NUMBER = 90


@dataclass(frozen=True, eq=False)
class SoundInView:
    """A sound that moves with the ego vehicle; see `distractors.SoundSource`.

    Attributes:
        sound: the source whose signal it plays.
        scene: the drive with the ego vehicle.
        offset_m: (3,) position in base_link.
    """

    sound: SoundSource
    scene: Scene
    offset_m: np.ndarray

    @property
    def kind(self) -> str:
        """Kind of the sound."""
        return self.sound.kind

    @property
    def number(self) -> int:
        """See `distractors.SoundSource`."""
        return self.sound.number

    @property
    def noise_only(self) -> bool:
        """See `distractors.SoundSource`."""
        return self.sound.noise_only

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3)."""
        position, rotation = self.scene.ego_pose(np.asarray(t_s, np.float64))
        return position + rotation @ self.offset_m

    def bands_db(self, t_s: float) -> np.ndarray:
        """See `distractors.SoundSource`."""
        return self.sound.bands_db(t_s)

    def signal(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        loss_db: Callable[[float], np.ndarray] | None,
    ) -> Signal:
        """See `distractors.SoundSource`."""
        return self.sound.signal(key, sample_rate_hz, loss_db)


def with_sound_in_view(
    scene: Scene, above_rest_db: float, sounds: SoundFolder | None = None
) -> Scene:
    """Replace a drive's other sounds by a single one in view.

    Args:
        scene: a drive; its seed chooses the kind, bearing and distance.
        above_rest_db: A-weighted level at the array relative to ego vehicle, wind and hum, in the
            middle of the drive.
        sounds: recordings to choose from; None uses the kinds of `sound_kinds`.
    """
    rng = np.random.default_rng([scene.seed, _STREAM])
    heading = heading_rad(scene.rig.camera) + np.radians(rng.uniform(-AZIMUTH_DEG, AZIMUTH_DEG))
    away_m = float(np.exp(rng.uniform(*np.log(DISTANCE_M))))
    offset = scene.rig.array_position_m + away_m * np.array([np.cos(heading), np.sin(heading), 0])
    offset[2] = HEIGHT_M
    alone = replace(scene, distractors=())
    wanted_db = rest_db(alone, alone.duration_s / 2) + above_rest_db
    sound = _sound(scene.seed, rng, away_m, wanted_db, sounds)
    return replace(alone, distractors=(SoundInView(sound, alone, offset),))


def rest_db(scene: Scene, t_s: float) -> float:
    """Return the A-weighted level of ego vehicle, wind and hum at the array, dB(A)."""
    speed = float(scene.ego.speed_mps(t_s))
    sound = scene.ego.sound
    power = cnossos.add_levels(sound.rolling_db(speed), sound.propulsion_db(speed))
    ego = cnossos.pressure_level_db(power - scene.noise.insertion_db, EGO_DISTANCE_M)
    levels = cnossos.a_weighted_db(np.stack([ego, scene.noise.bands_db(speed)]))
    return float(10 * np.log10(np.sum(10 ** (levels / 10))))


def _sound(
    seed: int,
    rng: np.random.Generator,
    away_m: float,
    wanted_db: float,
    sounds: SoundFolder | None,
) -> SoundSource:
    """Draw a sound that has the wanted level at a distance while it is on."""
    nowhere = np.zeros(3)
    if sounds is not None:
        which, begin = seed % len(sounds), float(rng.random())
        bands = sounds.bands_db(which)
        power = wanted_db - _received_db(bands, away_m)
        return RecordedSound(_NUMBER, nowhere, nowhere, sounds, which, power, begin)
    name = list(KINDS)[seed % len(KINDS)]
    kind = KINDS[name]
    shape = np.array(kind.shape_db) + rng.normal(0, 3, 8)
    beats = kind.beat_s[1] > 0
    return OtherSound(
        name,
        _NUMBER,
        nowhere,
        nowhere,
        shape + wanted_db - _received_db(shape, away_m),
        float(rng.uniform(*kind.beat_s)) if beats else 0.0,
        float(rng.uniform(0.2, 0.9)),
        float(rng.uniform(10, 40)),
        float(rng.uniform(*kind.tone_hz)),
        kind.harmonics,
        kind.sweep * float(rng.random()),
        float(rng.uniform(*kind.sweep_s)),
    )


def _received_db(power_db: np.ndarray, away_m: float) -> float:
    return float(cnossos.a_weighted_db(cnossos.pressure_level_db(power_db, away_m)))
