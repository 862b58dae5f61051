from __future__ import annotations

from dataclasses import replace
import shutil

import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.splits import (
    DriveSplit,
    by_drive,
    keep_split,
    note_drives,
    read_split,
    share_drives,
    without_taught,
)
from avdet_ros.errors import AvdetError
from avdet_ros.training.data.labelled_frames import true_frames


@pytest.fixture
def copied_drives(drives, tmp_path):
    """A copy of the drives that a test may modify."""
    root = tmp_path / 'drives'
    shutil.copytree(drives, root)
    return root


def test_no_drive_is_used_twice(drives):
    split = read_split(drives, 0.5)
    used = [
        set(by_drive(getattr(split, use))) for use in ('teach', 'watch', 'train', 'val', 'test')
    ]
    assert [len(names) for names in used] == [1, 1, 2, 1, 1]
    assert len(set.union(*used)) == sum(map(len, used))
    assert len(split.student) == 4 * 8
    whole = read_split(drives, 0.0)
    assert not whole.teach
    assert len(by_drive(whole.train)) == 4


def test_teachers_get_day_and_night_drives():
    names = [f'drive_{light}_{day}' for day in range(10) for light in ('day', 'night')]
    teachers, students = share_drives(names, 0.4)
    assert (
        sum('day' in name for name in teachers) == sum('night' in name for name in teachers) == 4
    )
    assert sorted(teachers + students) == sorted(names)
    assert len(share_drives(['drive_day_1', 'drive_night_1', 'drive_night_2'], 0.1)[0]) == 2


