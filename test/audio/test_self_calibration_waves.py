"""Complete self-calibration from synthetic wave fronts of a faulty array, without sound.

Vehicles pass one after the other; the phases of each segment are the leads of the true array plus
noise. Each test takes about a second, where tests with sound take ten.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio import array_watch
from avdet_ros.audio.array_fit import one_sided
from avdet_ros.audio.array_sources import Sources
from avdet_ros.audio.array_watch import ArrayWatch
from avdet_ros.audio.array_yaw import Sightings
from avdet_ros.audio.passing import clearest_passing
from avdet_ros.audio.self_calibration import (
    LINE_NOTE,
    ONE_SIDED_NOTE,
    SPEED_NOTE,
    calibrate_from_driving,
    calibrated_rig,
    check_contradictions,
    nominal_array,
    rotation_between,
)
from avdet_ros.audio.wave_fronts import WaveFrontFinder, WaveFronts, aperture, highest_hz
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig

MOVED_M = np.zeros((8, 3))
MOVED_M[2, :2] = 0.012, -0.008
MOVED_M[5, :2] = -0.010, 0.015
DELAY_S = np.array([0, 2e-5, 0, -3e-5, 0, 0, 4e-5, -3e-5])
GAIN_DB = np.array([1.0, -1.0, 0.0, 2.0, 7.0, -2.0, -7.0, 0.0])
FREQUENCIES_HZ = np.arange(260.0, 4500.0, 172.0)


def passing(seconds, sides=(1, -1, 1, 1, -1)):
    """Time, azimuth, distance and number of vehicles that pass, one every five seconds."""
    time_s = np.arange(0, seconds, 0.186)
    number = (time_s // 5).astype(int)
    along = np.where(number % 2, 30 - 12 * (time_s % 5), -30 + 12 * (time_s % 5))
    across = np.take(sides, number % len(sides)) * (4.0 + number % 4)
    return time_s, np.arctan2(across, along), np.hypot(along, across), number


def waves(rig, moved_m=0.0, delay_s=0.0, gain_db=0.0, turned_rad=0.0, **how):
    """The wave fronts of a drive, and the ego vehicle's speed."""
    time_s, azimuths, distances_m, _ = passing(how.pop('seconds', 120), **how)
    rng = np.random.default_rng(0)
    nominal = nominal_array(rig)
    true = replace(
        nominal, positions_m=nominal.positions_m + moved_m, delay_s=nominal.delay_s + delay_s
    )
    speeds_mps = 10 + 5 * np.sin(time_s / 20)
    sources = Sources(azimuths - turned_rad, np.log(distances_m), speeds_mps)
    turn = 2 * np.pi * FREQUENCIES_HZ[:, None] * true.leads_s(sources)[:, None]
    phase = turn + rng.normal(0, 0.15, turn.shape)
    fronts = WaveFronts(
        time_s,
        FREQUENCIES_HZ,
        (np.exp(1j * phase) / np.sqrt(8)).astype(np.complex64),
        rng.uniform(3, 6, phase.shape[:2]).astype(np.float32),
        (gain_db + rng.normal(0, 0.3, (len(time_s), 8))).astype(np.float32),
        np.full((len(time_s), 8), -40, np.float32),
        float(time_s[-1] + 0.186),
    )
    return fronts, speeds_mps


@pytest.fixture(scope='module')
def rig():
    return load_rig()


@pytest.fixture(scope='module')
def result(rig):
    """The full case: errors, a dead channel, exchanged plugs, a rotated array and a camera."""
    fronts, speeds_mps = waves(rig, MOVED_M, DELAY_S, GAIN_DB, np.radians(2.0))
    order = [0, 3, 2, 1, 4, 5, 6, 7]
    vectors = fronts.vectors[..., order]
    vectors[..., 7] = 0
    fronts = replace(fronts, vectors=vectors, level_db=fronts.level_db[:, order])
    time_s, azimuths, distances_m, number = passing(120)
    seen = Sightings(time_s, azimuths, distances_m, number)
    return calibrate_from_driving(fronts, rig, seen, speeds_mps)


