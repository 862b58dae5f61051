"""Signals of a vehicle's sources: synthetic, or played from recordings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.recordings import (
    Loop,
    Playback,
    Recordings,
    choose,
    coloured,
    engine_power_db,
    tyre_power_db,
)
from avdet_ros.simulation.signals import Signal
from avdet_ros.simulation.variety import ColouredProfile
from avdet_ros.simulation.vehicles import Vehicle

ROLES = ('front', 'rear', 'engine', 'far')
"""Tyres of the two axles, engine, and all of them as one source when far away."""

_SILENCE = np.full(8, -np.inf)


def vehicle_signal(
    vehicle: Vehicle,
    role: str,
    seed: int,
    sample_rate_hz: int,
    engine: Engine,
    loss_db: Callable[[float], np.ndarray] | None,
    recordings: Recordings | None = None,
) -> Signal:
    """Make the signal of one source.

    Args:
        vehicle: the vehicle.
        role: one of `ROLES`.
        seed: seed of the drive.
        sample_rate_hz: sample rate.
        engine: the vehicle's engine, shared by its roles.
        loss_db: maps a time to the loss in air by frequency, None for the ego vehicle.
        recordings: loops that replace synthetic sound, for the roles they have. Far vehicles, and
            combustion engines alone, are played from loops; electric motors stay synthetic.
    """

    def tyres_db(t_s: float) -> np.ndarray:
        return vehicle.sound.rolling_db(vehicle.speed_mps(t_s))

    if recordings and (
        played := played_signal(vehicle, role, seed, sample_rate_hz, loss_db, recordings)
    ):
        return played
    key = _key(vehicle, role, seed)
    if role in ('front', 'rear'):
        return Signal(key, sample_rate_hz, lambda t_s: tyres_db(t_s) - 10 * np.log10(2), loss_db)
    if role == 'engine':
        return Signal(key, sample_rate_hz, engine.noise_db, loss_db, engine.table, engine.phase)

    def all_db(t_s: float) -> np.ndarray:
        return cnossos.add_levels(engine.noise_db(t_s), tyres_db(t_s))

    return Signal(key, sample_rate_hz, all_db, loss_db, engine.table, engine.phase)


def played_signal(
    vehicle: Vehicle,
    role: str,
    seed: int,
    sample_rate_hz: int,
    loss_db: Callable[[float], np.ndarray] | None,
    recordings: Recordings,
) -> Signal | None:
    """Make a source's signal from a loop, see `vehicle_signal`; None for synthetic sources."""
    playback = _playback(vehicle, role, recordings)
    if playback is None:
        return None

    def rest_db(t_s: float) -> np.ndarray:
        if role == 'far' and not recordings.tyres:  # an engine loop does not replace tyre noise
            return vehicle.sound.rolling_db(vehicle.speed_mps(t_s))
        return _SILENCE

    key = _key(vehicle, role, seed)
    return Signal(
        key, sample_rate_hz, rest_db, loss_db, playback.table, playback.phase, filter_tones=True
    )


def _key(vehicle: Vehicle, role: str, seed: int) -> tuple[int, int]:
    return seed, vehicle.vehicle_id * len(ROLES) + ROLES.index(role)


def _playback(vehicle: Vehicle, role: str, recordings: Recordings) -> Playback | None:
    combustion = vehicle.sound.cylinders > 0
    rolls = vehicle.kind != 'motorcycle'
    if role in ('front', 'rear') and recordings.tyres:
        loop = _loop(recordings.tyres, vehicle)
        return Playback(vehicle, loop, lambda v: tyre_power_db(vehicle, v), role == 'rear')
    if role == 'engine' and recordings.engines and combustion:
        loop = _loop(recordings.engines, vehicle)
        return Playback(vehicle, loop, lambda v: engine_power_db(vehicle, v))
    if role == 'far' and recordings.tyres and rolls:
        loop = _loop(recordings.tyres, vehicle)
        return Playback(vehicle, loop, lambda v: float(vehicle.sound.power_db_a(v)))
    if role == 'far' and recordings.engines and combustion:
        loop = _loop(recordings.engines, vehicle)
        return Playback(vehicle, loop, lambda v: engine_power_db(vehicle, v))
    return None


def _loop(loops: tuple[Loop, ...], vehicle: Vehicle) -> Loop:
    """Return the loop of a vehicle, with its equaliser applied if it has one (`variety`)."""
    loop, sound = choose(loops, vehicle), vehicle.sound
    if not isinstance(sound, ColouredProfile):
        return loop
    tyres = loop.name.lower().startswith('tyre')
    return coloured(loop, sound.rolling_colour_db if tyres else sound.propulsion_colour_db)
