"""Changes of the array are reported beyond thresholds, tested on both sides of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.audio.array_changes import array_changes
from avdet_ros.audio.self_calibration import SelfCalibration


@pytest.fixture
def result(rig):
    """A calibration that matches the rig, accurate to a millimetre and a tenth of a decibel."""
    return SelfCalibration(
        gain_db=np.zeros(8),
        gain_sd_db=np.full(8, 0.1),
        delay_s=np.zeros(8),
        delay_sd_s=np.full(8, 1e-6),
        positions_m=rig.microphones_m.copy(),
        position_sd_m=np.full((8, 2), 1e-3),
        lead_sd_s=np.full(8, 3e-6),
        alive=np.ones(8, bool),
        order=np.arange(8),
        yaw_deg=0.0,
        yaw_sd_deg=0.2,
        findings=('',) * 8,
        notes=(),
        segments=500,
        sectors=8,
        fit=None,
    )


def at(channel, value, size=8):
    values = np.zeros(size if np.ndim(value) == 0 else (size, len(value)))
    values[channel] = value
    return values


def test_array_matching_the_rig_has_no_changes(rig, result):
    assert array_changes(result, rig) == []


@pytest.mark.parametrize(
    ('moved_mm', 'reported'), [(9.0, ''), (12.0, 'is off by 12 mm and +0 µs')]
)
@pytest.mark.parametrize('channel', [2, 5])
def test_moved_microphone_is_reported_beyond_the_lead_threshold(
    rig, result, channel, moved_mm, reported
):
    """Half of the squared distance counts: 7.3 mm in any direction equal 15 µs."""
    step = np.array([0.6, -0.8, 0]) * moved_mm * (1e-3 if reported else 0.6e-3)
    moved = replace(result, positions_m=result.positions_m + at(channel, step))
    found = array_changes(moved, rig)
    assert [(c.channel, c.sentence) for c in found] == (
        [(channel, f'{rig.names[channel]} (channel {channel}) {reported}')] if reported else []
    )


def test_uncertain_move_is_not_reported(rig, result):
    moved = replace(result, positions_m=result.positions_m + at(2, np.array([0.012, 0, 0])))
    assert array_changes(moved, rig)
    assert not array_changes(replace(moved, lead_sd_s=np.full(8, 8e-6)), rig)


@pytest.mark.parametrize(('later_us', 'reported'), [(14, False), (17, True), (-17, True)])
def test_channel_delay_is_reported_beyond_the_threshold(rig, result, later_us, reported):
    late = replace(result, delay_s=result.delay_s + at(6, later_us * 1e-6))
    found = array_changes(late, rig)
    assert bool(found) == reported
    if reported:
        assert found[0].sentence == f'right (channel 6) is off by 0 mm and {later_us:+d} µs'


def test_common_rotation_scale_delay_and_gain_are_not_reported(rig, result):
    turn = Rotation.from_euler('z', 8, degrees=True).as_matrix()
    places = rig.microphones_m - rig.array_position_m
    turned = 1.04 * places @ turn.T + rig.array_position_m + [0.3, -0.2, 0.5]
    later_s = places @ [1e-4, -2e-4, 0] + 5e-5
    whole = replace(result, positions_m=turned, delay_s=later_s, gain_db=np.full(8, 3.0))
    assert array_changes(whole, rig) == []


@pytest.mark.parametrize(('louder_db', 'reported'), [(1.4, ''), (1.6, '+1.6'), (-2.5, '-2.5')])
def test_channel_gain_is_reported_beyond_the_threshold(rig, result, louder_db, reported):
    louder = replace(result, gain_db=2.0 + at(3, louder_db))
    found = array_changes(louder, replace(rig, gain_db=np.full(8, 0.25)))
    sentences = [each.sentence for each in found]
    assert sentences == ([f'rear_left (channel 3) is {reported} dB louder'] if reported else [])
    uncertain = replace(louder, gain_sd_db=np.full(8, 0.7))
    assert array_changes(uncertain, rig) == []


def test_errors_already_in_the_rig_are_not_reported(rig, result):
    known = replace(rig, gain_db=at(3, 4.0), delay_s=at(6, 5e-5))
    matching = replace(result, gain_db=at(3, 4.0), delay_s=at(6, 5e-5))
    assert array_changes(matching, known) == []
    assert {each.channel for each in array_changes(result, known)} == {3, 6}


def test_dead_channel_is_reported_only_as_dead(rig, result):
    dead = replace(
        result,
        alive=np.arange(8) != 1,
        gain_db=at(1, -40.0),
        positions_m=result.positions_m + at(1, np.array([0.5, 0, 0])),
    )
    assert [c.sentence for c in array_changes(dead, rig)] == ['front_left (channel 1) is dead']
    assert array_changes(dead, replace(rig, alive=np.arange(8) != 1)) == []


def test_exchanged_plugs_are_reported_for_both_channels(rig, result):
    order = np.array([0, 1, 7, 3, 4, 5, 6, 2])
    exchanged = replace(result, order=order, positions_m=rig.microphones_m[order])
    assert [each.sentence for each in array_changes(exchanged, rig)] == [
        'left (channel 2) hears what front_right should: plugs exchanged',
        'front_right (channel 7) hears what left should: plugs exchanged',
    ]