def test_errors_are_found_to_millimetres_and_microseconds(rig, result):
    """Except for rotation and scale of the whole array, which sound determines poorly."""
    order = [0, 3, 2, 1, 4, 5, 6]
    assert result.order[:7].tolist() == order
    found = (result.positions_m - rig.microphones_m[result.order])[:7, :2]
    true = MOVED_M[order, :2]
    design = np.column_stack([rig.microphones_m[order, :2], np.ones(7)])
    off = found - true
    off -= design @ np.linalg.lstsq(design, off, rcond=None)[0]
    assert np.abs(off).max() < 0.003
    late = (result.delay_s - DELAY_S[result.order])[:7]
    assert np.abs(late - late.mean()).max() < 8e-6
    gains = (result.gain_db - GAIN_DB[result.order])[:7]
    assert np.abs(gains - gains.mean()).max() < 0.15
    assert result.gain_db[:7].mean() == pytest.approx(0, abs=1e-6)


def test_dead_loud_quiet_and_exchanged_channels_are_reported(result):
    assert result.alive.tolist() == [True] * 7 + [False]
    assert result.findings == (
        '',
        'carries rear_left: plugs exchanged',
        '',
        'carries front_left: plugs exchanged',
        'is 7 dB too loud',
        '',
        'is 7 dB too quiet',
        'is dead: hears nothing of what the others hear',
    )
    assert result.gain_db[7] == result.delay_s[7] == 0


def test_yaw_comes_from_camera_sightings(rig, result):
    """The array is rotated two degrees to the left, so it hears everything further right.

    The rotation caused by the two moved microphones reduces this angle.
    """
    back = rotation_between(rig.microphones_m, rig.microphones_m + MOVED_M, np.arange(8) != 7)
    expected = 2.0 + np.degrees(back)
    assert expected < 1.3
    assert result.yaw_deg == pytest.approx(expected, abs=0.3)
    assert 0.2 <= result.yaw_sd_deg < 0.5
    assert result.notes == ()
    own = calibrated_rig(result, replace(rig, array_yaw_deg=10.0))
    assert own.array_yaw_deg == pytest.approx(10 + result.yaw_deg)
    assert own.names[1] == 'rear_left'
    assert own.alive.tolist() == result.alive.tolist()
    assert own.microphones_m is result.positions_m
    assert own.gain_db.tolist() == result.gain_db.tolist()
    assert own.delay_s.tolist() == result.delay_s.tolist()


def test_standard_deviations_have_the_expected_size(rig, result):
    assert (np.abs(result.gain_sd_db[:7] - 0.1) < 0.02).all()
    assert (result.position_sd_m[:7] > 5e-4).all()
    assert (result.position_sd_m[:7] < 4e-3).all()
    assert (result.delay_sd_s[:7] < 5e-6).all()
    assert (result.lead_sd_s[:7] < 1e-5).all()
    assert (result.lead_sd_s[:7] > 1e-7).all()
    assert (result.segments, result.sectors) == (646, 12)


@pytest.mark.slow
def test_missing_speed_and_one_sided_traffic_add_notes_and_uncertainty(rig, result):
    fronts, _ = waves(rig, delay_s=DELAY_S, sides=(1,))
    found = calibrate_from_driving(fronts, rig)
    assert found.notes == (
        SPEED_NOTE,
        ONE_SIDED_NOTE,
        "the yaw is the rig file's: no camera shows it",
    )
    assert np.isnan(found.yaw_deg)
    assert calibrated_rig(found, rig).array_yaw_deg == rig.array_yaw_deg
    assert (found.delay_sd_s > result.delay_sd_s[:7].max()).all()
    # An unknown speed of 3 m/s adds 6 us at both ends of the array, one-sided traffic 8 us.
    ahead = np.sqrt((3.0 * 0.25 / 343.0**2) ** 2 + 8e-6**2)
    assert (found.delay_sd_s[[0, 4]] > ahead).all()
    assert (found.delay_sd_s[[0, 4]] < 1.3 * ahead).all()
    late = found.delay_s - DELAY_S
    assert np.abs(late).max() < 3 * found.delay_sd_s.max()


@pytest.mark.slow
def test_linear_array_notes_that_positions_across_it_are_unknown(rig):
    line = rig.microphones_m.copy()
    line[:, 0], line[:, 1] = rig.array_position_m[0], np.linspace(0.2, -0.2, 8)
    straight = replace(rig, microphones_m=line)
    fronts, speeds_mps = waves(straight, MOVED_M * [0, 1, 0])
    found = calibrate_from_driving(fronts, straight, None, speeds_mps)
    assert found.notes[0] == LINE_NOTE
    # Positions along the line are found, positions across it stay.
    moved = found.positions_m - line
    assert np.abs(moved[:, 0] - moved[:, 0].mean()).max() < 1e-4
    assert moved[5, 1] - moved[2, 1] == pytest.approx(0.023, abs=0.006)


