"""Vehicles: shape, pose and sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import Road

KINDS = ('car', 'van', 'lorry', 'motorcycle', 'electric_car')
"""Kinds of vehicles. Their shares in traffic depend on the setting; see traffic.py."""

# Side views as (x, z) corners, relative to length and height, x from rear (-0.5) to nose (0.5).
PROFILES = {
    'car': (
        (-0.5, 0.15),
        (-0.5, 0.60),
        (-0.38, 0.97),
        (-0.30, 1.0),
        (0.02, 1.0),
        (0.22, 0.66),
        (0.46, 0.56),
        (0.5, 0.45),
        (0.5, 0.15),
        (0.35, 0.0),
        (-0.35, 0.0),
    ),
    'van': (
        (-0.5, 0.12),
        (-0.5, 0.97),
        (-0.47, 1.0),
        (0.25, 1.0),
        (0.38, 0.60),
        (0.5, 0.48),
        (0.5, 0.12),
        (0.35, 0.0),
        (-0.35, 0.0),
    ),
    'lorry': (
        (-0.5, 0.10),
        (-0.5, 1.0),
        (0.42, 1.0),
        (0.5, 0.85),
        (0.5, 0.08),
        (0.4, 0.0),
        (-0.4, 0.0),
    ),
    'motorcycle': (
        (-0.5, 0.2),
        (-0.42, 0.55),
        (-0.15, 1.0),
        (0.08, 1.0),
        (0.45, 0.6),
        (0.5, 0.2),
        (0.35, 0.0),
        (-0.35, 0.0),
    ),
}
PROFILES['electric_car'] = PROFILES['car']


@dataclass(frozen=True)
class SoundProfile:
    """Sound properties of a vehicle, independent of its position.

    Attributes:
        category: its CNOSSOS-EU category.
        rolling_offset_db: tyre level relative to the category's mean.
        propulsion_offset_db: engine level relative to the category's mean.
        cylinders: number of cylinders, 0 for an electric motor.
        cycles_per_m: engine cycles (two revolutions) per metre in the current gear.
        idle_hz: engine cycles per second when standing.
        engine_height_m: CNOSSOS engine height, 0.3 m light, 0.75 m heavy.
        running: False for a parked vehicle, which makes no sound at all.
    """

    category: str
    rolling_offset_db: float = 0.0
    propulsion_offset_db: float = 0.0
    cylinders: int = 4
    cycles_per_m: float = 1.0
    idle_hz: float = 7.0
    engine_height_m: float = 0.3
    running: bool = True

    @property
    def tonal_share(self) -> float:
        """Strength of the engine's tones relative to a typical engine of its kind, 0 to 1."""
        return 1.0

    def rolling_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """Return (..., 8) octave sound power of all tyres, dB re 1 pW; -inf if silent."""
        if not self.running:
            return np.full((*np.shape(speed_mps), 8), -np.inf)
        return cnossos.rolling_db(self.category, speed_mps) + self.rolling_offset_db

    def propulsion_db(self, speed_mps: ArrayLike) -> np.ndarray:
        """Return (..., 8) octave sound power of the engine, dB re 1 pW; -inf if silent.

        Electric motors have the attenuation of `cnossos.ELECTRIC_PROPULSION_DB`, and are silent at
        standstill.
        """
        if not self.running:
            return np.full((*np.shape(speed_mps), 8), -np.inf)
        level = cnossos.propulsion_db(self.category, speed_mps) + self.propulsion_offset_db
        if self.cylinders == 0:
            fade = np.minimum(np.abs(np.asarray(speed_mps, np.float64)) / 2.0, 1.0)
            with np.errstate(divide='ignore'):
                level = level + cnossos.ELECTRIC_PROPULSION_DB + 20 * np.log10(fade)[..., None]
        return level

    def power_db_a(self, speed_mps: ArrayLike) -> np.ndarray:
        """Return (...) A-weighted sound power of the whole vehicle, dB(A) re 1 pW."""
        return cnossos.a_weighted_db(
            cnossos.add_levels(self.rolling_db(speed_mps), self.propulsion_db(speed_mps))
        )


