"""Windows of drives are read in the same way for every source of labels."""

from __future__ import annotations

import json
import os
from pathlib import Path
import shutil

import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import cache_sound
from avdet_ros.dataset.label_filter import (
    KEEP,
    OPEN,
    ROAD,
    FilteredFrame,
    filter_path,
    write_filtered,
)
from avdet_ros.dataset.labels import LABELS, DriveLabels, write_labels
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.drives import drive_windows

SIZE = (1920, 650)


@pytest.fixture(scope='module')
def cached(drives, tmp_path_factory):
    """A copy of the drives with features, and the training frames."""
    root = tmp_path_factory.mktemp('cached') / 'drives'
    shutil.copytree(drives, root, ignore=shutil.ignore_patterns('features'))
    frames = read_split(root, 0.0).train
    cache_sound(root, by_drive(frames), 'window', load_rig())
    return root, frames


@pytest.fixture
def editable(cached, tmp_path):
    """Drives whose labels a test may change; their large files are links to `cached`."""
    root, frames = cached
    shutil.copytree(root, tmp_path / 'drives', copy_function=copy_or_link)
    return tmp_path / 'drives', frames


def copy_or_link(source, target):
    (shutil.copy2 if Path(source).suffix in ('.txt', '.json', '.jsonl') else os.link)(
        source, target
    )


def truth_lines(root, drive: str) -> tuple:
    path = root / drive / 'truth' / 'frames.jsonl'
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path, lines) -> None:
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n')


def write_teachers(root, frames, boxes: int, skipped=()) -> None:
    """Write labels of two teachers with the same boxes in every frame except skipped ones."""
    for drive, members in by_drive(frames).items():
        kept = [frame for frame in members if frame not in skipped]
        count = len(kept)
        left = np.arange(boxes, dtype=np.float32) * 60
        row = np.stack([left, np.full(boxes, 100), left + 40, np.full(boxes, 140)], axis=1)
        labels = DriveLabels(
            ids=np.array([frame.stamp for frame in kept]),
            teachers=('rgb', 'thermal'),
            boxes_px=np.tile(row, (2 * count, 1)).astype(np.float32),
            scores=np.full(2 * count * boxes, 0.9, np.float32),
            frame=np.tile(np.repeat(np.arange(count, dtype=np.int32), boxes), 2),
            teacher=np.repeat(np.arange(2, dtype=np.int8), count * boxes),
            attention=np.ones((count, 2, 8), np.float16),
            attention_sizes=np.array([[2, 4]] * 5, np.int32),
            embedding=np.zeros((count, 2, 5, 3), np.float16),
            features=np.zeros((count, 2, 3, 2, 4), np.float16),
            skipped=np.array([frame.stamp for frame in members if frame in skipped], 'U64'),
        )
        write_labels(root / LABELS / f'{drive}.npz', labels)


@pytest.mark.parametrize('source', ['truth', 'teachers'])
def test_frames_with_many_vehicles_keep_all_labels(editable, source):
    """More vehicles than a simulated window can hold are all kept."""
    root, frames = editable
    boxes = 30
    write_teachers(root, frames, boxes)
    path, lines = truth_lines(root, frames[0].drive)
    for line in lines:
        for key, item in line.items():
            if isinstance(item, list):
                line[key] = [item[0]] * boxes
    write_lines(path, lines)
    windows = drive_windows(root, frames[:8], 'window', SIZE, source)
    assert [len(box) for box in windows.boxes] == [boxes] * 8


def test_labels_without_teacher_embeddings_are_rejected(editable):
    root, frames = editable
    write_teachers(root, frames, boxes=1)
    path = root / LABELS / f'{frames[0].drive}.npz'
    with np.load(path) as file:
        arrays = dict(file)
    arrays['embedding'] = arrays['embedding'][..., :0]
    path.unlink()
    np.savez(path, **arrays)
    drive_windows(root, frames, 'window', SIZE, 'teachers')
    with pytest.raises(
        AvdetError, match=r"the teachers' embedding of every frame.*avdet train la"
    ):
        drive_windows(root, frames, 'window', SIZE, 'truth', needs=('attention', 'embedding'))


