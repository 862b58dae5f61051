"""Each channel fault added to sound is reported for that channel only."""

import numpy as np
import pytest

from avdet_ros.audio.levels import check_channels, find_swapped_microphones, second_differences
from avdet_ros.rig import load_rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene

RATE = 44100


@pytest.fixture
def sound():
    """Two seconds of rumble shared by all microphones, plus independent hiss."""
    rng = np.random.default_rng(7)
    rumble = np.cumsum(rng.standard_normal((2 * RATE, 1)), axis=0)
    rumble -= np.linspace(rumble[0], rumble[-1], len(rumble))
    hiss = rng.standard_normal((2 * RATE, 8))
    sound = 0.05 * rumble / rumble.std() + 0.01 * hiss
    return (sound - sound.mean(axis=0)).astype(np.float32)


def faults(sound):
    return [state.faults for state in check_channels(sound, RATE)]


def only(channel, fault):
    return [[fault] if index == channel else [] for index in range(8)]


def test_good_sound_has_no_faults(sound):
    assert faults(sound) == [[]] * 8
    assert faults((sound * 32767).astype(np.int16)) == [[]] * 8


def test_level_peak_and_dc_are_measured(sound):
    t = np.arange(2 * RATE) / RATE
    sound[:, 3] = 0.5 * np.sin(2 * np.pi * 997 * t) + 0.01
    state = check_channels(sound, RATE)[3]
    assert state.level_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert state.peak == pytest.approx(0.51, abs=0.001)
    assert state.dc == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize('value', [0.0, 0.02])
def test_dead_channel_is_reported(sound, value):
    sound[:, 5] = value
    assert faults(sound) == only(5, 'dead')


def test_weak_channel_is_reported(sound):
    sound[:, 5] *= 0.01
    assert faults(sound) == only(5, '40 dB weaker than the others')


def test_clipped_channel_is_reported(sound):
    sound[:, 1] = np.clip(sound[:, 1] * 12, -1, 1)
    assert faults(sound) == only(1, 'clipped')


def test_dc_offset_is_reported(sound):
    sound[:, 0] += 0.2
    assert faults(sound) == only(0, 'off zero by 20 %')


@pytest.mark.parametrize('mains_hz', [50, 60])
def test_mains_hum_is_reported(sound, mains_hz):
    t = np.arange(len(sound)) / RATE
    hum = sum(np.sin(2 * np.pi * mains_hz * k * t) / k for k in (1, 3, 5))
    sound[:, 6] += 0.1 * hum
    assert faults(sound) == only(6, 'hum')


def test_duplicate_signal_is_reported_on_both_channels(sound):
    sound[:, 4] = 0.8 * sound[:, 2]
    expected = [[], [], ['same signal as channel 4'], [], ['same signal as channel 2'], [], [], []]
    assert faults(sound) == expected


def test_mixed_channels_are_reported(sound):
    sound[:, 4:] = (sound[:, :4] + sound[:, [1, 2, 3, 0]]) / 2
    samples = np.round(sound * 32767).astype(np.int16)
    assert faults(samples) == [['mixed: 4 channels are made of others']] * 8
    samples[:, 5] = 0
    assert faults(samples)[5] == ['dead']
    assert faults(samples)[4] == ['mixed: 3 channels are made of others']


def test_tone_or_silence_is_not_reported_as_mixed():
    t = np.arange(RATE)[:, None] / RATE + np.arange(8) * 1e-4
    hiss = np.random.default_rng(2).standard_normal(t.shape)
    for level in (0, 3, 10_000):
        samples = np.round(level * np.sin(2 * np.pi * 100 * t) + hiss).astype(np.int16)
        assert not [word for words in faults(samples) for word in words if 'mixed' in word]


@pytest.mark.parametrize('count', [0, 1, 100])
def test_short_sound_is_checked_without_failing(sound, count):
    assert len(check_channels(sound[:count], RATE)) == 8
    assert find_swapped_microphones(sound[:count], RATE, load_rig().microphones_m) is None


def test_silence_and_non_finite_samples_are_handled(sound):
    assert faults(np.zeros((RATE, 8), np.int16)) == [['dead']] * 8
    sound[::7, 2] = np.nan
    assert np.isfinite([state.level_db for state in check_channels(sound, RATE)]).all()


@pytest.fixture(scope='module')
def drives():
    """Three seconds of four drives, (n, 8)."""
    rig = load_rig()
    return [
        render_sound(random_scene(seed, rig, 5.0), 1.0, 3.0).T for seed in range(310_000, 310_004)
    ]


@pytest.mark.slow
@pytest.mark.parametrize('pair', [(0, 1), (2, 6), (3, 5)])
def test_exchanged_microphones_look_swapped(drives, pair):
    rig = load_rig()
    hits = 0
    for drive in drives:
        order = np.arange(8)
        order[list(pair)] = pair[::-1]
        found = find_swapped_microphones(drive[:, order], RATE, rig.microphones_m)
        hits += found == pair
        assert found in (pair, None)
    assert hits >= 2


@pytest.mark.slow
def test_correct_wiring_and_noise_do_not_look_swapped(drives):
    rig = load_rig()
    assert [find_swapped_microphones(drive, RATE, rig.microphones_m) for drive in drives] == [
        None
    ] * 4
    words = [
        fault
        for drive in drives
        for state in check_channels(drive, RATE)
        for fault in state.faults
    ]
    assert not [fault for fault in words if 'mixed' in fault]
    noise = np.random.default_rng(1).standard_normal((2 * RATE, 8))
    assert find_swapped_microphones(noise, RATE, rig.microphones_m) is None


def test_second_differences_match_hand_calculation():
    """Differences of 1 and 3 change by 2, of 2 and -1 by -3, in 16-bit steps."""
    sound = np.array([[0.0, 0], [1, 2], [4, 1]]) / 32768
    assert second_differences(sound) == pytest.approx(np.array([[4.0, -6], [-6, 9]]))
    assert second_differences(sound[:2]).tolist() == [[0, 0], [0, 0]]
