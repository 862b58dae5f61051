"""Sound of each source of a vehicle: synthetic or a loop, with its level and speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.simulation.cnossos import a_weighted_db
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.recordings import Loop, Playback, Recordings, choose
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.vehicle_signals import ROLES, vehicle_signal
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

RATE = 44100
NO_LOSS = np.zeros(4097, np.float32)
TYRES = tuple(
    Loop(f'tyre{i}', np.linspace(-1, 1, 9).astype(np.float32) * (i + 1), 2.0, 10.0)
    for i in range(3)
)
ENGINES = tuple(
    Loop(f'engine{i}', np.linspace(1, -1, 9).astype(np.float32) * (i + 1), 1.5, 12.0)
    for i in range(3)
)
BOTH = Recordings(ENGINES, TYRES)


def vehicle(
    speed: float = 15.0, number: int = 2, kind: str = 'car', cylinders: int = 4
) -> Vehicle:
    sound = SoundProfile('light', cylinders=cylinders)
    motion = Motion(20.0, speed, sway_m=1.5, sway_phase_rad=0.3)
    return Vehicle(number, kind, 4.2, 1.8, 1.5, straight_road(), motion, sound)


def signal(role: str, recordings: Recordings | None, owner: Vehicle | None = None):
    owner = owner or vehicle()
    return vehicle_signal(owner, role, 5, RATE, Engine(owner, 5, RATE), None, recordings)


def played_db(
    loop: Loop, role: str, recordings: Recordings, owner: Vehicle | None = None
) -> float:
    """The level at which a loop is played 1 s into the drive."""
    found = signal(role, recordings, owner)
    assert found.filter_tones
    ratio = found.tones(1.0, NO_LOSS)[:3] / loop.table[:3]
    assert np.ptp(ratio) < 1e-3 * ratio[0]
    return 20 * np.log10(ratio[0])


def test_loops_play_at_level_of_vehicle_sound_power():
    owner = vehicle()
    speed, sound = float(owner.speed_mps(1.0)), owner.sound
    axle = float(a_weighted_db(sound.rolling_db(speed))) - 3.0103
    engine = float(a_weighted_db(sound.propulsion_db(speed)))
    whole = 10 * np.log10(2 * 10 ** (axle / 10) + 10 ** (engine / 10))
    tyre, motor = choose(TYRES, owner), choose(ENGINES, owner)
    assert played_db(tyre, 'front', BOTH) == pytest.approx(axle, abs=1e-3)
    assert played_db(tyre, 'rear', BOTH) == pytest.approx(axle, abs=1e-3)
    assert played_db(motor, 'engine', BOTH) == pytest.approx(engine, abs=1e-3)
    assert played_db(tyre, 'far', BOTH) == pytest.approx(whole, abs=1e-3)
    assert played_db(motor, 'far', Recordings(ENGINES, ())) == pytest.approx(engine, abs=1e-3)


def test_far_vehicle_keeps_synthetic_sound_that_no_loop_replaces():
    owner = vehicle()
    tyres_db = owner.sound.rolling_db(owner.speed_mps(1.0))
    engine_alone = signal('far', Recordings(ENGINES, ()))
    np.testing.assert_allclose(engine_alone.noise_db(1.0), tyres_db)
    for role in ROLES:
        assert np.all(np.isneginf(signal(role, BOTH).noise_db(1.0)))


def test_source_without_loop_of_its_kind_is_synthetic():
    owner = vehicle()
    tyres_db = owner.sound.rolling_db(owner.speed_mps(1.0))
    for recordings in (None, Recordings(ENGINES, ())):
        for role in ('front', 'rear'):
            axle = signal(role, recordings)
            assert axle.tones is None
            np.testing.assert_allclose(axle.noise_db(1.0), tyres_db - 3.0103, atol=1e-4)
    engine = Engine(owner, 5, RATE)
    for recordings in (None, Recordings((), TYRES)):
        found = signal('engine', recordings)
        np.testing.assert_allclose(found.noise_db(1.0), engine.noise_db(1.0))
        np.testing.assert_allclose(found.tones(1.0, NO_LOSS), engine.table(1.0, NO_LOSS))
        assert not found.filter_tones
    far = signal('far', None)
    energy = 10 ** (engine.noise_db(1.0) / 10) + 10 ** (tyres_db / 10)
    np.testing.assert_allclose(far.noise_db(1.0), 10 * np.log10(energy))
    np.testing.assert_allclose(far.tones(1.0, NO_LOSS), engine.table(1.0, NO_LOSS))


def test_electric_motor_stays_synthetic_and_far_motorcycle_plays_engine():
    electric = vehicle(cylinders=0)
    assert not signal('engine', BOTH, electric).filter_tones
    assert not signal('far', Recordings(ENGINES, ()), electric).filter_tones
    motorcycle = vehicle(kind='motorcycle')
    speed = motorcycle.speed_mps(1.0)
    level = played_db(choose(ENGINES, motorcycle), 'far', BOTH, motorcycle)
    assert level == pytest.approx(float(a_weighted_db(motorcycle.sound.propulsion_db(speed))))
    assert not signal('far', Recordings((), TYRES), motorcycle).filter_tones


def test_sources_of_a_drive_have_different_noise_keys():
    keys = [signal(role, None, vehicle(number=n)).key for n in (1, 2, 3) for role in ROLES]
    assert len(set(keys)) == 12
    assert {seed for seed, _ in keys} == {5}


def test_loop_plays_at_ratio_of_vehicle_speed_to_recorded_speed():
    """At 15 m/s, 1.5 times the recorded speed, a loop of 2 s plays 0.75 times per second."""
    steady = replace(vehicle(), motion=Motion(20.0, 15.0))
    playback = Playback(steady, TYRES[0], lambda speed_mps: 0.0)
    loops, rate = playback.phase(np.array([0.0, 4.0]))
    np.testing.assert_allclose(loops, [0.754 + 1.0, 0.754 + 4.0])
    np.testing.assert_allclose(rate, 0.75)
    second = Playback(steady, TYRES[0], lambda speed_mps: 0.0, second=True)
    np.testing.assert_allclose(second.phase(np.zeros(1))[0], 0.754 + 1.0 + 0.43)
    rear = signal('rear', BOTH).phase(np.zeros(1))[0] - signal('front', BOTH).phase(np.zeros(1))[0]
    np.testing.assert_allclose(rear, 0.43)


@pytest.mark.parametrize('speed', [15.0, -15.0, 0.0])
def test_loop_rate_is_derivative_of_its_phase(speed):
    playback = Playback(vehicle(speed), ENGINES[0], lambda speed_mps: 0.0)
    t_s = np.linspace(0, 5, 11)
    (before, _), (after, _) = playback.phase(t_s - 1e-4), playback.phase(t_s + 1e-4)
    rate = playback.phase(t_s)[1]
    np.testing.assert_allclose((after - before) / 2e-4, rate, rtol=1e-6)
    assert np.all(rate > 0)
    if not speed:
        np.testing.assert_allclose(rate, 0.5 / 1.5)


def test_vehicle_counts_as_standing_below_0_3_mps():
    stands = [
        Playback(replace(vehicle(), motion=Motion(0.0, speed)), TYRES[0], abs).standing
        for speed in (0.29, -0.29, 0.31, -0.31)
    ]
    assert stands == [True, True, False, False]


def test_vehicles_use_different_loops_in_turn():
    chosen = [choose(TYRES, vehicle(number=n)).name for n in range(1, 7)]
    assert chosen == ['tyre2', 'tyre1', 'tyre0'] * 2
