"""A dying channel is excluded within two seconds, a briefly silent one is not."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.audio.living_channels import LivingChannels

RATE = 8000
BLOCK = 160


def noise(seconds, seed=0):
    """(n, 8) int16 of unequal channels."""
    sound = np.random.default_rng(seed).standard_normal((round(seconds * RATE), 8))
    return (sound * np.geomspace(300, 3000, 8)).astype(np.int16)


def play(living, sound):
    """Times in seconds when channels died or came back, with the channels then alive."""
    found = []
    for start in range(0, len(sound), BLOCK):
        if living.add(ChannelSums.of(sound[start : start + BLOCK])):
            found.append(((start + BLOCK) / RATE, living.alive.copy()))
    return found


@pytest.mark.parametrize('dying', ['silent', 'stuck', 'whisper'])
def test_dying_channel_is_excluded_within_two_seconds_and_returns(dying):
    sound = noise(24)
    gone = slice(round(5.2 * RATE), 12 * RATE)
    sound[gone, 3] = {'silent': 0, 'stuck': 1234, 'whisper': sound[gone, 3] // 200}[dying]
    living = LivingChannels(RATE, np.ones(8, bool))
    (died_s, alive), (back_s, again) = play(living, sound)
    assert 5.2 < died_s <= 7.3
    assert np.flatnonzero(~alive).tolist() == [3]
    assert 16 <= back_s <= 18
    assert again.all()


def test_short_silence_does_not_exclude_a_channel():
    sound = noise(8)
    sound[2 * RATE : 3 * RATE, 5] = 0
    assert play(LivingChannels(RATE, np.ones(8, bool)), sound) == []


@pytest.mark.parametrize('level', [0, 1])
def test_unconnected_array_keeps_all_channels(level):
    sound = np.zeros((6 * RATE, 8), np.int16)
    sound[::7, 0] = level
    living = LivingChannels(RATE, np.ones(8, bool))
    assert play(living, sound) == []
    assert living.alive.all()


def test_channels_dead_in_the_rig_are_ignored():
    known = np.arange(8) != 2
    sound = noise(6)
    sound[:, 2] = 0
    living = LivingChannels(RATE, known)
    assert play(living, sound) == []
    assert living.alive.tolist() == known.tolist()


def test_no_channel_is_excluded_if_only_two_would_remain():
    sound = noise(6)
    sound[:, :6] = 0
    living = LivingChannels(RATE, np.ones(8, bool))
    assert play(living, sound) == []
    assert living.alive.all()
