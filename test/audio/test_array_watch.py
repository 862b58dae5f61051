"""The array watch reports no change of a correct array, and names loose microphones."""

from __future__ import annotations

import time

from helpers.driving_sound import RATE, Errors, driving_sound, small_rig, traffic_azimuths
import numpy as np
import pytest

from avdet_ros.audio.array_watch import ArrayWatch
from avdet_ros.audio.self_calibration import calibrated_rig

SECONDS = 72


@pytest.fixture(scope='module')
def rig():
    return small_rig()


@pytest.fixture
def watched(rig):
    """Runs a watch over a sound; returns it and the arguments of its callbacks."""
    watches = []

    def watched(sound, every_s=64, rig=rig, lost=0):
        calls = []
        watch = ArrayWatch(rig, every_s, lambda result, changes: calls.append((result, changes)))
        watches.append(watch)
        watch.start()
        block = RATE // 50
        for start in range(0, len(sound), block):
            watch.add(sound[start : start + block], lost if start == 20 * RATE else 0)
            while watch._waiting_samples > 20 * RATE:
                time.sleep(0.01)
        until = time.monotonic() + 120
        while watch.summary == 'listening' and time.monotonic() < until:
            time.sleep(0.05)
        return watch, calls

    yield watched
    for watch in watches:
        watch.stop()


def traffic_sound(rig, errors=None, seed=3):
    return driving_sound(rig, traffic_azimuths(SECONDS, seed), errors, seed)


@pytest.mark.slow
def test_correct_array_is_reported_as_matching_the_rig(rig, watched):
    watch, calls = watched(traffic_sound(rig))
    assert watch.summary.startswith('as the rig says (')
    assert (watch.changes, calls, watch.estimates) == ([], [], 1)


@pytest.mark.slow
def test_loose_microphone_and_gain_change_are_reported(rig, watched):
    moved, gain_db = np.zeros((8, 3)), np.zeros(8)
    moved[6] = [0.02, 0.02, 0]
    gain_db[3] = -4
    errors = Errors(moved_m=moved, gain_db=gain_db)
    watch, ((result, changes),) = watched(traffic_sound(rig, errors), lost=500)
    assert [change.channel for change in changes] == [3, 6]
    assert changes[0].sentence.startswith('rear_left (channel 3) is -4.')
    assert changes[1].sentence.startswith('right (channel 6) is off by ')
    assert watch.changes == changes
    # With the result applied to the rig, sound of the same array shows no change.
    again, calls = watched(traffic_sound(rig, errors, 4), rig=calibrated_rig(result, rig))
    assert again.summary.startswith('as the rig says (')
    assert calls == []


@pytest.mark.slow
def test_too_little_traffic_is_reported_without_an_estimate(rig, watched):
    quiet = driving_sound(rig, traffic_azimuths(SECONDS, 0), traffic=0.0, own=0.0)
    watch, calls = watched(quiet)
    assert watch.summary.startswith('calibration: too little traffic')
    assert (watch.changes, calls, watch.estimates) == ([], [], 0)


def test_sound_before_clear_is_dropped(rig):
    watch = ArrayWatch(rig, 60, lambda *_: None)
    watch.add(np.zeros((RATE, 8), np.int16))
    watch.clear()
    watch.start()
    watch.add(np.ones((RATE, 8), np.int16))
    watch.stop()
    assert watch._finder._seconds <= 1
