"""Engine tones and noise add up to the engine's sound power, at the pitch of its speed."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.cnossos import BANDS_HZ
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.signals import TABLE
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

NO_LOSS = np.zeros(4097, np.float32)


def engine(speed: float = 15.0, sway_m: float = 0.0, seed: int = 3, **sound) -> Engine:
    profile = SoundProfile('light', **{'cycles_per_m': 1.2, **sound})
    motion = Motion(7.0, speed, sway_m=sway_m, sway_phase_rad=0.4)
    vehicle = Vehicle(4, 'car', 4.2, 1.8, 1.5, straight_road(), motion, profile)
    return Engine(vehicle, seed, 44100)


def tone_energy(source: Engine, t_s: float = 1.0, loss_db: np.ndarray = NO_LOSS) -> np.ndarray:
    """(K,) energy of the harmonics from the first on, pW."""
    table = source.table(t_s, loss_db)
    assert table[0] == table[-1]
    amplitude = np.abs(np.fft.rfft(table[:-1].astype(np.float64)))[1:] * 2 / TABLE
    return amplitude**2 / 2


def by_octave(energy: np.ndarray, cycle_hz: float) -> np.ndarray:
    """(8,) the harmonics' energy, each in the octave whose middle is nearest."""
    hz = cycle_hz * np.arange(1, len(energy) + 1)
    nearest = np.abs(np.log2(hz[:, None] / BANDS_HZ)).argmin(axis=1)
    return np.bincount(nearest, energy, minlength=8)


@pytest.mark.parametrize('speed', [6.0, 15.0, 30.0])
def test_tones_and_noise_add_up_to_octave_energy(speed):
    source = engine(speed)
    tones = by_octave(tone_energy(source), 1.2 * speed)
    noise = 10 ** (source.noise_db(1.0) / 10)
    whole = source.sound.propulsion_db(speed)
    np.testing.assert_allclose(10 * np.log10(tones + noise), whole, atol=0.02)
    # one octave is mostly tones, the last two have none
    part = tones / (tones + noise)
    assert part.max() > 0.8
    assert part[6:].max() < 1e-6


@pytest.mark.parametrize('cylinders', [3, 4, 6])
def test_firing_frequency_and_its_multiples_are_strong(cylinders):
    energy = tone_energy(engine(cylinders=cylinders))
    order = np.arange(1, len(energy) + 1)
    firing, apart = order % cylinders == 0, order > 20  # several of both kinds in each octave
    ratio = energy[firing & apart].mean() / energy[~firing & apart].mean()
    assert 9 < 10 * np.log10(ratio) < 19
    # nothing above 2.8 kHz
    highest = int(2800 / 18.0)
    assert energy[highest:].sum() < 1e-6 * energy.sum()
    assert energy[highest - 2 * cylinders : highest].sum() > 0


def test_tones_repeat_for_a_seed_and_differ_between_seeds():
    one, again, other = (tone_energy(engine(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01 * one.max()


@pytest.mark.parametrize('speed', [15.0, -15.0])
def test_cycle_rate_is_derivative_of_phase(speed):
    source = engine(speed, sway_m=2.0)
    t_s = np.linspace(0, 6, 13)
    (before, _), (after, _) = source.phase(t_s - 1e-4), source.phase(t_s + 1e-4)
    rate = source.phase(t_s)[1]
    np.testing.assert_allclose((after - before) / 2e-4, rate, rtol=1e-6)
    np.testing.assert_allclose(rate, 1.2 * source.vehicle.speed_mps(t_s))
    assert np.ptp(rate) > 1


def test_engine_idles_when_vehicle_stands():
    source = engine(0.0, idle_hz=6.5)
    cycles, rate = source.phase(np.array([0.0, 2.0]))
    np.testing.assert_allclose(cycles, [0, 13])
    np.testing.assert_allclose(rate, 6.5)
    assert source.cycle_hz == 6.5
    assert [engine(speed).standing for speed in (0.29, -0.29, 0.31)] == [True, True, False]


def test_air_loss_is_applied_at_each_tone_frequency():
    source = engine()
    loss = np.where(np.arange(4097) * 44100 / 8192 < 300, 3.0, 10.0).astype(np.float32)
    lost_db = 10 * np.log10(tone_energy(source)[:80] / tone_energy(source, 1.0, loss)[:80])
    hz = 18.0 * np.arange(1, 81)
    np.testing.assert_allclose(lost_db[hz < 295], 3.0, atol=0.02)
    np.testing.assert_allclose(lost_db[hz > 305], 10.0, atol=0.02)


def test_electric_car_warns_with_66_db_between_half_mps_and_30_kmh():
    for speed, warns in ((0.45, False), (0.6, True), (5.0, True), (8.2, True), (8.4, False)):
        source = engine(speed, cylinders=0, cycles_per_m=9.0)
        energy = tone_energy(source).sum()
        quiet = (10 ** (source.sound.propulsion_db(speed) / 10) * source.tonal).sum()
        warning = 10 ** (66 / 10) if warns else 0.0
        assert energy - quiet == pytest.approx(warning, rel=1e-3, abs=1e-3 * energy)


def test_vehicle_with_engine_off_has_no_tones():
    assert engine(running=False).table(1.0, NO_LOSS) is None
    assert engine(5.0, running=False, cylinders=0).table(1.0, NO_LOSS) is None