@pytest.mark.parametrize(
    ('how', 'words'),
    [
        ({'seconds': 55}, 'expected at least 60 s of driving, better five minutes, found 55 s'),
        ({'weak': 0.4}, r'expected at least 120 segments in which .*, found 0 \(0 s of 70 s\)'),
        ({'dead': 5}, 'expected at least 4 channels that hear the same sound, found 3'),
    ],
)
def test_insufficient_recording_is_rejected(rig, how, words):
    fronts, _ = waves(rig, seconds=how.get('seconds', 70))
    dead = np.arange(8) < how.get('dead', 0)
    fronts = replace(
        fronts,
        vectors=fronts.vectors * ~dead,
        weights=fronts.weights * how.get('weak', 1.0),
        power_db=fronts.power_db - 30 * dead,
    )
    with pytest.raises(AvdetError, match=words):
        calibrate_from_driving(fronts, rig)


def test_error_names_a_misplaced_microphone(rig, result):
    places = result.positions_m.copy()
    places[2] = rig.microphones_m[2] + [0.04, 0.05, 0.3]
    with pytest.raises(
        AvdetError, match=r'within 5 cm of their places .* found left by 6 cm away'
    ):
        check_contradictions(replace(result, positions_m=places), rig)
    places[2] = rig.microphones_m[2] + [0.03, 0.039, 0.3]
    check_contradictions(replace(result, positions_m=places), rig)


def test_rotation_between_ignores_scale_shift_and_dead_channels():
    places = np.random.default_rng(0).normal(size=(8, 3))
    cos, sin = np.cos(0.3), np.sin(0.3)
    turned = places @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) * 1.1 + [1, 2, 3]
    turned[4] = 99
    alive = np.arange(8) != 4
    assert rotation_between(places, turned, alive) == pytest.approx(0.3)


def test_one_sided_means_less_than_a_fifth_on_the_other_side():
    azimuths = np.radians([90.0, 80, -90, 10, -10, 29, -29])
    weights = np.array([1.0, 1.0, 0.41, 9, 9, 9, 9])
    assert not one_sided(azimuths, weights)
    weights[2] = 0.39
    assert one_sided(azimuths, weights)
    assert one_sided(-azimuths, weights)


def test_small_array_uses_higher_frequencies():
    assert highest_hz(0.5, 44100) == 4500
    assert highest_hz(2.0, 44100) == 4500
    assert highest_hz(0.4, 44100) == pytest.approx(5625)
    assert highest_hz(0.1, 44100) == pytest.approx(8100)
    assert highest_hz(0.1, 16000) == 6400
    assert aperture(np.array([[0, 0, 0], [3, 0, 0], [0, 4.0, 0]])) == 5


def test_recordings_are_joined_in_sequence(rig):
    fronts, _ = waves(rig, seconds=61)
    both = WaveFronts.joined([fronts, fronts.chosen(np.arange(10))])
    assert both.seconds == pytest.approx(2 * fronts.seconds)
    assert both.time_s[-10:] == pytest.approx(fronts.seconds + fronts.time_s[:10])
    assert both.vectors.shape == (len(fronts.time_s) + 10, len(FREQUENCIES_HZ), 8)
    kept = fronts.chosen(fronts.time_s > 30)
    assert kept.time_s.min() > 30
    for name in ('vectors', 'weights', 'level_db', 'power_db'):
        assert len(getattr(kept, name)) == len(kept.time_s)
    assert kept.seconds == fronts.seconds


class FixedFinder(WaveFrontFinder):
    """Returns the given wave fronts for any sound."""

    def __init__(self, fixed):
        self.fixed = fixed

    def fronts(self):
        return self.fixed


@pytest.fixture
def estimate(rig):
    """Runs a watch on wave fronts; returns it and the arguments of its callbacks."""

    def estimate(fronts):
        calls = []
        watch = ArrayWatch(rig, 60, lambda *found: calls.append(found))
        watch._finder = FixedFinder(fronts)
        watch._estimate()
        return watch, calls

    return estimate


@pytest.mark.slow
def test_watch_reports_a_change_and_calls_back(rig, estimate):
    fronts, _ = waves(rig, gain_db=np.where(np.arange(8) == 3, 4.0, 0.0))
    watch, calls = estimate(fronts)
    assert watch.estimates == 1
    ((result, changes),) = calls
    assert changes is watch.changes
    (change,) = changes
    assert (change.channel, change.sentence[:31]) == (3, 'rear_left (channel 3) is +4.0 d')
    assert watch.summary == f'{change.sentence} ({result.segments} clear segments)'
    # A rig that already has this gain is reported as unchanged.
    watch.use_rig(replace(rig, gain_db=result.gain_db))
    watch._estimate()
    assert (watch.estimates, watch.changes, len(calls)) == (2, [], 1)
    assert watch.summary == f'as the rig says ({result.segments} clear segments)'


