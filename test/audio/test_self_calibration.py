"""Self-calibration recovers array errors from traffic and rejects insufficient recordings."""

from __future__ import annotations

from dataclasses import replace

from helpers.driving_sound import RATE, SPEED, Errors, driving_sound, small_rig, traffic_azimuths
import numpy as np
import pytest

from avdet_ros.audio.array_yaw import Sightings
from avdet_ros.audio.self_calibration import calibrate_from_driving, calibrated_rig
from avdet_ros.audio.wave_fronts import WaveFrontFinder
from avdet_ros.errors import AvdetError

SECONDS = 69
"""The minimum is a minute; three blocks of sound are slightly longer."""


@pytest.fixture(scope='module')
def rig():
    return small_rig()


def wave_fronts(rig, sound):
    places = rig.microphones_m
    aperture_m = np.linalg.norm(places[:, None] - places[None], axis=-1).max()
    finder = WaveFrontFinder(RATE, aperture_m)
    for start in range(0, len(sound), RATE):
        finder.add(sound[start : start + RATE])
    return finder.fronts()


def calibrated(rig, errors=None, seed=0, stationary=True, seconds=SECONDS, **how):
    azimuths = traffic_azimuths(seconds, seed)
    fronts = wave_fronts(rig, driving_sound(rig, azimuths, errors, seed, **how))
    speeds_mps = np.zeros(len(fronts.time_s)) if stationary else None
    return calibrate_from_driving(fronts, rig, None, speeds_mps)


def lead_error_us(rig, result, errors):
    """RMS of the remaining lead error over the front sector."""
    azimuths = np.radians(np.linspace(-56, 56, 29))
    ahead = np.stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths], axis=1)
    true = ahead @ errors.positions_m(rig).T / SPEED - errors.late_s
    found = ahead @ (result.positions_m - rig.array_position_m).T / SPEED - result.delay_s
    off = (found - true)[:, result.alive]
    off -= off.mean(axis=1, keepdims=True)
    return 1e6 * np.sqrt((off**2).mean())


def random_errors(seed):
    rng = np.random.default_rng(seed)
    moved = np.zeros((8, 3))
    moved[:, :2] = rng.normal(0, 0.007, (8, 2))
    return Errors(rng.normal(0, 2, 8), rng.uniform(-1.5, 1.5, 8) / 44100, moved)


@pytest.mark.slow
def test_gains_delays_and_positions_are_found(rig):
    errors = random_errors(1)
    result = calibrated(rig, errors, 1)
    assert result.alive.all()
    assert result.order.tolist() == list(range(8))
    assert lead_error_us(rig, result, errors) < 8
    assert np.abs(result.gain_db - (errors.gain_db - errors.gain_db.mean())).max() < 0.3
    # The reported standard deviations are neither far too small nor far too large.
    off_s = result.delay_s - (errors.late_s - errors.late_s.mean())
    assert np.sqrt((off_s**2).mean()) < 3 * np.sqrt((result.delay_sd_s**2).mean())
    assert result.position_sd_m.max() < 0.004
    assert result.lead_sd_s.max() < 1.2e-5


@pytest.mark.slow
def test_correct_array_gets_no_corrections(rig):
    result = calibrated(rig, seed=2)
    assert not any(result.findings)
    assert lead_error_us(rig, result, Errors()) < 6
    assert np.abs(result.gain_db).max() < 0.2
    assert np.isnan(result.yaw_deg)
    assert result.notes == ("the yaw is the rig file's: no camera shows it",)


@pytest.mark.slow
def test_exchanged_and_dead_channels_are_found(rig):
    errors = replace(random_errors(3), order=np.array([0, 6, 2, 3, 4, 5, 1, 7]), dead=(4,))
    result = calibrated(rig, errors, 3)
    assert result.order.tolist() == errors.order.tolist()
    assert np.flatnonzero(~result.alive).tolist() == [4]
    assert lead_error_us(rig, result, errors) < 8
    assert result.findings[1] == 'carries right: plugs exchanged'
    assert result.findings[6] == 'carries front_left: plugs exchanged'
    assert result.findings[4].startswith('is dead')
    new = calibrated_rig(result, rig)
    assert new.names[1] == 'right'
    assert new.names[6] == 'front_left'
    assert new.channels.tolist() == rig.channels.tolist()
    assert new.alive.tolist() == [True] * 4 + [False] + [True] * 3
    assert np.linalg.norm(new.microphones_m[1] - rig.microphones_m[6]) < 0.03


