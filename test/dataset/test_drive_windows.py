from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.drive_windows import WINDOWS, make_drive_windows
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.training.data.simulated import map_windows


@pytest.fixture
def own(drives, tmp_path):
    root = tmp_path / 'drives'
    shutil.copytree(drives, root, ignore=shutil.ignore_patterns('features', WINDOWS))
    return root


def quiet(line: str) -> None:
    """Nobody listens."""


def shards(root, split: str) -> list[str]:
    return sorted(path.name for path in (root / WINDOWS / split).glob('*.npz'))


def test_windows_are_made_once_a_drive(own):
    rig = load_rig()
    make_drive_windows(own, rig, quiet)
    names = {frame.drive for frame in layout.read_ids(layout.split_path(own, 'train'))}
    assert shards(own, 'train') == sorted(f'windows_{name}.npz' for name in names)
    assert len(map_windows(own / WINDOWS / 'train', rig)) == 8 * len(names)
    make_drive_windows(own, rig, pytest.fail)


def test_split_files_that_change_move_drives(own):
    rig = load_rig()
    make_drive_windows(own, rig, quiet)
    train, val = (layout.read_ids(layout.split_path(own, split)) for split in ('train', 'val'))
    moved = [frame for frame in train if frame.drive == train[0].drive]
    layout.write_ids(layout.split_path(own, 'train'), [f for f in train if f not in moved])
    layout.write_ids(layout.split_path(own, 'val'), val[:-2] + moved)
    make_drive_windows(own, rig, quiet)
    assert f'windows_{train[0].drive}.npz' not in shards(own, 'train')
    assert f'windows_{train[0].drive}.npz' in shards(own, 'val')
    assert len(map_windows(own / WINDOWS / 'val', rig)) == len(val) - 2 + len(moved)


def test_a_frame_without_sound_or_truth_is_named_and_left_out(own):
    rig = load_rig()
    (frame, *_), (other, *_) = (
        layout.read_ids(layout.split_path(own, split)) for split in ('train', 'test')
    )
    truth = own / frame.drive / 'truth' / 'frames.jsonl'
    lines = [line for line in truth.read_text().splitlines() if frame.stamp not in line]
    truth.write_text('\n'.join(lines) + '\n')
    said: list[str] = []
    make_drive_windows(own, rig, said.append)
    assert sum('skipped:' in line and str(frame) in line for line in said) == 1
    assert 'windows: 1 of 48 frames skipped' in said
    with np.load(own / WINDOWS / 'train' / f'windows_{frame.drive}.npz') as file:
        assert file['skipped'].tolist() == [frame.stamp]
        assert len(file['features']) == len(file['ids']) == 7
    make_drive_windows(own, rig, lambda line: pytest.fail(line) if 'skipped:' in line else None)
    truth = own / other.drive / 'truth' / 'frames.jsonl'
    truth.write_text('\n'.join(truth.read_text().splitlines()[3:]) + '\n')
    with pytest.raises(AvdetError, match='at most 5% of 48 frames to be unusable, found 3'):
        make_drive_windows(own, rig, quiet)


def test_a_drive_of_another_rig_is_refused_though_its_windows_are_there(own):
    make_drive_windows(own, load_rig(), quiet)
    (name, *_) = (frame.drive for frame in layout.read_ids(layout.split_path(own, 'val')))
    text = default_rig_path().read_text().replace('[ 0.250000,', '[ 0.300000,')
    (own / name / 'rig.yaml').write_text(text)
    with pytest.raises(AvdetError, match=rf'{name}.rig\.yaml: microphones_m: .*use --rig'):
        make_drive_windows(own, load_rig(), quiet)


def test_windows_of_another_camera_are_refused(own):
    rig = load_rig()
    make_drive_windows(own, rig, quiet)
    path = own / WINDOWS / 'val' / 'windows.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'focal_px': [500, 500]}))
    with pytest.raises(AvdetError, match=r'windows\.json: focal_px: expected .*--rig'):
        map_windows(own / WINDOWS / 'val', rig)


def test_truth_that_is_replaced_by_an_older_file_is_taken(own):
    rig = load_rig()
    make_drive_windows(own, rig, quiet)
    (name, *_) = (frame.drive for frame in layout.read_ids(layout.split_path(own, 'val')))
    truth = own / name / 'truth' / 'frames.jsonl'
    truth.write_text(truth.read_text().replace('"label": [true', '"label": [false'))
    os.utime(truth, (1e9, 1e9))
    make_drive_windows(own, rig, quiet)
    with np.load(own / WINDOWS / 'val' / f'windows_{name}.npz') as file:
        assert not file['count'].any()
