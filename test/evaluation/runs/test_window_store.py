"""Windows on disk equal rendered ones, are limited in size and discarded when outdated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs import window_store
from avdet_ros.evaluation.runs.window_store import (
    Cut,
    WindowSetting,
    WindowStore,
    folder_digest,
    render_drive,
)
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.windows import scene_windows

SETTING = WindowSetting(Condition('plain', 'kept'), Cut(windows=1))
LONG = WindowSetting(Condition('plain', 'ideal', empty=True), Cut(0, 2.0, 5.0))
SEED = 100_003


def assert_same(one, other):
    for name in ('sound', 'piece', 'first', 'end_s'):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ('microphones_m', 'yaw_deg', 'gain_db', 'delay_s', 'alive'):
        np.testing.assert_array_equal(getattr(one.array, name), getattr(other.array, name))
    assert (one.seed, one.setting, one.static) == (other.seed, other.setting, other.static)
    np.testing.assert_array_equal(one.rig.microphones_m, other.rig.microphones_m)
    assert list(one.truth) == list(other.truth) == [-0.5, 0.0]
    for offset, frames in one.truth.items():
        for a, b in zip(frames, other.truth[offset], strict=True):
            for name in ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db'):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.slow
def test_rendered_windows_match_the_training_sets(rig):
    """Features of the same cut equal those that `avdet sim windows` makes."""
    from avdet_ros.audio.features import pool_frames

    setting = WindowSetting(Condition('plain', 'kept'), Cut(windows=3))
    drive = render_drive(setting, SEED, rig, None)
    front_end = FrontEnd.of(rig)
    theirs = list(scene_windows(random_scene(SEED, rig, 9.0), front_end))
    assert len(drive) == len(theirs) == 3
    frames = drive.truth[-0.5]
    for waveform, row, end_s, frame in zip(
        drive.waveforms(front_end.samples), theirs, drive.end_s, frames, strict=True
    ):
        assert end_s == row['time_s'] + 1
        features = pool_frames(front_end.compute(waveform)).astype(np.float16)
        np.testing.assert_array_equal(features, row['features'])
        np.testing.assert_allclose(frame.boxes_px, row['boxes_px'][: row['count']])
        np.testing.assert_allclose(frame.level_db, row['level_db'][: row['count']], rtol=1e-5)


FAMILY = WindowSetting(Condition('plain', 'neglected', family='cross'), Cut(windows=1))


@pytest.mark.parametrize('setting', [SETTING, LONG, FAMILY])
def test_drive_is_read_as_it_was_rendered(tmp_path, rig, setting, monkeypatch):
    store = WindowStore(tmp_path, setting, rig)
    store.prepare([SEED], 1 << 30)
    rendered = store.drive(SEED)

    def refuse(*_):
        raise AssertionError('rendered again')

    monkeypatch.setattr(window_store, 'render_drive', refuse)
    assert_same(store.drive(SEED), rendered)
    assert not list(tmp_path.rglob('*.partial'))


def test_windows_of_a_continuous_cut_overlap(rig):
    drive = render_drive(LONG, SEED, rig, None)
    assert len(drive) == 6
    np.testing.assert_allclose(drive.end_s, [1, 1.2, 1.4, 1.6, 1.8, 2])
    first, second = list(drive.waveforms(44100))[:2]
    np.testing.assert_array_equal(first[:, 8820:], second[:, : 44100 - 8820])


def test_damaged_file_is_rendered_again(tmp_path, rig):
    store = WindowStore(tmp_path, LONG, rig)
    store.prepare([SEED], 1 << 30)
    drive = store.drive(SEED)
    (path,) = tmp_path.rglob('*.npz')
    path.write_bytes(path.read_bytes()[:5000])
    assert_same(store.drive(SEED), drive)
    assert_same(store.drive(SEED), drive)


def test_sets_of_different_settings_use_different_folders(tmp_path, rig):
    def folder(setting, its_rig=rig):
        return WindowStore(tmp_path, setting, its_rig).folder

    loops = tmp_path / 'loops'
    loops.mkdir()
    (loops / 'engine.wav').write_bytes(b'one')
    before = folder_digest(loops)
    (loops / 'engine.wav').write_bytes(b'two')
    assert folder_digest(loops) != before
    moved = rig.microphones_m.copy()
    moved[0, 0] += 0.01
    folders = [
        folder(SETTING),
        folder(LONG),
        folder(replace(SETTING, condition=Condition('furnished', 'kept'))),
        folder(replace(SETTING, condition=Condition('plain', 'kept', vehicle=1))),
        folder(replace(SETTING, cut=Cut(windows=2))),
        folder(SETTING, replace(rig, microphones_m=moved)),
    ]
    assert len(set(folders)) == len(folders)
    assert folder(SETTING) == folders[0]


def test_set_of_a_changed_simulator_is_discarded(tmp_path, rig, monkeypatch):
    store = WindowStore(tmp_path, LONG, rig)
    assert store.prepare([SEED, SEED + 1], 1 << 30) == (2, [])
    store.drive(SEED), store.drive(SEED + 1)
    assert store.prepare([SEED, SEED + 1], 1 << 30) == (2, [])
    assert len(list(tmp_path.rglob('*.npz'))) == 2

    def louder(*arguments):
        drive = render_drive(*arguments)
        return replace(drive, sound=drive.sound * 2)

    monkeypatch.setattr(window_store, 'render_drive', louder)
    _, notes = store.prepare([SEED, SEED + 1], 1 << 30)
    assert 'the simulator has changed' in notes[0]
    assert not list(tmp_path.rglob('*.npz'))


def test_least_recently_used_set_is_evicted(tmp_path, rig):
    settings = [replace(LONG, cut=Cut(0, 2.0, rate)) for rate in (1.0, 2.0, 5.0)]
    stores = [WindowStore(tmp_path, setting, rig) for setting in settings]
    for store in stores[:2]:
        store.prepare([SEED], 1 << 30)
        store.drive(SEED)
    stores[0].prepare([SEED], 1 << 30)  # used again, so the second one is older now
    a_drive = 16 * 2 * 44100 + 20_000
    kept, notes = stores[2].prepare([SEED], int(2.5 * a_drive))
    assert (kept, notes) == (1, [])
    assert stores[0].folder.exists()
    assert not stores[1].folder.exists()
    kept, notes = stores[2].prepare([SEED, SEED + 1, SEED + 2], 2 * a_drive)
    assert kept == 2
    assert 'more than' in notes[0]


def test_file_in_place_of_the_folder_is_reported(tmp_path, rig):
    (tmp_path / 'taken').write_text('')
    with pytest.raises(AvdetError, match=r'cannot use .*taken'):
        WindowStore(tmp_path / 'taken', LONG, rig).prepare([SEED], 1 << 30)
