"""What the slow watch says: nothing of a true array, and which microphone came loose."""

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
    """Run a watch over a sound; gives it, and what it called."""
    watches = []

    def watched(sound, every_s=64, rig=rig, lost=0):
        called = []
        watch = ArrayWatch(rig, every_s, lambda result, changes: called.append((result, changes)))
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
        return watch, called

    yield watched
    for watch in watches:
        watch.stop()


def loosened(rig, errors=None, seed=3):
    return driving_sound(rig, traffic_azimuths(SECONDS, seed), errors, seed)


@pytest.mark.slow
def test_a_true_array_is_as_the_rig_says(rig, watched):
    watch, called = watched(loosened(rig))
    assert watch.summary.startswith('as the rig says (')
    assert (watch.changes, called, watch.estimates) == ([], [], 1)


@pytest.mark.slow
def test_a_loose_microphone_and_a_new_gain_are_named(rig, watched):
    moved, gain_db = np.zeros((8, 3)), np.zeros(8)
    moved[6] = [0.02, 0.02, 0]
    gain_db[3] = -4
    errors = Errors(moved_m=moved, gain_db=gain_db)
    watch, ((result, changes),) = watched(loosened(rig, errors), lost=500)
    assert [change.channel for change in changes] == [3, 6]
    assert changes[0].sentence.startswith('rear_left (channel 3) is -4.')
    assert changes[1].sentence.startswith('right (channel 6) is off by ')
    assert watch.changes == changes
    # With what it found taken as the rig, the same sound holds nothing new.
    again, called = watched(loosened(rig, errors, 4), rig=calibrated_rig(result, rig))
    assert again.summary.startswith('as the rig says (')
    assert called == []


@pytest.mark.slow
def test_too_little_traffic_is_said_and_changes_nothing(rig, watched):
    quiet = driving_sound(rig, traffic_azimuths(SECONDS, 0), traffic=0.0, own=0.0)
    watch, called = watched(quiet)
    assert watch.summary.startswith('calibration: too little traffic')
    assert (watch.changes, called, watch.estimates) == ([], [], 0)


def test_what_came_before_a_restart_does_not_count(rig):
    watch = ArrayWatch(rig, 60, lambda *_: None)
    watch.add(np.zeros((RATE, 8), np.int16))
    watch.clear()
    watch.start()
    watch.add(np.ones((RATE, 8), np.int16))
    watch.stop()
    assert watch._finder._seconds <= 1
