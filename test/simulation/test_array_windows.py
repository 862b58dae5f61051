"""Windows of random arrays: rows match the rendered scenes, shards are complete, errors clear."""

from __future__ import annotations

from dataclasses import replace
import subprocess
import sys

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation import cnossos, window_shards
from avdet_ros.simulation.array_windows import (
    OTHER_DB,
    WindowPlan,
    array_of,
    array_windows,
    draw_world,
    place_array,
    window_starts_s,
    world_of,
)
from avdet_ros.simulation.sound_in_view import rest_db
from avdet_ros.simulation.windows import load_windows

PLAN = WindowPlan('plain', windows_a_drive=1, drives_a_shard=1)


@pytest.fixture(scope='module')
def rows():
    rig = load_rig()
    return [
        row for seed in range(60, 64) for row in array_windows(seed, rig, FrontEnd.of(rig), PLAN)
    ]


def test_row_microphone_positions_match_rendered_scene(rows):
    for row in rows:
        seed = int(row['seed'])
        array = array_of(seed, load_rig(), PLAN)
        scene = place_array(draw_world(seed, load_rig(), PLAN), array)
        heading = scene.rig.camera.rotation[2]
        turn = np.radians(row['array_yaw_deg']) + np.arctan2(heading[1], heading[0])
        back = np.array(
            [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
        )
        places = row['microphones_m'] @ back + scene.rig.array_position_m
        np.testing.assert_allclose(places, scene.microphones_m(), atol=1e-5)
        apart = np.linalg.norm(row['rig_microphones_m'] - row['microphones_m'], axis=1)
        assert apart.max() < 0.05
        np.testing.assert_array_equal(row['alive'], ~array.errors.dead)


def test_row_speed_and_heading_are_those_at_window_middle(rows):
    for row in rows:
        seed = int(row['seed'])
        scene = draw_world(seed, load_rig(), PLAN)
        middle_s = row['time_s'] + 0.5
        before, after = (scene.ego_pose(np.array([middle_s + s])) for s in (-0.01, 0.01))
        moved = (after[0] - before[0])[0] / 0.02
        ahead = (before[1] + after[1])[0, :, 0] / 2
        # in a bend a lane is slightly longer or shorter than the road's centre line
        assert row['ahead_mps'] == pytest.approx(moved @ ahead, rel=0.02, abs=0.05)
        optical = array_of(seed, load_rig(), PLAN).rig.camera.rotation[2]
        heading_deg = np.degrees(np.arctan2(optical[1], optical[0]))
        assert row['camera_heading_deg'] == pytest.approx(heading_deg, abs=1e-4)
    assert len({float(row['ahead_mps']) for row in rows}) > 1


def test_features_are_finite_and_dead_microphones_are_silent(rows):
    for row in rows:
        features = row['features'].astype(np.float32)
        assert features.shape == (32, 80, 44)
        assert np.isfinite(features).all()
        dead = ~row['alive']
        assert (features[:8][dead] == -100).all()
        assert (features[:8][~dead].max(axis=(1, 2)) > -100).all()


def test_labels_come_first_and_padding_follows(rows):
    for row in rows:
        for prefix in ('', 'end_'):
            count = int(row[f'{prefix}count'])
            assert (row[f'{prefix}ids'][:count] > 0).all()
            assert (row[f'{prefix}ids'][count:] == -1).all()
            assert (row[f'{prefix}range_m'][:count] > 0).all()
            assert (np.diff(row[f'{prefix}range_m'][:count]) >= 0).all()


def test_worlds_are_mixed_and_windows_do_not_overlap():
    plan = WindowPlan()
    share = np.mean([world_of(seed, plan) == 'furnished' for seed in range(400)])
    assert 0.5 < share < 0.7
    for seed in range(20):
        starts = window_starts_s(seed, plan)
        assert (np.diff(starts) >= 1).all()
        assert starts[-1] + 1 <= plan.duration_s


def test_windows_spaced_below_their_length_overlap():
    plan = WindowPlan(windows_a_drive=8, spacing_s=0.5)
    for seed in range(5):
        np.testing.assert_array_equal(window_starts_s(seed, plan), 0.5 * np.arange(8))
    assert plan.duration_s == 4.5


def test_empty_road_has_one_distractor_and_no_label(tmp_path):
    rng = np.random.default_rng(2)
    wavfile.write(tmp_path / 'mill.wav', 44100, (3000 * rng.normal(size=44100)).astype(np.int16))
    rig, usual = load_rig(), WindowPlan(windows_a_drive=1, quick=True, empty=True)
    plan = replace(usual, distractors=str(tmp_path))
    played, levels = [], []
    for seed in range(70, 90):
        scene = draw_world(seed, rig, plan)
        (sound,) = scene.distractors
        played.append(sound.kind)
        assert not scene.vehicles
        away_m = float(np.linalg.norm(sound.offset_m[:2] - rig.array_position_m[:2]))
        heard = cnossos.pressure_level_db(sound.bands_db(scene.duration_s / 2), away_m)
        levels.append(float(cnossos.a_weighted_db(heard)) - rest_db(scene, scene.duration_s / 2))
    assert 5 <= played.count('mill.wav') <= 15
    # A sound is softer between its beats.
    assert min(levels) < -2
    assert 10 < max(levels) < OTHER_DB[1] + 0.5
    (row,) = array_windows(70, rig, FrontEnd.of(rig), usual)
    assert row['count'] == row['end_count'] == 0
    assert np.isfinite(row['features'].astype(np.float32)).all()


@pytest.mark.slow
def test_set_is_resumed_and_mismatched_settings_are_rejected(tmp_path):
    rig = load_rig()
    assert sum(window_shards.make_array_windows(tmp_path, 1, (70, 80), 1, PLAN, rig)) == 1
    shard = tmp_path / 'windows_0000070.npz'
    made = shard.read_bytes()
    shard.unlink()
    assert window_shards.write_array_shard(tmp_path, 70, PLAN, rig) == 1
    assert shard.read_bytes() == made
    before = shard.stat().st_mtime_ns
    assert sum(window_shards.make_array_windows(tmp_path, 1, (70, 80), 1, PLAN, rig)) == 1
    assert shard.stat().st_mtime_ns == before
    assert len(load_windows(tmp_path)) == 1
    assert np.load(shard)['features'].shape == (1, 64, 80, 44), 'all pairs of microphones'
    with pytest.raises(AvdetError, match='world'):
        next(window_shards.make_array_windows(tmp_path, 1, (70, 90), 1, WindowPlan(), rig))
    with pytest.raises(AvdetError, match='seeds'):
        next(window_shards.make_array_windows(tmp_path, 9, (70, 72), 1, PLAN, rig))


@pytest.mark.slow
def test_rolling_set_keeps_newest_shards_and_makes_none_twice(tmp_path):
    rig = load_rig()
    seeds = (70, 90)
    made = list(window_shards.make_array_windows(tmp_path, 5, seeds, 1, PLAN, rig, keep=3))
    assert made == [1] * 5

    def shard_names() -> list[str]:
        return sorted(path.name for path in tmp_path.glob('windows_*.npz'))

    assert shard_names() == [f'windows_00000{seed}.npz' for seed in (72, 73, 74)]
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in shard_names()}
    more = list(window_shards.make_array_windows(tmp_path, 6, seeds, 1, PLAN, rig, keep=3))
    assert more == [1] * 6, 'the five existing shards are counted'
    assert shard_names() == [f'windows_00000{seed}.npz' for seed in (73, 74, 75)]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in shard_names()[:2]} == {
        name: times[name] for name in shard_names()[:2]
    }
    with pytest.raises(AvdetError, match='--keep: expected at least 5 windows with 2 processes'):
        next(window_shards.make_array_windows(tmp_path, 6, seeds, 2, PLAN, rig, keep=4))


@pytest.mark.parametrize(
    'options',
    [
        ('--arrays', 'round'),
        ('--arrays', 'drawn', '--world', 'red'),
        ('--world', 'mixed'),
        ('--arrays', 'drawn', '--clean'),
        ('--pairs', '28'),
        ('--empty',),
        ('--keep', '100'),
        ('--arrays', 'drawn', '--pairs', '17'),
        ('--arrays', 'drawn', '--pairs', '0'),
    ],
)
def test_invalid_options_error_says_what_is_expected(tmp_path, options):
    done = CliRunner().invoke(app, ['sim', 'windows', str(tmp_path / 'out'), *options])
    assert isinstance(done.exception, AvdetError)
    assert 'expected' in str(done.exception)


def test_window_modules_import_without_sound_files_ros_or_torch():
    program = (
        'import sys\n'
        'for name in ("soundfile", "soxr", "rclpy", "rosbags", "apsw", "sounddevice", "torch"):\n'
        '    sys.modules[name] = None\n'
        'import avdet_ros.cli.main, avdet_ros.simulation.window_shards\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
