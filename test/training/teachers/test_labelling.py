from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.main import app
from avdet_ros.dataset import layout
from avdet_ros.dataset.features import write_features
from avdet_ros.dataset.labels import read_labels, write_labels
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.training.data.drives import drive_windows
from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher, save_teacher
from avdet_ros.training.teachers.label_folder import read_about
from avdet_ros.training.teachers.labelling import label_drive, label_drives, open_teachers

SIZE = (128, 256)


@pytest.fixture(scope='module')
def teachers(tmp_path_factory):
    """Untrained teachers that detect something everywhere."""
    import torch

    folder = tmp_path_factory.mktemp('teachers')
    for modality, channels in (('rgb', 3), ('thermal', 1)):
        torch.manual_seed(0)
        detector = EfficientDetector('tf_efficientdet_lite0', channels, SIZE)
        with torch.no_grad():
            detector.network.class_net.predict.conv_pw.bias += 4.1
        recipe = TeacherRecipe(modality, 'tf_efficientdet_lite0', SIZE, crop=False)
        save_teacher(EfficientDetTeacher(detector, modality), recipe, folder / modality)
    return folder


@pytest.fixture
def val_drives(drives, tmp_path):
    root = tmp_path / 'drives'
    shutil.copytree(drives, root)
    return root, by_drive(read_split(root, 0.0).val)


def label(root, drives, teachers, out, names=('rgb', 'thermal')):
    opened = open_teachers(teachers, names)
    label_drives(root, drives, opened, out, crop=False)


@pytest.mark.slow
def test_drives_are_labelled_once_and_the_labels_are_kept(val_drives, teachers, tmp_path):
    root, drives = val_drives
    (name,) = drives
    out = tmp_path / 'labels'
    label(root, drives, teachers, out)
    labels = read_labels(out / f'{name}.npz')
    assert labels.teachers == ('rgb', 'thermal')
    assert labels.ids.tolist() == [frame.stamp for frame in drives[name]]
    assert labels.attention.shape == (8, 2, labels.attention_sizes.prod(axis=1).sum())
    assert labels.attention_sizes.tolist()[0] == [16, 32]
    assert labels.attention.max() == 1
    assert len(labels.boxes_px)
    assert labels.boxes_px.min() >= 0
    assert labels.boxes_px[:, 2].max() <= 1920
    assert labels.boxes_px[:, 3].max() <= 650
    assert read_about(out)['image_size'] == SIZE
    assert not read_about(out)['crop']
    mapped = read_labels(out / f'{name}.npz', mapped=True)
    assert isinstance(mapped.attention, np.memmap)
    np.testing.assert_array_equal(mapped.features[3], labels.features[3])
    written = (out / f'{name}.npz').stat().st_mtime_ns
    label(root, drives, teachers, out)
    assert (out / f'{name}.npz').stat().st_mtime_ns == written


@pytest.mark.slow
def test_labels_of_other_teachers_are_replaced(val_drives, teachers, tmp_path, log_lines):
    root, drives = val_drives
    out = tmp_path / 'labels'
    label(root, drives, teachers, out, names=('rgb',))
    log_lines.clear()
    label(root, drives, teachers, out)
    assert 'labels of other teachers' in log_lines[0]
    assert read_labels(out / f'{next(iter(drives))}.npz').teachers == ('rgb', 'thermal')


@pytest.mark.slow
def test_broken_pictures_are_reported_and_skipped_up_to_a_limit(
    val_drives, teachers, tmp_path, log_lines
):
    root, drives = val_drives
    (frames,) = drives.values()
    broken = layout.picture_path(root, frames[4], 'thermal')
    broken.write_bytes(b'no picture')
    label(root, drives, teachers, tmp_path / 'labels')
    assert any(str(broken) in line and 'skipped' in line for line in log_lines)
    assert frames[4].stamp not in read_labels(next((tmp_path / 'labels').glob('*.npz'))).ids
    log_lines.clear()
    label(root, drives, teachers, tmp_path / 'labels')
    assert not log_lines
    layout.picture_path(root, frames[5], 'thermal').write_bytes(b'no picture')
    with pytest.raises(AvdetError, match='at most 5% of 8 frames to be unusable, found 2'):
        label(root, drives, teachers, tmp_path / 'others')


