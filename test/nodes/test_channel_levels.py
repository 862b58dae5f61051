"""The channels' numbers of a known sound, and what is reported of them."""

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


def report_of(levels, **how):
    report = Report()
    levels.add_to(report, **how)
    rows = {key: [float(word) for word in row.split()] for key, row in report.values.items()}
    return report, rows


def test_a_sines_level_and_peak_are_known(levels):
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


def test_whole_numbers_are_of_full_scale(levels):
    sound = np.full((FRAMES, 8), 16384, np.int16)
    sound[::2] = -16384
    sound[:, 1] //= 2
    levels.add(ChannelSums.of(sound))
    _, rows = report_of(levels)
    assert rows['peak_db'][:2] == [-6, -12]
    assert rows['level_db'][:2] == [-6, -12]


def test_each_report_is_of_what_came_since_the_last_one(levels):
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
    assert (report.values, report.level) == ({}, OK)  # nothing has come since
    levels.add(ChannelSums.of(sound))
    report, rows = report_of(levels)
    assert (report.level, rows['clipped_share'], rows['dead']) == (OK, [0] * 8, [0] * 8)
    levels.add(ChannelSums.of(loud))
    levels.reset()
    levels.add(ChannelSums.of(sound))
    assert report_of(levels)[0].level == OK


def test_a_source_that_has_ended_is_told_in_numbers_alone(levels):
    sound = noise()
    sound[:, 2] = 0
    levels.add(ChannelSums.of(sound))
    report, rows = report_of(levels, quiet=True)
    assert (report.level, report.message) == (OK, '')
    assert rows['dead'][2] == 1


def test_numbers_that_are_none_are_counted(levels):
    sound = noise()
    sound[[5, 9, 100], 4] = np.nan
    sound[7, 0] = np.inf
    levels.add(ChannelSums.of(sound))
    levels.add(ChannelSums.of(sound))
    report, _ = report_of(levels)
    assert 'rear (channel 4): 6 samples are not numbers' in report.message
    assert 'front (channel 0): 2 samples are not numbers' in report.message


def test_channels_that_are_mixtures_of_others_are_an_error(levels):
    sound = noise()
    sound[:, 6] = 0.5 * sound[:, 0] + 0.5 * sound[:, 1]
    sound[:, 7] = sound[:, 0] - sound[:, 2]
    levels.add(ChannelSums.of(sound))
    report, _ = report_of(levels)
    assert report.level == ERROR
    assert report.message.startswith('2 of 8 channels are mixtures of the others')
