"""What is reported about a sound card, its channels and its sample rate."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.checkup.sound import Sample, arrival_rate, judge

RATE = 44100


@pytest.fixture
def noise():
    rng = np.random.default_rng(3)
    return (600 * rng.standard_normal((3 * RATE, 8))).astype(np.int16)


def findings(rig, samples, **values):
    sample = Sample('array8', samples, **{'lost': 0, 'rate_hz': 44100.4, **values})
    return {finding.part: finding for finding in judge(rig, sample)}


def test_eight_different_channels_are_ok(rig, noise):
    found = findings(rig, noise)
    assert {finding.state for finding in found.values()} == {'ok'}
    assert found['levels'].found == '-35 to -35 dB, peak -20 dB'
    assert '44100 samples a second' in found['clock'].found


def test_dead_channel_is_reported_with_its_microphone(rig, noise):
    noise[:, 2] = 0
    channels = findings(rig, noise)['channels']
    assert channels.state == 'to do'
    assert channels.found == 'left (channel 2): dead'
    assert '--meter' in channels.next_step


@pytest.mark.parametrize(
    ('gain', 'state', 'words'),
    [(60, 'to do', 'clipped'), (8.5, 'to do', 'peak -1'), (0.004, 'to do', 'hardly more')],
)
def test_levels_too_high_or_too_low_are_reported(rig, noise, gain, state, words):
    loud = np.clip(gain * noise.astype(float), -32768, 32767).round().astype(np.int16)
    levels = findings(rig, loud)['levels']
    assert levels.state == state
    assert words in levels.found
    assert ('raise' if gain < 1 else 'lower') in levels.next_step


def test_wrong_sample_rate_and_lost_samples_are_reported(rig, noise):
    clock = findings(rig, noise, rate_hz=47993.0)['clock']
    assert clock.found == 'about 48000 samples a second arrive, 44100 expected'
    assert 'samples were lost' in findings(rig, noise, lost=300)['clock'].found
    assert findings(rig, noise, rate_hz=float('nan'))['clock'].state == 'not checked'


def test_missing_sound_is_reported_and_the_rest_not_checked(rig, noise):
    found = findings(rig, noise[:0])
    assert [finding.state for finding in found.values()] == ['to do', *2 * ['not checked']]


def test_arrival_rate_is_estimated_from_the_least_delayed_blocks():
    rng = np.random.default_rng(1)
    firsts = 882 * np.arange(300)
    late_s = 0.02 * rng.random(300)
    late_s[:20] += 0.5  # the first blocks of a stream
    times_s = firsts / 44150 + late_s
    rate_hz = arrival_rate(list(zip(times_s, firsts, strict=True)))
    assert rate_hz == pytest.approx(44150, rel=3e-3)
    assert np.isnan(arrival_rate([(0.0, 0), (5.0, 1)]))
