"""Drives on disk: complete or absent, repeatable by seed, readable by the MAVD reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
import errno
import hashlib
from pathlib import Path
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.dataset.odometry import read_air_c, read_odometry
from avdet_ros.errors import AvdetError
from avdet_ros.simulation import drive as drive_module
from avdet_ros.simulation.dataset_card import write_card
from avdet_ros.simulation.drive import (
    Plan,
    make_scene,
    plan_drives,
    prepare,
    write_drive,
    write_splits,
)
from avdet_ros.simulation.drive_run import write_drives
from avdet_ros.simulation.ego_odometry import ego_odometry
from avdet_ros.simulation.one_run import exclusive_lock

PLAN = Plan(drives=3, minutes=0.05, seed=11, fps=1.0)


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drives of three seconds."""
    root = tmp_path_factory.mktemp('drives') / 'set'
    write_drives(root, PLAN, prepare(root, PLAN), 2)
    write_splits(root, PLAN)
    return root


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_daytime_drives_without_sound_have_pictures_and_truth(tmp_path: Path) -> None:
    plan = Plan(2, 0.05, 12, 0.4, clips=False, sound=False, daytime='day')
    drives = plan_drives(plan)
    assert {drive.night for drive in drives} == {False}
    write_drive(tmp_path, plan, drives[1])
    written = {path.name for path in (tmp_path / drives[1].name).iterdir()}
    assert 'drive.flac' not in written
    (line,) = layout.read_truth(tmp_path, drives[1].name).values()
    (picture,) = (tmp_path / drives[1].name / 'fl_rgb').iterdir()
    assert line['stamp'] in picture.name
    with pytest.raises(AvdetError, match='drives without sound: expected no clips'):
        replace(plan, clips=True)


def test_run_older_than_a_setting_can_be_resumed(tmp_path: Path) -> None:
    prepare(tmp_path / 'set', PLAN)
    noted = tmp_path / 'set' / 'simulation.json'
    noted.write_text(noted.read_text().replace('"daytime": "all",', ''))
    assert len(prepare(tmp_path / 'set', PLAN)) == 3
    with pytest.raises(
        AvdetError, match='holds a run with daytime all: expected night to continue'
    ):
        prepare(tmp_path / 'set', replace(PLAN, daytime='night'))


@pytest.mark.slow
def test_dataset_check_finds_no_errors(written: Path) -> None:
    report = check(written, 0)
    assert report.findings == []
    assert report.files['train_all.txt'] == len(PLAN.times_s()) == 3
    sizes = next(iter(report.drives.values())).sizes
    assert sizes == {
        'rgb': '1920x650 8-bit',
        'thermal': '1920x650 16-bit',
        'depth': '1920x650 8-bit',
    }


@pytest.mark.slow
def test_drive_has_odometry_and_air_temperature(written: Path) -> None:
    for drive in plan_drives(PLAN):
        scene, _ = make_scene(PLAN, drive, None)
        found, true = read_odometry(written / drive.name), ego_odometry(scene, drive.start_ns)
        assert found is not None
        assert found.stamps_ns.tolist() == true.stamps_ns.tolist()
        np.testing.assert_allclose(found.ahead_mps, true.ahead_mps, atol=1e-4)
        np.testing.assert_allclose(found.x_m, true.x_m, atol=1e-4)
        assert read_air_c(written / drive.name) == scene.temperature_c


@pytest.mark.slow
def test_reader_cuts_same_sound_without_clips(written: Path, tmp_path: Path) -> None:
    frame = layout.read_ids(layout.split_path(written, 'train'))[2]
    shutil.copytree(written / frame.drive, tmp_path / frame.drive)
    expected = layout.read_sound(tmp_path, frame)
    shutil.rmtree(tmp_path / frame.drive / 'audio')
    np.testing.assert_array_equal(layout.read_sound(tmp_path, frame), expected)


@pytest.mark.slow
def test_killed_run_resumes_with_identical_files(written: Path, tmp_path: Path) -> None:
    drives = plan_drives(PLAN)
    root = tmp_path / 'set'
    assert prepare(root, PLAN) == drives
    # one drive is complete, one was half written at a power failure
    shutil.copytree(written / drives[0].name, root / drives[0].name)
    half = root / f'{drives[1].name}.part'
    shutil.copytree(written / drives[1].name, half)
    (half / layout.DONE).unlink()
    (half / 'drive.flac').write_bytes(b'half')
    assert prepare(root, PLAN) == drives[1:]
    write_drive(root, PLAN, drives[1])
    assert not half.exists()
    assert hashes(root / drives[1].name) == hashes(written / drives[1].name)