def test_failed_estimate_is_reported_and_not_counted(rig, estimate, caplog):
    fronts, _ = waves(rig, seconds=55)
    watch, calls = estimate(fronts)
    assert watch.summary.startswith('calibration: expected at least 60 s of driving')
    assert (watch.estimates, calls, watch.changes) == (0, [], [])
    watch, calls = estimate(replace(fronts, frequencies_hz=None, seconds=99.0))
    assert watch.summary == 'the estimate failed'
    assert 'array watch' in caplog.text


def test_watch_uses_the_newest_segments(rig, monkeypatch):
    seen = []
    monkeypatch.setattr(
        array_watch, 'calibrate_from_driving', lambda fronts, rig: seen.append((fronts, rig)) or 1
    )
    monkeypatch.setattr(array_watch, 'array_changes', lambda result, rig: [])
    monkeypatch.setattr(array_watch, 'SEGMENTS', 100)
    fronts, _ = waves(rig)
    watch = ArrayWatch(rig, 10, None)
    assert watch._every_s == 60  # the minimum
    watch._finder = FixedFinder(fronts)
    with pytest.raises(AttributeError):  # 1 is not a result
        watch._estimate()
    ((newest, used),) = seen
    assert used is rig
    assert newest.time_s.tolist() == fronts.time_s[-100:].tolist()


def test_blocks_are_joined_between_gaps_and_type_changes():
    kinds = [(3, 0, 'i2'), (2, 0, 'i2'), (4, 7, 'i2'), (1, 0, 'i2'), (5, 0, 'f4')]
    blocks = [(np.full((n, 8), i, kind), lost) for i, (n, lost, kind) in enumerate(kinds)]
    joined = list(array_watch._joined(blocks))
    assert [(len(samples), lost, samples.dtype.str[1:]) for samples, lost in joined] == [
        (5, 0, 'i2'),
        (5, 7, 'i2'),
        (5, 0, 'f4'),
    ]
    assert joined[0][0][:, 0].tolist() == [0, 0, 0, 1, 1]


def test_excess_waiting_sound_is_dropped_as_a_gap(rig):
    watch = ArrayWatch(rig, 60, None)
    block = np.zeros((20 * 44100, 8), np.int16)
    for lost in (5, 0, 0, 0, 0, 6):
        watch.add(block, lost)
    # Four wait, as a minute was not full before the fourth; two and the 6 samples are lost.
    assert [lost for _, lost in watch._waiting] == [5, 0, 0, 0]
    assert watch._dropped_samples == 2 * len(block) + 6
    watch._waiting.clear()
    watch._waiting_samples = 0
    watch.add(block)
    assert [lost for _, lost in watch._waiting] == [2 * len(block) + 6]
    watch.clear()
    assert (len(watch._waiting), watch._waiting_samples, watch._dropped_samples) == (0, 0, 0)


def test_clearest_passing_is_where_the_source_moves_most(rig, result):
    """A source stays in one direction for forty seconds, then vehicles pass."""
    fronts, _ = waves(rig)
    fit = result.fit
    azimuths = fit.sources.azimuths.copy()
    azimuths[:215] = 0.5
    still = replace(result, fit=replace(fit, sources=replace(fit.sources, azimuths=azimuths)))
    found = clearest_passing(fronts, still, rig)
    assert len(found.time_s) == 54
    assert found.time_s[0] > 36
    assert found.azimuths == pytest.approx(np.radians(np.arange(0, 360, 2)))
    assert found.before.shape == found.after.shape == (54, 180)
    heard = found.azimuths[found.before.argmax(axis=1)]
    _, true, _, _ = passing(120)
    first = int(np.argmin(np.abs(fronts.time_s - found.time_s[0])))
    off = (heard - true[first : first + 54] + np.pi) % (2 * np.pi) - np.pi
    assert np.degrees(np.abs(off)).max() < 5
    assert found.before.max() > 0.9
    # The calibrated array's channel 7 is dead, and two are exchanged.
    assert (found.after <= 1.0 + 1e-5).all()
    assert np.median(found.after.max(axis=1)) < np.median(found.before.max(axis=1))
