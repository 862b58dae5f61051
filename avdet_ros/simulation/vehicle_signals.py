"""Signals of the sources of a vehicle: synthetic, or played from recordings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.recordings import (
    Playback,
    Recordings,
    choose,
    engine_power_db,
    tyre_power_db,
)
from avdet_ros.simulation.signals import Signal
from avdet_ros.simulation.vehicles import Vehicle

ROLES = ('front', 'rear', 'engine', 'far')
"""Tyres of the two axles, engine; and all of them as one source when far away."""

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
        seed: the drive's.
        sample_rate_hz: rate.
        engine: the vehicle's, shared by its roles.
        loss_db: maps a time to the air's loss by frequency, None for the ego vehicle.
        recordings: loops instead of synthetic sound, for the roles they have. Far vehicles, and
            combustion engines alone, are played; electric motors stay synthetic.
    """

    def tyres_db(t_s: float) -> np.ndarray:
        return vehicle.sound.rolling_db(vehicle.speed_mps(t_s))

    key = seed, vehicle.vehicle_id * len(ROLES) + ROLES.index(role)
    playback = _playback(vehicle, role, recordings) if recordings else None
    if role in ('front', 'rear'):
        if playback:
            return _played(key, sample_rate_hz, playback, loss_db, lambda t_s: _SILENCE)
        return Signal(key, sample_rate_hz, lambda t_s: tyres_db(t_s) - 10 * np.log10(2), loss_db)
    if role == 'engine':
        if playback:
            return _played(key, sample_rate_hz, playback, loss_db, lambda t_s: _SILENCE)
        return Signal(key, sample_rate_hz, engine.noise_db, loss_db, engine.table, engine.phase)
    if playback and recordings:
        # what the loop does not replace stays synthetic
        rest = tyres_db if not recordings.tyres else lambda t_s: _SILENCE
        return _played(key, sample_rate_hz, playback, loss_db, rest)

    def all_db(t_s: float) -> np.ndarray:
        return cnossos.add_levels(engine.noise_db(t_s), tyres_db(t_s))

    return Signal(key, sample_rate_hz, all_db, loss_db, engine.table, engine.phase)


def _playback(vehicle: Vehicle, role: str, recordings: Recordings) -> Playback | None:
    combustion = vehicle.sound.cylinders > 0
    rolls = vehicle.kind != 'motorcycle'
    if role in ('front', 'rear') and recordings.tyres:
        loop = choose(recordings.tyres, vehicle)
        return Playback(vehicle, loop, lambda v: tyre_power_db(vehicle, v), role == 'rear')
    if role == 'engine' and recordings.engines and combustion:
        loop = choose(recordings.engines, vehicle)
        return Playback(vehicle, loop, lambda v: engine_power_db(vehicle, v))
    if role == 'far' and recordings.tyres and rolls:
        loop = choose(recordings.tyres, vehicle)
        return Playback(vehicle, loop, lambda v: float(vehicle.sound.power_db_a(v)))
    if role == 'far' and recordings.engines and combustion:
        loop = choose(recordings.engines, vehicle)
        return Playback(vehicle, loop, lambda v: engine_power_db(vehicle, v))
    return None


def _played(
    key: tuple[int, int],
    sample_rate_hz: int,
    playback: Playback,
    loss_db: Callable[[float], np.ndarray] | None,
    rest_db: Callable[[float], np.ndarray],
) -> Signal:
    return Signal(
        key, sample_rate_hz, rest_db, loss_db, playback.table, playback.phase, filter_tones=True
    )