def test_labelling_uses_the_crop_setting_of_the_teachers(val_drives, teachers, tmp_path):
    root, drives = val_drives
    opened = open_teachers(teachers, ['rgb'])
    label_drives(root, drives, opened, tmp_path / 'labels')
    assert not read_about(tmp_path / 'labels')['crop']
    with pytest.raises(AvdetError, match='taught with the crop, found one taught without'):
        label_drives(root, drives, opened, tmp_path / 'labels', crop=True)


def test_custom_teacher_can_label_drives(val_drives, bright_spots, tmp_path):
    root, drives = val_drives
    out = tmp_path / 'labels'
    label_drives(root, drives, {'rgb': bright_spots}, out)
    assert read_about(out)['teachers'] == {'rgb': 'bright spots'}
    for name, frames in drives.items():
        labels, truth = read_labels(out / f'{name}.npz'), layout.read_truth(root, name)
        for index, frame in enumerate(frames):
            (box,) = labels.fused(index, ['rgb']).boxes_px
            np.testing.assert_allclose(box, truth[frame.stamp]['boxes_px'][0], atol=8)


@pytest.mark.slow
def test_finished_labelling_is_not_repeated(val_drives, teachers, tmp_path, log_lines):
    """The share of skipped frames is that of all frames, also in later runs."""
    root, _ = val_drives
    drives = by_drive(read_split(root, 0.0).train)
    assert sum(map(len, drives.values())) == 32
    frames = next(iter(drives.values()))
    for frame in frames[:1]:
        layout.picture_path(root, frame, 'thermal').write_bytes(b'no picture')
    out = tmp_path / 'labels'
    label(root, drives, teachers, out)
    assert read_labels(out / f'{frames[0].drive}.npz').skipped.tolist() == [frames[0].stamp]
    log_lines.clear()
    label(root, drives, teachers, out)
    assert not log_lines
    (out / f'{frames[0].drive}.npz').unlink()
    label(root, drives, teachers, out)
    assert log_lines[-1] == 'labels: 1 of 32 frames skipped'


def test_folder_with_other_files_is_rejected_and_unchanged(val_drives, teachers, tmp_path):
    root, drives = val_drives
    mine = tmp_path / 'run' / 'evaluation.npz'
    mine.parent.mkdir()
    mine.write_bytes(b'mine')
    with pytest.raises(AvdetError, match=r'other files, such as evaluation\.npz'):
        label(root, drives, teachers, mine.parent)
    assert mine.read_bytes() == b'mine'


def test_missing_or_incompatible_teachers_are_rejected(teachers, tmp_path):
    with pytest.raises(AvdetError, match='expected a teacher made by avdet train teacher'):
        open_teachers(teachers, ['depth'])
    shutil.copytree(teachers, tmp_path / 'mixed')
    shutil.move(tmp_path / 'mixed' / 'rgb', tmp_path / 'mixed' / 'depth')
    with pytest.raises(AvdetError, match='expected a teacher for depth, found one for rgb'):
        open_teachers(tmp_path / 'mixed', ['depth'])
    shutil.copytree(teachers / 'thermal', tmp_path / 'sized' / 'thermal')
    shutil.copytree(teachers / 'rgb', tmp_path / 'sized' / 'rgb')
    about = tmp_path / 'sized' / 'rgb' / 'teacher.json'
    about.write_text(json.dumps({**json.loads(about.read_text()), 'image_size': [256, 256]}))
    with pytest.raises(AvdetError, match='one input size, found 128 x 256 and 256 x 256'):
        open_teachers(tmp_path / 'sized', ['rgb', 'thermal'])


def test_teacher_weights_of_another_network_are_rejected(teachers, tmp_path):
    shutil.copytree(teachers, tmp_path / 'other')
    about = tmp_path / 'other' / 'rgb' / 'teacher.json'
    tree = {**json.loads(about.read_text()), 'config_name': 'tf_efficientdet_lite1'}
    about.write_text(json.dumps(tree))
    with pytest.raises(AvdetError, match=r'teacher\.pt: expected the layers of this detector'):
        open_teachers(tmp_path / 'other', ['rgb'])


