"""One other sound in view: its position, its level, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.recorded_sounds import SoundFolder
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.sound_in_view import rest_db, with_sound_in_view


def test_sound_in_view_keeps_its_bearing(rig):
    scene = Condition(other_db=0.0, empty=True).scene(300, rig, 8.0)
    (sound,) = scene.distractors
    bearings = []
    for t_s in (0.5, 4.0, 7.5):
        position, rotation = scene.ego_pose(t_s)
        apart = (sound.place(t_s) - position) @ rotation - rig.array_position_m
        bearings.append(np.degrees(np.arctan2(apart[1], apart[0])))
        assert 12 <= np.hypot(*apart[:2]) <= 35
    np.testing.assert_allclose(bearings, bearings[0], atol=1e-6)
    assert abs(bearings[0]) <= 41


def test_sound_position_of_a_seed_is_unchanged(rig):
    """Scores with another sound depend on the azimuth and distance that a seed draws."""
    for seed, azimuth_deg, away_m in ((300, -32.9, 34.4), (200_007, -20.4, 20.3)):
        (sound,) = Condition(other_db=0.0, empty=True).scene(seed, rig, 4.0).distractors
        level_m = (sound.offset_m - rig.array_position_m)[:2]
        assert np.degrees(np.arctan2(level_m[1], level_m[0])) == pytest.approx(
            azimuth_deg, abs=0.1
        )
        assert np.hypot(*level_m) == pytest.approx(away_m, abs=0.1)
        assert sound.offset_m[2] == 1


def test_rest_level_matches_rest_level_of_truth(rig):
    """With one vehicle, the rest in the truth is ego vehicle, wind, hum and other sounds."""
    for seed in range(100_000, 100_100):
        scene = Condition('plain', 'ideal').scene(seed, rig, 8.0)
        truth = scene.truth(4.0)
        if len(truth):
            break
    alone = replace(
        scene, vehicles=tuple(v for v in scene.vehicles if v.vehicle_id == truth.ids[0])
    )
    assert rest_db(alone, 4.0) == pytest.approx(float(alone.truth(4.0).rest_db[0]), abs=1e-3)
    steady = next(
        with_sound_in_view(replace(alone, seed=seed), 10.0)
        for seed in range(19)
        if with_sound_in_view(replace(alone, seed=seed), 10.0).distractors[0].kind == 'crowd'
    )
    louder = float(steady.truth(4.0).rest_db[0]) - rest_db(alone, 4.0)
    # 10 lg (1 + 10), less a little air absorption.
    assert louder == pytest.approx(10.4, abs=0.7)


def test_nineteen_consecutive_seeds_have_different_kinds(rig):
    kinds = {
        Condition(other_db=0.0, empty=True).scene(seed, rig, 4.0).distractors[0].kind
        for seed in range(200_000, 200_019)
    }
    assert len(kinds) == 19


def test_recording_plays_at_requested_level(rig, tmp_path):
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / 'fan.wav', 0.01 * rng.normal(size=88200), 44100)
    sounds = SoundFolder.of(tmp_path, 44100)
    energy = {}
    for level_db in (-60.0, 20.0, 30.0):
        condition = Condition('plain', 'ideal', empty=True, other_db=level_db)
        scene = condition.scene(100_003, rig, 3.0, sounds=sounds)
        assert scene.distractors[0].kind == 'fan.wav'
        sound = SoundRenderer(scene).read(44100, 44100).astype(float)
        # From 1 kHz on, as the hum below hardly affects A-weighted levels.
        spectrum = np.abs(np.fft.rfft(sound))[:, 1000:8000]
        energy[level_db] = float((spectrum**2).sum())
    twenty, thirty = (energy[key] - energy[-60.0] for key in (20.0, 30.0))
    assert 10 * np.log10(thirty / twenty) == pytest.approx(10, abs=0.2)
    assert 8 < 10 * np.log10(energy[20.0] / energy[-60.0]) < 35


def test_condition_key_and_text_name_the_other_sound():
    assert Condition(empty=True, other_db=10.0).key()['other_db'] == 10.0
    assert str(Condition(empty=True, other_db=10.0)).endswith('another sound at +10 dB')