@pytest.mark.slow
def test_full_disk_is_reported_and_leaves_no_partial_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(drive_module, '_write_pictures', full)
    with pytest.raises(AvdetError, match='the disk is full while writing drive_day_2030'):
        write_drive(tmp_path, PLAN, plan_drives(PLAN)[0])
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_space_is_reported_before_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage._replace(free=10_000_000))
    with pytest.raises(AvdetError, match=r'expected .* GB of free disk for 40 drives, found 0\.0'):
        prepare(tmp_path / 'set', Plan())
    assert list((tmp_path / 'set').iterdir()) == []
    monkeypatch.undo()
    assert prepare(tmp_path / 'set', PLAN) == plan_drives(PLAN)


def test_second_run_in_same_folder_is_rejected(tmp_path: Path) -> None:
    drives = prepare(tmp_path / 'set', PLAN)
    with exclusive_lock(tmp_path / 'set'):
        assert prepare(tmp_path / 'set', PLAN) == drives
        with pytest.raises(AvdetError, match='set: another run is writing into this folder'):
            write_drives(tmp_path / 'set', PLAN, drives, 1)
    with exclusive_lock(tmp_path / 'set'):
        pass
    assert not list((tmp_path / 'set').glob('drive*'))


@pytest.mark.slow
def test_workers_of_killed_run_end_with_it(tmp_path: Path) -> None:
    command = [
        'sim',
        'drives',
        str(tmp_path / 'set'),
        '--drives',
        '1',
        '--minutes',
        '2',
        '--jobs',
        '1',
    ]
    run = subprocess.Popen(
        [sys.executable, '-m', 'avdet_ros.cli.main', *command], stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 120
        while not list((tmp_path / 'set').glob('*.part/parameters.json')):  # its sound is next
            assert run.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        workers = psutil.Process(run.pid).children(recursive=True)
    finally:
        run.kill()
        run.wait()
    assert workers
    assert psutil.wait_procs(workers, timeout=5)[1] == []
    assert not list((tmp_path / 'set').glob('*.part/drive.flac'))


@pytest.mark.slow
def test_foreign_folder_and_changed_settings_are_rejected(written: Path, tmp_path: Path) -> None:
    (tmp_path / 'letter.txt').write_text('dear')
    with pytest.raises(AvdetError, match='expected a new or empty folder'):
        prepare(tmp_path, PLAN)
    with pytest.raises(AvdetError, match=r'holds a run with fps 1\.0: expected 2\.0'):
        prepare(written, replace(PLAN, fps=2.0))
    with pytest.raises(AvdetError, match='minutes: expected'):
        replace(PLAN, minutes=0.0)
    with pytest.raises(AvdetError, match='fps: expected'):
        replace(PLAN, fps=float('nan'))


@pytest.mark.slow
def test_estimated_size_is_near_actual_size(written: Path) -> None:
    real = sum(path.stat().st_size for path in written.rglob('*') if path.is_file())
    assert 0.6 * real < PLAN.needed_bytes() < 2.0 * real


def test_splits_are_by_drive_with_separate_seeds() -> None:
    for count in (1, 2, 3, 10, 40, 101):
        drives = plan_drives(replace(PLAN, drives=count))
        assert len({drive.name for drive in drives}) == count
        assert len({drive.scene_seed for drive in drives}) == count
        for drive in drives:
            assert drive.scene_seed // 100_000 == layout.SPLITS.index(drive.split)
            assert ('night' in drive.name) == drive.night
    counts = Counter(drive.split for drive in plan_drives(Plan()))
    assert counts == {'train': 24, 'val': 8, 'test': 8}
    nights = Counter((drive.split, drive.night) for drive in plan_drives(Plan()))
    assert nights['test', True] == nights['test', False] == 4


@pytest.mark.slow
def test_clean_variant_is_the_same_drive(tmp_path: Path) -> None:
    plan = replace(PLAN, drives=1, clips=False, clean_too=True)
    drive = plan_drives(plan)[0]
    write_drive(tmp_path, plan, drive)
    corrupted, rate = soundfile.read(tmp_path / drive.name / 'drive.flac')
    clean, _ = soundfile.read(tmp_path / drive.name / 'drive_clean.flac')
    assert rate == 44100
    assert clean.shape == corrupted.shape
    assert not np.array_equal(clean, corrupted)
    assert not (tmp_path / drive.name / 'audio').joinpath('audio_0').exists()
    bad, _ = make_scene(plan, drive, None)
    good, _ = make_scene(plan, drive, None, clean=True)
    np.testing.assert_array_equal(bad.truth(1.0).boxes_px, good.truth(1.0).boxes_px)
    assert np.any(bad.corruption.gain_db)
    assert not np.any(good.corruption.gain_db)


@pytest.mark.slow
def test_card_counts_written_drives_and_frames(written: Path) -> None:
    write_card(written, PLAN, 'avdet sim drives set')
    card = (written / 'DATASET_CARD.md').read_text()
    assert '3 drives of 0.05 min, 9 frames' in card
    for drive in plan_drives(PLAN):
        assert f'| {drive.name} | {drive.split} |' in card