@pytest.mark.slow
def test_label_command_writes_labels_and_rejects_unknown_modalities(
    val_drives, teachers, tmp_path
):
    root, _ = val_drives
    arguments = [
        'train',
        'label',
        str(root),
        '--teachers',
        str(teachers),
        '--modalities',
        'rgb,thermal',
        '--split',
        'val',
        '--no-progress',
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert len(list((root / 'labels').glob('*.npz'))) == 1
    assert 'thermal' in result.output
    wrong = CliRunner().invoke(app, [*arguments[:5], '--modalities', 'lidar'])
    assert 'expected some of rgb, depth, thermal, found lidar' in str(wrong.exception)


@pytest.mark.slow
def test_teacher_command_trains_and_resumes(drives, tmp_path):
    out = tmp_path / 'thermal'
    arguments = [
        'train',
        'teacher',
        str(drives),
        '--modality',
        'thermal',
        '--out',
        str(out),
        '--config',
        'tf_efficientdet_lite0',
        '--height',
        '128',
        '--width',
        '256',
        '--no-crop',
        '--no-progress',
        '--batch',
        '4',
    ]
    result = CliRunner().invoke(app, [*arguments, '--epochs', '1'])
    assert result.exit_code == 0, result.output
    assert 'learns from 8 frames, 8 watch' in result.output
    (out / 'teacher.pt').unlink()
    again = CliRunner().invoke(app, [*arguments, '--epochs', '2'])
    assert again.exit_code == 0, again.output
    assert (out / 'teacher.pt').exists()
    wrong = CliRunner().invoke(app, [*arguments, '--epochs', '0'])
    assert 'expected 1 to 10000, found 0' in str(wrong.exception)


@pytest.mark.slow
def test_teacher_command_accepts_coco_annotations(drives, tmp_path):
    split = read_split(drives, 0.0)
    tree = {'categories': [{'id': 1, 'name': 'car'}], 'images': [], 'annotations': []}
    for index, frame in enumerate(split.train[:10]):
        path = layout.picture_path(drives, frame, 'rgb').relative_to(drives)
        tree['images'].append({'id': index, 'file_name': str(path)})
        x0, y0, x1, y1 = layout.read_truth(drives, frame.drive)[frame.stamp]['boxes_px'][
            0
        ].tolist()
        box = [x0, y0, x1 - x0, y1 - y0]
        tree['annotations'].append({'image_id': index, 'category_id': 1, 'bbox': box})
    (tmp_path / 'coco.json').write_text(json.dumps(tree))
    result = CliRunner().invoke(
        app,
        [
            'train',
            'teacher',
            str(drives),
            '--modality',
            'rgb',
            '--out',
            str(tmp_path / 'rgb'),
            '--coco',
            str(tmp_path / 'coco.json'),
            '--config',
            'tf_efficientdet_lite0',
            '--height',
            '128',
            '--width',
            '256',
            '--no-crop',
            '--no-progress',
            '--epochs',
            '1',
            '--batch',
            '4',
        ],
    )
    assert result.exit_code == 0, result.output
    assert 'learns from 8 frames, 2 watch' in result.output


def test_unreadable_drive_has_empty_labels(val_drives, bright_spots, tmp_path):
    root, drives = val_drives
    ((name, frames),) = drives.items()
    others = list(read_split(root, 0.0).test)
    for frame in frames:
        layout.picture_path(root, frame, 'rgb').write_bytes(b'no picture')
    (root / name / layout.DRIVE_SOUND).unlink()
    skipped = Skipped('labels', 1000)
    front_end, out = FrontEnd(), tmp_path / 'labels'
    for drive, members in ((name, frames), (others[0].drive, others)):
        labels = label_drive(root, members, {'rgb': bright_spots}, False, skipped)
        write_labels(out / f'{drive}.npz', labels)
        write_features(root, drive, members, 'window', front_end)
    assert skipped.count == len(frames)
    assert len(read_labels(out / f'{name}.npz', mapped=True)) == 0
    every = [*others, *frames]
    windows = drive_windows(
        root, every, 'window', (1920, 650), 'teachers', out, ['rgb'], ['attention']
    )
    assert windows.names == [str(frame) for frame in others]
    assert windows.level_sizes.tolist() == [[4, 8]] * 5
