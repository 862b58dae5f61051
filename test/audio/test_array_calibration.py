"""Errors of a simulated array are recovered from a walk around it with a noise source."""

import numpy as np
import pytest

from avdet_ros.audio.array_calibration import _solve, calibrate
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.propagation import GRID_S, add_path, sinc_filters

RATE = 44100
SPEED = 343.0


def walk(rig, seconds, turns=1.0, seed=0, gain_db=0.0, error_m=0.0, delay_samples=0.0, snr_db=25):
    """(n, 8) float32: a noise source carried around the array, rendered as drives are."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    grid = np.arange(-20, int(seconds / GRID_S) + 20)
    angle = 2 * np.pi * turns * grid * GRID_S / seconds
    centre = rig.microphones_m.mean(axis=0)
    radius = 10 + 0.3 * np.sin(5 * angle)  # a real walk is not a perfect circle
    circle = np.stack([np.cos(angle), np.sin(angle), np.full(len(grid), -0.3)], axis=1)
    source = centre + circle * np.stack([radius, radius, np.ones(len(grid))], axis=1)
    microphones = rig.microphones_m + error_m
    still = np.repeat(microphones[:, None], len(grid), axis=1).copy()
    outward = np.zeros_like(still)
    outward[..., 0] = 1
    lead = RATE  # the source is already on when the recording starts
    signal = rng.standard_normal(count + 2 * lead).astype(np.float32)
    sound = np.zeros((8, count), np.float32)
    # add_path takes how much earlier a channel is sampled, delay_samples how much later.
    add_path(
        sound,
        0,
        RATE,
        1.0,
        np.zeros(8) - delay_samples,
        signal,
        -lead,
        source,
        np.ones(len(grid)),
        still,
        outward,
        0.0,
        int(grid[0]),
        GRID_S,
        SPEED,
        sinc_filters(RATE),
    )
    sound += 10 ** (-snr_db / 20) * sound.std() * rng.standard_normal(sound.shape)
    gain = 10 ** ((np.zeros(8) + gain_db) / 20)
    return (0.1 * gain[:, None] * sound).T.astype(np.float32)


def without_rigid_motion(error_m, rig):
    """(8, 2) errors minus shift and rotation of the whole array, which cannot be measured."""
    x, y = (rig.microphones_m - rig.microphones_m.mean(axis=0))[:, :2].T
    error_m = error_m[:, :2] - error_m[:, :2].mean(axis=0)
    turn = (x @ error_m[:, 1] - y @ error_m[:, 0]) / (x @ x + y @ y)
    return error_m - turn * np.stack([-y, x], axis=1)


def test_solve_tolerates_azimuth_errors_of_two_degrees(rig):
    """Noise-free waves of a source 8 m away, from exact source and microphone positions."""
    rng = np.random.default_rng(3)
    error_m = without_rigid_motion(rng.normal(0, 0.004, (8, 2)), rig)
    delay_s = rng.normal(0, 1e-5, 8)
    nominal = (rig.microphones_m - rig.microphones_m.mean(axis=0))[:, :2]
    azimuths = np.arange(60) * 2 * np.pi / 60
    source = 8 * np.stack([np.cos(azimuths), np.sin(azimuths)], axis=1)
    away = np.linalg.norm(source[:, None] - nominal - error_m, axis=-1)
    frequencies_hz = np.arange(300.0, 2000, 100)
    spectra = np.exp(2j * np.pi * frequencies_hz * ((8 - away) / 340 - delay_s)[..., None])
    guessed = azimuths + np.radians(rng.choice([-2.0, 2.0], 60))
    weights = np.full(60, 1 / 60)
    found_m, found_s = _solve(spectra, frequencies_hz, guessed, weights, nominal, 8.0, 340.0)
    assert np.abs(found_m - error_m).max() < 2e-4
    assert np.abs(found_s - (delay_s - delay_s.mean())).max() < 3e-7


@pytest.mark.slow
def test_calibration_finds_gains_delays_and_positions(rig):
    rng = np.random.default_rng(9)
    gain_db = rng.normal(0, 1.5, 8)
    error_m = np.zeros((8, 3))
    error_m[:, :2] = rng.normal(0, 0.005, (8, 2))
    delay = rng.normal(0, 0.5, 8)
    sound = walk(rig, 15, gain_db=gain_db, error_m=error_m, delay_samples=delay)
    found = calibrate(sound, rig)
    assert found.sectors == 12
    assert np.abs(found.gain_db - (gain_db - gain_db.mean())).max() < 0.15
    assert np.abs(found.delay_s * RATE - (delay - delay.mean())).max() < 0.1
    expected = without_rigid_motion(error_m, rig)
    assert np.abs(found.position_error_m - expected).max() < 0.0015
    assert found.position_spread_m.max() < 0.001


@pytest.mark.slow
def test_correct_array_gets_no_corrections(rig):
    found = calibrate(walk(rig, 15, seed=1), rig)
    assert np.abs(found.gain_db).max() < 0.15
    assert np.abs(found.delay_s).max() * RATE < 0.1
    assert np.abs(found.position_error_m).max() < 0.0015


def test_walk_on_one_side_is_rejected(rig):
    with pytest.raises(AvdetError, match=r'10 of 12 sectors, found \d+ clear frames from [3-7] '):
        calibrate(walk(rig, 10, turns=0.4), rig)


@pytest.mark.parametrize('seconds', [0.0, 0.01, 3.0])
def test_noise_without_a_source_is_rejected(rig, seconds):
    noise = np.random.default_rng(2).standard_normal((int(seconds * RATE), 8)).astype(np.float32)
    with pytest.raises(AvdetError, match='found 0 clear frames from 0 sectors'):
        calibrate(0.1 * noise, rig)


@pytest.mark.slow
def test_gains_are_unaffected_by_lingering_on_one_side(rig):
    # One side of the array is 2 x 0.25 m nearer to the source, 0.4 dB at 10 m. Over the whole
    # circle this is no gain of a channel, however long the source stays ahead.
    around = walk(rig, 12)
    once = calibrate(around, rig).gain_db
    ahead = walk(rig, 18, turns=1 / 12)
    lingering = calibrate(np.concatenate([ahead, around]), rig).gain_db
    assert np.abs(once).max() < 0.03
    assert np.abs(lingering).max() < 0.03