def test_folder_without_mavd_layout_is_rejected(tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    with pytest.raises(AvdetError, match=r'MAVD layout with train_all\.txt, found 1 other'):
        read_split(tmp_path, 0.5)
    with pytest.raises(AvdetError, match='expected a folder of drives, found none'):
        read_split(tmp_path / 'nowhere', 0.5)


def test_missing_frame_is_logged_skipped_and_counted(copied_drives, log_lines):
    frame = layout.read_ids(layout.split_path(copied_drives, 'train'))[3]
    layout.picture_path(copied_drives, frame, 'rgb').unlink()
    split = read_split(copied_drives, 0.0)
    assert len(split.train) == 31
    assert any(str(frame) in line and 'skipped' in line for line in log_lines)
    assert any('1 of 32 frames skipped' in line for line in log_lines)


def test_split_file_of_missing_frames_is_rejected(copied_drives):
    path = layout.split_path(copied_drives, 'val')
    ids = layout.read_ids(path)
    path.write_text(''.join(f'drive_day_1999/{frame.stamp}\n' for frame in ids))
    with pytest.raises(AvdetError, match=r'val_all\.txt: expected at most 5% of 8 frames'):
        read_split(copied_drives, 0.0)


def test_sound_is_not_required_when_need_sound_is_false(copied_drives):
    for drive in copied_drives.glob('drive_*'):
        (drive / layout.DRIVE_SOUND).unlink(missing_ok=True)
        shutil.rmtree(drive / 'audio', ignore_errors=True)
    with pytest.raises(AvdetError, match='or an MP3, found none'):
        read_split(copied_drives, 0.5)
    assert len(read_split(copied_drives, 0.5, need_sound=False).student) == 4 * 8


def test_too_few_drives_for_teachers_are_rejected(copied_drives):
    ids = layout.read_ids(layout.split_path(copied_drives, 'train'))
    first = [frame for frame in ids if frame.drive in sorted(by_drive(ids))[:2]]
    layout.write_ids(layout.split_path(copied_drives, 'train'), first)
    with pytest.raises(AvdetError, match=r'expected at least 3 drives.*found 2'):
        read_split(copied_drives, 0.5)
    assert read_split(copied_drives, 0.0).train


def test_drive_in_two_splits_causes_a_warning(copied_drives, log_lines):
    ids = layout.read_ids(layout.split_path(copied_drives, 'train'))
    layout.write_ids(layout.split_path(copied_drives, 'test'), ids[:8])
    read_split(copied_drives, 0.0)
    assert any('in train and in test' in line for line in log_lines)


def test_teachers_learn_from_visible_vehicles_only(drives):
    split = read_split(drives, 0.5)
    frames = true_frames(drives, split.teach, 'thermal')
    assert len(frames) == 8
    assert all(frame.boxes_px.shape == (1, 4) for frame in frames)
    assert all(frame.path.suffix == '.png' for frame in frames)
    assert np.all(frames[0].boxes_px[:, 2] - frames[0].boxes_px[:, 0] == 300)


def test_error_without_truth_suggests_trained_teachers(copied_drives):
    split = read_split(copied_drives, 0.5)
    shutil.rmtree(copied_drives / split.teach[0].drive / 'truth')
    with pytest.raises(AvdetError, match=r'avdet train teacher --coco.*teachers\.folder'):
        true_frames(copied_drives, split.teach, 'rgb')


def test_student_skips_training_drives_of_given_teachers(drives, tmp_path, log_lines):
    taught = read_split(drives, 0.5)
    note_drives(tmp_path / 'rgb', taught.teach + taught.watch)
    whole = read_split(drives, 0.0)
    split = without_taught(whole, [tmp_path / 'rgb', tmp_path / 'elsewhere'])
    assert split.train == taught.train
    assert log_lines == ['2 training drives left out: the teachers learned from them']
    note_drives(tmp_path / 'rgb', whole.train + whole.val)
    with pytest.raises(AvdetError, match=r'teachers\.folder: .* all 4 training drives'):
        without_taught(whole, [tmp_path / 'rgb'])
    (tmp_path / 'rgb' / 'drives.json').write_text('no list')
    with pytest.raises(AvdetError, match=r'drives\.json: expected a list of drives'):
        without_taught(whole, [tmp_path / 'rgb'])


def test_frame_without_truth_is_logged_and_left_out(copied_drives, log_lines):
    split = read_split(copied_drives, 0.5)
    frames = split.teach + split.watch
    truth = copied_drives / frames[0].drive / 'truth' / 'frames.jsonl'
    truth.write_text('\n'.join(truth.read_text().splitlines()[1:]) + '\n')
    assert len(true_frames(copied_drives, frames, 'rgb')) == len(frames) - 1
    assert str(frames[0]) in log_lines[0]
    assert f'1 of {len(frames)} frames skipped' in log_lines[-1]


def test_last_teacher_drives_are_used_to_choose_the_epoch(tmp_path):
    """A fifth of the teachers' drives, at least one, chooses the epoch; the others teach."""
    teachers = [f'drive_day_{number:02d}' for number in range(10)]
    frames = {'train': [], 'val': [], 'test': []}
    for number, name in enumerate([*teachers, 'drive_night_val', 'drive_night_test']):
        split = name.rpartition('_')[2] if name.startswith('drive_night') else 'train'
        frames[split].append(layout.make_id(name, 10**18 + number))
        path = layout.picture_path(tmp_path, frames[split][-1], 'rgb')
        path.parent.mkdir(parents=True)
        path.touch()
        (tmp_path / name / layout.DRIVE_SOUND).touch()
    for split, ids in frames.items():
        layout.write_ids(layout.split_path(tmp_path, split), ids)
    for share, taught, watched in ((0.6, 5, 1), (0.8, 6, 2), (0.2, 1, 1)):
        split = read_split(tmp_path, share)
        names = [list(by_drive(part)) for part in (split.teach, split.watch, split.train)]
        assert [len(part) for part in names] == [taught, watched, 10 - taught - watched]
        assert max(names[0]) < min(names[1])
        assert sorted(name for part in names for name in part) == teachers
    assert split.about('x') == '8 train, 1 val, 1 test frames of the drives in x'
    assert split.student == split.train + split.val + split.test


def test_teacher_drives_are_spread_evenly_over_the_list():
    """Every third day drive and every third night drive, counted separately."""
    names = [f'day_{letter}' for letter in 'abcdef'] + [f'night_{letter}' for letter in 'uvwxyz']
    teachers, students = share_drives(names[::-1], 1 / 3)
    assert teachers == ['day_c', 'day_f', 'night_w', 'night_z']
    assert students == sorted(set(names) - set(teachers))
    assert share_drives(names, 0.0) == ([], sorted(names))
    assert share_drives(names, 1.0) == (sorted(names), [])
    assert share_drives(['night_b', 'day_a', 'night_c'], 0.3) == (
        ['day_a', 'night_b'],
        ['night_c'],
    )
    assert share_drives(['day_a', 'night_c'], 0.3) == (['day_a'], ['night_c'])


def test_teachers_trained_on_evaluation_drives_cause_a_warning(tmp_path, log_lines):
    frames = {
        use: tuple(layout.make_id(f'{use}_{number}', 10**18 + number) for number in range(3))
        for use in ('train', 'val', 'test')
    }
    split = DriveSplit(teach=(), watch=(), **frames)
    note_drives(tmp_path / 'rgb', (*frames['val'][1:], *frames['test'][:1]))
    assert without_taught(split, [tmp_path / 'rgb']) == split
    assert log_lines == [
        'warning: the teachers learned from 3 validation or test drives, the first test_0'
    ]


@pytest.mark.parametrize('pair', [('train', 'val'), ('train', 'test'), ('val', 'test')])
def test_warning_names_two_splits_that_share_drives(copied_drives, log_lines, pair):
    one, other = pair
    ids = layout.read_ids(layout.split_path(copied_drives, one))
    layout.write_ids(layout.split_path(copied_drives, other), ids)
    name = min(frame.drive for frame in ids)
    read_split(copied_drives, 0.0)
    count = len({frame.drive for frame in ids})
    (line,) = log_lines
    assert line == (
        f'warning: {count} drives are in {one} and in {other}, the first {name}: their windows '
        'overlap, so scores will be too good'
    )


def test_run_rejects_other_drives_than_it_began_with(drives, tmp_path):
    split = read_split(drives, 0.5)
    keep_split(tmp_path, split)
    keep_split(tmp_path, replace(split, train=split.train[:-1]))
    more = replace(split, train=split.train + split.teach)
    with pytest.raises(AvdetError, match=r'other drives: train: expected 2, found 3 .*--out'):
        keep_split(tmp_path, more)
    (tmp_path / 'split.json').write_text('[]')
    with pytest.raises(AvdetError, match=r'split\.json: expected drives by use'):
        keep_split(tmp_path, split)
