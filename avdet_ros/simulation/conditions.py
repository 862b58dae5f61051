"""Test drives by condition: world, array, with or without traffic.

`random_scene` gives a drive the moderate errors of `random_corruption`, `add_to_drive` those of
`severe_corruption`; here world and array are chosen independently. For a given seed, everything
but the array's errors (road, traffic, noise) is the same with every array.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig
from avdet_ros.simulation.arrays import FAMILIES, HELD_OUT, draw_rig
from avdet_ros.simulation.corruption import Corruption, random_corruption, severe_corruption
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.recorded_sounds import SoundFolder
from avdet_ros.simulation.recordings import Recordings
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound_in_view import with_sound_in_view
from avdet_ros.simulation.traffic import random_scene

WORLDS = ('plain', 'furnished')
"""`random_scene` alone, and with everything that `add_to_drive` adds."""

ARRAYS = ('ideal', 'kept', 'neglected')
"""No errors, the errors of `random_corruption`, the errors of `severe_corruption`."""

USUAL_ARRAY = {'plain': 'kept', 'furnished': 'neglected'}
"""Default array for each world."""

_KEPT_STREAM, _NEGLECTED_STREAM, _RIG_STREAM = 3, 5, 12
"""Random streams of a seed: `random_scene` and `furnished` draw their errors from the first two,
the last one draws arrays of a family."""


@dataclass(frozen=True)
class Condition:
    """What test drives are like.

    Attributes:
        world: one of `WORLDS`.
        array: one of `ARRAYS`.
        vehicle: seed of one array that all drives share; None draws one for each drive.
        empty: no traffic.
        family: shape of the array, from `arrays.FAMILIES` or `arrays.HELD_OUT`, drawn with a new
            rig; '' keeps the given rig.
        vehicles: number of shared arrays, seeds from `vehicle` on; drives take them in turn.
        temperature_c: air temperature on all drives, as on one day; None keeps each drive's own.
        other_db: level, relative to all other sound, of one non-vehicle sound in view that
            replaces the drive's other sounds; None keeps them.
    """

    world: str = 'plain'
    array: str = 'kept'
    vehicle: int | None = None
    empty: bool = False
    family: str = ''
    vehicles: int = 1
    temperature_c: float | None = None
    other_db: float | None = None

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            AvdetError: no such world or array, or an impossible seed.
        """
        for name, known in (('world', WORLDS), ('array', ARRAYS)):
            value = getattr(self, name)
            if value not in known:
                raise AvdetError(f'{name}: expected one of {", ".join(known)}, found {value!r}')
        if self.vehicle is not None and not 0 <= self.vehicle < 1 << 31:
            raise AvdetError(
                f'vehicle: expected a seed from 0 to {(1 << 31) - 1}, found {self.vehicle}'
            )
        families = (*FAMILIES, *HELD_OUT)
        if self.family and self.family not in families:
            raise AvdetError(
                f'family: expected one of {", ".join(families)}, found {self.family!r}'
            )
        if not 1 <= self.vehicles <= 10_000 or (self.vehicles > 1 and self.vehicle is None):
            raise AvdetError(
                f'vehicles: expected 1 to 10000 and the seed of the first, found {self.vehicles}'
            )

    def __str__(self) -> str:
        parts = [self.world, ' '.join(filter(None, (self.array, self.family, 'array')))]
        if self.vehicle is not None:
            count = 'one vehicle' if self.vehicles == 1 else f'{self.vehicles} vehicles'
            parts.append(f'{count} ({self.vehicle})')
        if self.empty:
            parts.append('no traffic')
        if self.other_db is not None:
            parts.append(f'another sound at {self.other_db:+g} dB')
        return ', '.join(parts)

    def key(self) -> dict[str, object]:
        """Return the fields that identify a condition, for JSON."""
        every = asdict(self)
        # Later fields count only where they are used: sets rendered earlier keep their names.
        return {
            name: value
            for name, value in every.items()
            if name in ('world', 'array', 'vehicle', 'empty') or value != getattr(Condition, name)
        }

    def array_seed(self, seed: int) -> int:
        """Return the seed of the array on a drive; drives of one vehicle share it."""
        return seed if self.vehicle is None else self.vehicle + seed % self.vehicles

    def rig(self, seed: int, base: Rig) -> Rig:
        """Return the rig file of a drive's vehicle.

        Args:
            seed: seed of the drive.
            base: the rig itself without a family, otherwise the base of the drawn rig.
        """
        if not self.family:
            return base
        return draw_rig(
            np.random.default_rng([self.array_seed(seed), _RIG_STREAM]), base, self.family
        )

    def scene(
        self,
        seed: int,
        rig: Rig,
        duration_s: float,
        recordings: Recordings | None = None,
        sounds: SoundFolder | None = None,
    ) -> Scene:
        """Draw the drive of a seed in this condition.

        Args:
            seed: seed of the drive.
            rig: base rig, see `rig`.
            duration_s: length of the drive.
            recordings: loops that replace the synthetic sound of vehicles.
            sounds: recordings that replace the synthetic other sound.
        """
        rig = self.rig(seed, rig)
        scene = random_scene(seed, rig, duration_s, corrupted=False)
        if self.world == 'furnished':
            scene = add_to_drive(scene, corrupted=False, recordings=recordings)
        shared = None if self.vehicle is None else self.array_seed(seed)
        errors = array_errors(self.array, seed, duration_s, shared)
        scene = replace(scene, corruption=errors, recordings=recordings)
        if self.temperature_c is not None:
            scene = replace(scene, temperature_c=self.temperature_c)
        if self.other_db is not None:
            scene = with_sound_in_view(scene, self.other_db, sounds)
        return replace(scene, vehicles=()) if self.empty else scene


