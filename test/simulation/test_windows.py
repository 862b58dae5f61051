"""Sets of windows: content, resuming after an interruption, and clear errors."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation import windows
from avdet_ros.simulation.one_run import exclusive_lock
from avdet_ros.simulation.traffic import random_scene


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(windows, 'SCENES_A_SHARD', 2)


def test_pooling_averages_frames_and_keeps_incomplete_last_group():
    x = np.arange(9, dtype=np.float32)[None]
    np.testing.assert_allclose(windows.pool_frames(x), [[1.5, 5.5, 8.0]])
    assert windows.pool_frames(np.zeros((32, 80, 173), np.float32)).shape == (32, 80, 44)


def test_quantise_rounds_like_a_16_bit_sound_card():
    x = np.array([0.0, 1.0, -1.0, 0.4 / 32768, 0.6 / 32768], np.float32)
    np.testing.assert_array_equal(windows.quantise(x) * 32768, [0, 32767, -32768, 0, 1])


def test_shard_holds_features_and_labels_of_scenes(tmp_path, small):
    windows.write_shard(tmp_path, 30, True, load_rig())
    found = windows.load_windows(tmp_path)
    assert len(found) == 2 * windows.WINDOWS_A_SCENE
    assert found['features'].shape == (6, 32, 80, 44)
    assert found['features'].dtype == np.float16
    assert np.isfinite(found['features']).all()
    assert np.abs(found['features'][:, 8:]).max() <= 1.01
    for row in range(6):
        scene = random_scene(int(found['seed'][row]), duration_s=9.0)
        truth = scene.labels(found['time_s'][row] + 0.5)
        assert found['count'][row] == len(truth)
        np.testing.assert_array_equal(found['boxes_px'][row, : len(truth)], truth.boxes_px)
        np.testing.assert_array_equal(found['ids'][row, : len(truth)], truth.ids)
        assert not found['boxes_px'][row, len(truth) :].any()
        kinds = [windows.KINDS.index(kind) for kind in truth.kinds]
        for name, values in (('ids', list(truth.ids)), ('kinds', kinds)):
            assert found[name][row].tolist() == values + [-1] * (windows.MAX_LABELS - len(truth))
        end = scene.labels(found['time_s'][row] + 1.0)
        np.testing.assert_array_equal(found['end_boxes_px'][row, : len(end)], end.boxes_px)
    rows = list(windows.scene_windows(random_scene(30, duration_s=9.0), FrontEnd()))
    np.testing.assert_array_equal(rows[1]['features'], found['features'][1])


@pytest.mark.slow
def test_interrupted_set_is_resumed(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, '_write_shards', _in_this_process)
    assert sum(windows.make_windows(tmp_path, 6, (30, 40), 1)) == 6
    before = (tmp_path / 'windows_0000030.npz').stat().st_mtime_ns
    (tmp_path / 'windows_0000032.partial').write_bytes(b'half')
    assert sum(windows.make_windows(tmp_path, 12, (30, 40), 1)) == 12
    assert (tmp_path / 'windows_0000030.npz').stat().st_mtime_ns == before
    assert not list(tmp_path.glob('*.partial'))
    assert len(windows.load_windows(tmp_path, limit=7)) == 7


def _in_this_process(out, todo, jobs, corrupted, rig):
    for first in todo:
        yield windows.write_shard(out, first, corrupted, rig)


def test_folder_with_another_set_is_rejected(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, '_write_shards', lambda *_: iter(()))
    list(windows.make_windows(tmp_path, 6, (30, 40), 1))
    with pytest.raises(AvdetError, match=r'first_seed: expected 50 .* found 30'):
        list(windows.make_windows(tmp_path, 6, (50, 60), 1))


def test_second_run_in_same_folder_is_rejected(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, '_write_shards', lambda *_: iter(()))
    list(windows.make_windows(tmp_path, 6, (30, 40), 1))
    with exclusive_lock(tmp_path), pytest.raises(AvdetError, match='another run'):
        list(windows.make_windows(tmp_path, 6, (30, 40), 1))


def test_error_names_broken_shard(tmp_path):
    (tmp_path / 'windows_0000000.npz').write_bytes(b'PK\x03\x04 not much')
    with pytest.raises(AvdetError, match='windows_0000000'):
        windows.load_windows(tmp_path)
    with pytest.raises(AvdetError, match='found none'):
        windows.load_windows(tmp_path / 'nothing')


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['--seeds', 'all'], '--seeds'),
        (['--seeds', '0:10', '--windows', '300'], 'at least 100 drives'),
    ],
)
def test_invalid_command_options_are_rejected(tmp_path, arguments, says):
    result = CliRunner().invoke(app, ['sim', 'windows', str(tmp_path / 'set'), *arguments])
    assert isinstance(result.exception, AvdetError)
    assert says in str(result.exception)


def test_file_in_place_of_folder_is_rejected(tmp_path):
    path = tmp_path / 'set'
    path.write_text('')
    with pytest.raises(AvdetError, match='cannot use the folder'):
        list(windows.make_windows(path, 6, (0, 1000), 1))


def test_full_disk_is_reported_and_leaves_no_partial_shard(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, 'SCENES_A_SHARD', 1)
    monkeypatch.setattr(windows, 'WINDOWS_A_SCENE', 1)
    (tmp_path / 'windows_0000030.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left') as full:
        windows.write_shard(tmp_path, 30, True, load_rig())
    assert list(tmp_path.iterdir()) == []

    class Pool:
        """A process pool whose tasks fail because the disk is full."""

        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, *_):
            task = Future()
            task.set_exception(full.value)
            return task

    monkeypatch.setattr(windows, 'ProcessPoolExecutor', Pool)
    with pytest.raises(AvdetError, match='the disk is full: make room and run the same command'):
        list(windows.make_windows(tmp_path, 1, (30, 40), 1))
