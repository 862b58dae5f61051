"""Sets of windows: their content, going on after an interruption, and clear refusals."""

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


def test_pooling_keeps_the_mean_and_the_last_frame():
    x = np.arange(9, dtype=np.float32)[None]
    np.testing.assert_allclose(windows.pool_frames(x), [[1.5, 5.5, 8.0]])
    assert windows.pool_frames(np.zeros((32, 80, 173), np.float32)).shape == (32, 80, 44)


def test_rounding_is_the_sound_cards():
    x = np.array([0.0, 1.0, -1.0, 0.4 / 32768, 0.6 / 32768], np.float32)
    np.testing.assert_array_equal(windows.quantise(x) * 32768, [0, 32767, -32768, 0, 1])


def test_a_shard_holds_what_the_scene_says(tmp_path, small):
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
def test_goes_on_where_it_was(tmp_path, small, monkeypatch):
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


def test_another_set_in_the_folder_is_refused(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, '_write_shards', lambda *_: iter(()))
    list(windows.make_windows(tmp_path, 6, (30, 40), 1))
    with pytest.raises(AvdetError, match=r'first_seed: expected 50 .* found 30'):
        list(windows.make_windows(tmp_path, 6, (50, 60), 1))


def test_two_runs_in_one_folder_are_refused(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, '_write_shards', lambda *_: iter(()))
    list(windows.make_windows(tmp_path, 6, (30, 40), 1))
    with exclusive_lock(tmp_path), pytest.raises(AvdetError, match='another run'):
        list(windows.make_windows(tmp_path, 6, (30, 40), 1))


def test_a_broken_shard_is_named(tmp_path):
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
def test_bad_parameters(tmp_path, arguments, says):
    result = CliRunner().invoke(app, ['sim', 'windows', str(tmp_path / 'set'), *arguments])
    assert isinstance(result.exception, AvdetError)
    assert says in str(result.exception)


def test_a_file_where_the_folder_should_be(tmp_path):
    path = tmp_path / 'set'
    path.write_text('')
    with pytest.raises(AvdetError, match='cannot use the folder'):
        list(windows.make_windows(path, 6, (0, 1000), 1))


def test_a_full_disk_leaves_nothing_half_and_is_one_sentence(tmp_path, small, monkeypatch):
    monkeypatch.setattr(windows, 'SCENES_A_SHARD', 1)
    monkeypatch.setattr(windows, 'WINDOWS_A_SCENE', 1)
    (tmp_path / 'windows_0000030.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left') as full:
        windows.write_shard(tmp_path, 30, True, load_rig())
    assert list(tmp_path.iterdir()) == []

    class Pool:
        """Its processes find the disk full."""

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