def array_errors(
    array: str, seed: int, duration_s: float, vehicle: int | None = None
) -> Corruption:
    """Draw the errors of an array on a drive.

    Args:
        array: one of `ARRAYS`.
        seed: seed of the drive.
        duration_s: length of the drive.
        vehicle: seed of the array when drives share it. Gaps in the sound are not a property of
            the array and remain those of the drive.
    """
    array_seed = seed if vehicle is None else vehicle
    if array == 'ideal':
        return Corruption()
    if array == 'kept':
        return random_corruption(np.random.default_rng([array_seed, _KEPT_STREAM]))
    errors = severe_corruption(np.random.default_rng([array_seed, _NEGLECTED_STREAM]), duration_s)
    if vehicle is None:
        return errors
    drive_errors = severe_corruption(np.random.default_rng([seed, _NEGLECTED_STREAM]), duration_s)
    return replace(errors, gaps_s=drive_errors.gaps_s)


@dataclass(frozen=True)
class TrueArray:
    """True geometry and errors of an array, one row per channel in the sound card's order.

    Attributes:
        microphones_m: (8, 3) float64 positions in base_link.
        yaw_deg: yaw of the array relative to base_link.
        gain_db: (8,) float64, how much louder each channel is than it should be.
        delay_s: (8,) float64, how much later each channel is.
        alive: (8,) bool, False for dead microphones.
    """

    microphones_m: np.ndarray
    yaw_deg: float
    gain_db: np.ndarray
    delay_s: np.ndarray
    alive: np.ndarray


def true_rig(rig: Rig, array: TrueArray) -> Rig:
    """Return the rig file that a perfect calibration would write.

    Args:
        rig: the present rig file.
        array: the true array.
    """
    return replace(
        rig,
        microphones_m=array.microphones_m,
        array_yaw_deg=array.yaw_deg,
        gain_db=array.gain_db,
        delay_s=array.delay_s,
        alive=array.alive,
    )


def true_array(scene: Scene) -> TrueArray:
    """Return the array of a drive with all its errors, as a perfect calibration would find it."""
    errors, rig = scene.corruption, scene.rig
    order = errors.order
    return TrueArray(
        microphones_m=scene.microphones_m()[order],
        yaw_deg=rig.array_yaw_deg + errors.array_yaw_deg,
        gain_db=errors.gain_db[order],
        delay_s=-errors.delay_samples[order] / rig.sample_rate_hz,
        alive=~errors.dead[order],
    )
