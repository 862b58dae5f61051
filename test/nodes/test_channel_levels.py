"""Channel levels of known sounds, and the report about them."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.nodes.channel_levels import ChannelLevels
from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report

FRAMES = 44100


@pytest.fixture
def levels(rig):
    return ChannelLevels(rig)


def noise(std=0.05, seed=4):
    return np.random.default_rng(seed).normal(0, std, (FRAMES, 8)).astype(np.float32)


def report_of(levels, **options):
    report = Report()
    levels.add_to(report, **options)
    rows = {key: [float(word) for word in row.split()] for key, row in report.values.items()}
    return report, rows


def test_sine_has_the_expected_level_peak_and_dc(levels):
    sound = noise(1e-3)
    sine = np.sin(2 * np.pi * 441 * np.arange(FRAMES) / 44100)
    sound[:, 3] = 0.5 * sine  # a mean square of 1 / 8
    sound[:, 5] = 0.05 * sine + 0.25
    for block in np.array_split(sound, 7):
        levels.add(ChannelSums.of(block))
    _, rows = report_of(levels)
    assert rows['level_db'][3] == round(10 * np.log10(1 / 8))
    assert rows['level_db'][5] == round(10 * np.log10(0.05**2 / 2))  # without its mean
    assert rows['level_db'][0] == -60
    assert rows['peak_db'][3] == -6
    assert rows['peak_db'][5] == round(20 * np.log10(0.3))
    assert rows['dc'][5] == pytest.approx(0.25, abs=1e-3)
    assert rows['dc'][3] == pytest.approx(0, abs=1e-3)
    assert rows['dead'] == [0] * 8


def test_integer_samples_are_scaled_by_full_scale(levels):
    sound = np.full((FRAMES, 8), 16384, np.int16)
    sound[::2] = -16384
    sound[:, 1] //= 2
    levels.add(ChannelSums.of(sound))
    _, rows = report_of(levels)
    assert rows['peak_db'][:2] == [-6, -12]
    assert rows['level_db'][:2] == [-6, -12]


def test_each_report_covers_sound_since_the_previous_one(levels):
    sound = noise()
    loud = sound.copy()
    loud[:441, 6] = 1.0
    loud[:, 2] = 0.125
    levels.add(ChannelSums.of(loud))
    report, rows = report_of(levels)
    assert report.level == WARN
    assert rows['clipped_share'] == [0] * 6 + [0.01, 0]
    assert rows['dead'] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert 'rear_right' not in report.message
    assert 'left (channel 2): dead' in report.message
    assert 'right (channel 6): clipped' in report.message
    report, rows = report_of(levels)
    assert (report.values, report.level) == ({}, OK)  # no sound since the last report
    levels.add(ChannelSums.of(sound))
    report, rows = report_of(levels)
    assert (report.level, rows['clipped_share'], rows['dead']) == (OK, [0] * 8, [0] * 8)
    levels.add(ChannelSums.of(loud))
    levels.reset()
    levels.add(ChannelSums.of(sound))
    assert report_of(levels)[0].level == OK


def test_quiet_report_has_values_but_no_faults(levels):
    sound = noise()
    sound[:, 2] = 0
    levels.add(ChannelSums.of(sound))
    report, rows = report_of(levels, quiet=True)
    assert (report.level, report.message) == (OK, '')
    assert rows['dead'][2] == 1


def test_non_finite_samples_are_counted(levels):
    sound = noise()
    sound[[5, 9, 100], 4] = np.nan
    sound[7, 0] = np.inf
    levels.add(ChannelSums.of(sound))
    levels.add(ChannelSums.of(sound))
    report, _ = report_of(levels)
    assert 'rear (channel 4): 6 samples are not numbers' in report.message
    assert 'front (channel 0): 2 samples are not numbers' in report.message


def test_channels_mixed_from_others_are_an_error(levels):
    sound = noise()
    sound[:, 6] = 0.5 * sound[:, 0] + 0.5 * sound[:, 1]
    sound[:, 7] = sound[:, 0] - sound[:, 2]
    levels.add(ChannelSums.of(sound))
    report, _ = report_of(levels)
    assert report.level == ERROR
    assert report.message.startswith('2 of 8 channels are mixtures of the others')