@pytest.mark.parametrize('needs', [(), ('attention',)])
def test_frame_without_truth_is_logged_and_counted(editable, needs, log_lines):
    root, frames = editable
    write_teachers(root, frames, 1)
    path, lines = truth_lines(root, frames[0].drive)
    write_lines(path, lines[1:])
    windows = drive_windows(root, frames, 'window', SIZE, 'truth', needs=needs)
    assert len(windows) == 31
    assert str(frames[0]) not in windows.names
    named = [line for line in log_lines if 'skipped:' in line]
    assert len(named) == 1
    assert str(frames[0]) in named[0]
    assert log_lines[-1].endswith('1 of 32 frames skipped')
    write_lines(path, lines[3:])
    with pytest.raises(AvdetError, match='at most 5% of 32 frames to be unusable, found 2'):
        drive_windows(root, frames, 'window', SIZE, 'truth', needs=needs)


def test_frame_skipped_by_the_teachers_is_only_counted(editable, log_lines):
    root, frames = editable
    write_teachers(root, frames, 1, skipped=frames[2:3])
    log_lines.clear()
    windows = drive_windows(root, frames, 'window', SIZE, 'teachers')
    assert len(windows) == 31
    assert log_lines == [f'labels of {root}: 1 of 32 frames skipped']


def test_boxes_are_fused_once_per_frame(editable, monkeypatch):
    """Only boxes of the training teachers are fused; evaluation fuses its own reference labels."""
    root, frames = editable
    write_teachers(root, frames, 1)
    fused, real = [], DriveLabels.fused_rows

    def count(self, index, names):
        fused.append(tuple(names))
        return real(self, index, names)

    monkeypatch.setattr(DriveLabels, 'fused_rows', count)
    drive_windows(root, frames, 'window', SIZE, 'teachers', teachers=['rgb'], needs=('attention',))
    assert fused == [('rgb',)] * len(frames)


def test_maps_of_the_chosen_teachers_are_read_with_the_labels(editable):
    root, frames = editable
    write_teachers(root, frames, 2)
    windows = drive_windows(
        root, frames, 'window', SIZE, 'teachers', None, ['thermal'], ('attention', 'features')
    )
    assert np.asarray(windows.attention[3]).shape == (1, 8)
    assert np.asarray(windows.teacher_features[3]).shape == (1, 3, 2, 4)
    assert len(windows.embedding) == 0
    assert windows.level_sizes.tolist() == [[2, 4]] * 5
    np.testing.assert_allclose(
        windows.boxes[0] * [1920, 650, 1920, 650], [[0, 100, 40, 140], [60, 100, 100, 140]], 1e-5
    )


def test_drives_without_labels_are_rejected(editable):
    root, frames = editable
    with pytest.raises(AvdetError, match='expected a file made by avdet train label, found none'):
        drive_windows(root, frames, 'window', SIZE, 'teachers')
    shutil.rmtree(root / frames[0].drive / 'truth')
    with pytest.raises(AvdetError, match=r'expected .*truth.frames\.jsonl, found none; avdet'):
        drive_windows(root, frames, 'window', SIZE, 'truth')
    assert layout.is_dataset(root)
    assert not layout.is_dataset(root / frames[0].drive)


def test_filter_keeps_some_labels_and_leaves_others_open(editable):
    root, frames = editable
    write_teachers(root, frames, 3)
    drives = by_drive(frames)
    strip = np.float32([[960, 0, 1056, 650]])
    boxes = np.float32([[0, 100, 40, 140], [60, 100, 100, 140], [120, 100, 160, 140]])
    its = FilteredFrame(
        boxes, np.array([KEEP, OPEN, ROAD], np.int8), np.full(3, np.nan, np.float32), strip
    )
    for drive, members in drives.items():
        path = filter_path(root / LABELS, 'oracle', drive)
        write_filtered(path, {frame.stamp: its for frame in members})
    filtered = {'source': 'teachers', 'label_filter': 'oracle'}
    windows = drive_windows(root, frames, 'window', SIZE, **filtered)
    scale = np.tile(np.float32(SIZE), 2)
    np.testing.assert_allclose(windows.boxes[0] * scale, boxes[:1], atol=1e-3)
    np.testing.assert_allclose(windows.open_areas[0] * scale, [boxes[1], strip[0]], atol=1e-3)
    batch = windows.batch([0, 1])
    assert [len(area) for area in batch.open_areas] == [2, 2]
    assert len(windows.select([3]).open_areas) == 1
    write_filtered(filter_path(root / LABELS, 'oracle', next(iter(drives))), {})
    with pytest.raises(AvdetError, match='among those that the filter oracle knows'):
        drive_windows(root, frames, 'window', SIZE, **filtered)
    write_teachers(root, frames, 2)
    with pytest.raises(AvdetError, match='labels are newer'):
        drive_windows(root, frames[8:], 'window', SIZE, **filtered)