@dataclass(frozen=True, eq=False)
class Vehicle:
    """One vehicle.

    Attributes:
        vehicle_id: identity, from 1; 0 is the ego vehicle.
        kind: one of `KINDS`.
        length_m: length.
        width_m: width without mirrors.
        height_m: height, with the rider for motorcycles.
        road: the road it is on.
        motion: its motion along that road.
        sound: its sound properties.
        paint: (3,) body colour, 0 to 1, for pictures.
    """

    vehicle_id: int
    kind: str
    length_m: float
    width_m: float
    height_m: float
    road: Road
    motion: Motion
    sound: SoundProfile
    paint: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @property
    def wheelbase_m(self) -> float:
        """Distance between the outer axles."""
        return self.length_m * (0.7 if self.kind == 'motorcycle' else 0.6)

    def pose(self, t_s: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Compute the vehicle's pose.

        Args:
            t_s: (...) drive times.

        Returns:
            position: (..., 3) float64, middle of its footprint on the road, world frame.
            rotation: (..., 3, 3) float64, maps vehicle directions (x forward, y left, z up) to
                the world.
        """
        t = np.asarray(t_s, np.float64)
        motion = self.motion
        along = motion.along_m(t)
        position, forward, left, up = self.road.frame(along)
        wander = motion.wander_m * np.sin(motion.wander_rate_rad_s * t + self.vehicle_id)
        width = self.road.width_m(along)
        aside = motion.lane_at(t) * width + motion.aside_m + wander
        position = position + aside[..., None] * left
        if motion.changes:  # the nose points in the direction of movement
            across = motion.lanes_per_s(t) * width * np.sign(motion.speed_mps)
            turn = np.arctan2(across, np.abs(motion.along_mps(t)))[..., None]
            forward, left = (
                np.cos(turn) * forward + np.sin(turn) * left,
                np.cos(turn) * left - np.sin(turn) * forward,
            )
        if motion.speed_mps < 0:
            forward, left = -forward, -left
        return position, np.stack([forward, left, up], axis=-1)

    def speed_mps(self, t_s: ArrayLike) -> np.ndarray:
        """Return the (...) float64 speed, not negative."""
        return np.abs(self.motion.along_mps(t_s))

    def outline_m(self) -> np.ndarray:
        """Return (P, 3) float64 corners of the body in the vehicle's frame: left, right side."""
        side = np.array(PROFILES[self.kind]) * [self.length_m, self.height_m]
        half = self.width_m / 2
        return np.concatenate(
            [np.insert(side, 1, half, axis=1), np.insert(side, 1, -half, axis=1)]
        )


def random_vehicle(
    rng: np.random.Generator,
    vehicle_id: int,
    kind: str,
    road: Road,
    motion: Motion,
    running: bool = True,
) -> Vehicle:
    """Draw a vehicle's size, colour and sound."""
    draw = rng.uniform
    if kind in ('car', 'electric_car'):
        tall = draw(0, 1) ** 2
        length = draw(3.6, 4.9) + 0.2 * tall
        width, height = 1.62 + 0.06 * (length - 3.6) + draw(0, 0.15), 1.38 + 0.4 * tall
    elif kind == 'van':
        length = draw(4.7, 6.6)
        width, height = draw(1.85, 2.1), 1.85 + 0.35 * (length - 4.7) + draw(0, 0.3)
    elif kind == 'lorry':
        length = draw(6.5, 10.0) if draw() < 0.6 else draw(12.0, 16.5)
        width, height = draw(2.3, 2.55), draw(3.0, 4.0)
    else:
        length, width, height = draw(1.95, 2.3), draw(0.7, 0.9), draw(1.35, 1.7)
    sound_profile = _random_sound_profile(rng, kind, length, abs(motion.speed_mps), running)
    paint = tuple(np.clip(draw(0.05, 0.95) + rng.normal(0, 0.12, 3), 0.02, 1.0).tolist())
    return Vehicle(vehicle_id, kind, length, width, height, road, motion, sound_profile, paint)


def _random_sound_profile(
    rng: np.random.Generator, kind: str, length_m: float, speed_mps: float, running: bool
) -> SoundProfile:
    draw = rng.uniform
    offsets = rng.normal(0, 1.5), rng.normal(0, 2.0)
    if kind == 'lorry':
        category = 'heavy' if length_m > 9 else 'medium'
        cylinders, revs, idle, height = 6, draw(1000, 1500), draw(550, 680), 0.75
    elif kind == 'motorcycle':
        category, cylinders, revs, idle, height = (
            'motorcycle',
            int(rng.integers(1, 5)),
            draw(2500, 5500),
            draw(1000, 1400),
            0.3,
        )
    else:
        category, cylinders, revs, idle, height = (
            'light',
            int(rng.choice([3, 4, 4, 4, 6])),
            draw(1400, 2600),
            draw(700, 900),
            0.3,
        )
    if kind == 'electric_car':
        cylinders = 0
        # motor and gear: a whine of about 25 to 45 cycles per metre
        return SoundProfile(category, *offsets, cylinders, draw(25, 45), 0.0, height, running)
    cycles_per_m = revs / 120 / max(speed_mps, 3.0)
    return SoundProfile(category, *offsets, cylinders, cycles_per_m, idle / 120, height, running)