@pytest.mark.slow
def test_yaw_comes_from_camera_sightings(rig):
    errors = Errors(yaw_deg=2.0)
    azimuths = traffic_azimuths(SECONDS, 5)
    fronts = wave_fronts(rig, driving_sound(rig, azimuths, errors, 5))
    # The camera sees vehicles ahead five times a second, with random errors of 0.3 degrees.
    time_s = np.arange(0, SECONDS, 0.2)
    piece = np.minimum((time_s / 1.5).astype(int), len(azimuths) - 1)
    inside = (np.abs(azimuths[piece]) < 0.7) & (piece % 4 != 3)
    off = np.random.default_rng(5).normal(0, np.radians(0.3), inside.sum())
    seen = Sightings(
        time_s[inside], azimuths[piece][inside] + off, np.full(inside.sum(), 20.0), piece[inside]
    )
    stationary = np.zeros(len(fronts.time_s))
    result = calibrate_from_driving(fronts, rig, seen, stationary)
    assert result.yaw_deg == pytest.approx(2.0, abs=0.4)
    assert lead_error_us(rig, result, errors) < 8
    assert calibrated_rig(result, rig).array_yaw_deg == pytest.approx(2.0, abs=0.4)
    wrong = replace(seen, azimuths=np.random.default_rng(6).permutation(seen.azimuths))
    blind = calibrate_from_driving(fronts, rig, wrong, stationary)
    assert np.isnan(blind.yaw_deg)


@pytest.mark.slow
def test_calibration_works_without_a_known_speed(rig):
    errors = random_errors(7)
    result = calibrated(rig, errors, 7, stationary=False)
    assert lead_error_us(rig, result, errors) < 8
    assert any('the speed is not known' in note for note in result.notes)


def test_short_recording_is_rejected(rig):
    fronts = wave_fronts(rig, driving_sound(rig, traffic_azimuths(30, 0)))
    with pytest.raises(
        AvdetError, match='at least 60 s of driving, better five minutes, found 30'
    ):
        calibrate_from_driving(fronts, rig)


@pytest.mark.parametrize(
    ('own', 'seconds', 'sentence'),
    [
        (0.0, 62, 'too little traffic'),
        pytest.param(1.0, SECONDS, 'found [012]: one loud source', marks=pytest.mark.slow),
    ],
)
def test_empty_road_is_rejected(rig, own, seconds, sentence):
    with pytest.raises(AvdetError, match=sentence):
        calibrated(rig, own=own, traffic=0.0, seconds=seconds)


@pytest.mark.slow
def test_single_loud_source_is_rejected(rig):
    azimuths = traffic_azimuths(SECONDS, 9, 40, 44)
    fronts = wave_fronts(rig, driving_sound(rig, azimuths, random_errors(9)))
    with pytest.raises(AvdetError, match=r'at least 3 of 12 sectors .* found [12]: one loud'):
        calibrate_from_driving(fronts, rig)


@pytest.mark.slow
def test_error_names_a_misplaced_microphone(rig):
    moved = np.zeros((8, 3))
    moved[2] = [0.08, 0.03, 0]
    with pytest.raises(AvdetError, match=r'within 5 cm of .*, found left by [789] cm away'):
        calibrated(rig, Errors(moved_m=moved), 10)


@pytest.mark.slow
def test_silent_gaps_do_not_affect_the_calibration(rig):
    errors = random_errors(11)
    sound = driving_sound(rig, traffic_azimuths(SECONDS, 11), errors, 11)
    for start in range(0, len(sound), 10 * RATE):
        sound[start : start + RATE] = 0
    fronts = wave_fronts(rig, sound)
    assert np.isfinite(fronts.vectors).all()
    assert np.isfinite(fronts.weights).all()
    result = calibrate_from_driving(fronts, rig, None, np.zeros(len(fronts.time_s)))
    assert lead_error_us(rig, result, errors) < 8


@pytest.mark.parametrize('draw', [0, pytest.param(1, marks=pytest.mark.slow)])
def test_wave_fronts_do_not_depend_on_block_sizes(draw):
    sound = driving_sound(small_rig(), traffic_azimuths(45, 12), seed=12)
    whole, parts = WaveFrontFinder(RATE), WaveFrontFinder(RATE)
    whole.add(sound)
    sizes = np.random.default_rng(draw).integers(1, 9000, 400)
    start = 0
    for size in sizes:
        parts.add(sound[start : start + size])
        start += size
    parts.add(sound[start:])
    np.testing.assert_allclose(whole.fronts().time_s, parts.fronts().time_s)
    np.testing.assert_allclose(
        whole.fronts().weights, parts.fronts().weights, rtol=1e-3, atol=1e-4
    )
