from dataclasses import replace
import shutil

import cv2
import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.data.labelled_frames import FrameSet, LabelledFrame
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.efficientdet import fit_teacher, load_teacher

RECIPE = TeacherRecipe('thermal', 'tf_efficientdet_lite0', (128, 256), epochs=2, batch=4)
ONCE = replace(RECIPE, image_size=(128, 128), epochs=1)


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    rng = np.random.default_rng(0)
    found = []
    for index in range(12):
        picture = rng.normal(60, 5, (65, 192)).clip(0, 255).astype(np.uint8)
        x, y = rng.integers(25, 120), rng.integers(5, 35)
        picture[y : y + 20, x : x + 40] = 220
        cv2.imwrite(str(folder / f'{index}.png'), picture)
        boxes = np.array([[x, y, x + 40, y + 20]], np.float32)
        found.append(LabelledFrame(folder / f'{index}.png', boxes))
    return found


@pytest.fixture(scope='module')
def trained_once(frames, tmp_path_factory):
    """A teacher after one epoch on four small pictures; tests must copy it before changing it."""
    folder = tmp_path_factory.mktemp('teacher')
    fit_teacher(ONCE, frames[:4], frames[8:], folder)
    return folder


@pytest.mark.slow
def test_teacher_is_trained_resumed_and_predicts(frames, tmp_path):
    fit_teacher(RECIPE, frames[:8], frames[8:], tmp_path)
    first = torch.load(tmp_path / 'checkpoints/last.ckpt', weights_only=True)
    assert first['epoch'] == 1
    longer = TeacherRecipe(**{**RECIPE.__dict__, 'epochs': 3})
    fit_teacher(longer, frames[:8], frames[8:], tmp_path)
    again = torch.load(tmp_path / 'checkpoints/last.ckpt', weights_only=True)
    assert again['epoch'] == 2
    assert again['global_step'] == first['global_step'] * 3 // 2

    teacher = load_teacher(tmp_path)
    assert teacher.modality == 'thermal'
    picture, _ = FrameSet(frames, 'thermal', (128, 256))[0]
    (output,) = teacher.predict(picture[None])
    sizes = [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]
    assert [level.shape for level in output.attention] == sizes
    assert all(level.min() >= 0 for level in output.attention)
    assert output.embedding.shape == (5, 64)
    assert output.features.shape == (64, 4, 8)


def test_missing_frames_or_teacher_and_unknown_modality_are_rejected(frames, tmp_path):
    with pytest.raises(AvdetError, match='validation frames'):
        fit_teacher(RECIPE, frames, [], tmp_path)
    with pytest.raises(AvdetError, match='train teacher'):
        load_teacher(tmp_path)
    with pytest.raises(AvdetError, match='found lidar'):
        fit_teacher(TeacherRecipe('lidar'), frames, frames, tmp_path)


def test_teacher_folder_of_other_settings_is_rejected(frames, trained_once):
    for other, learn, key in (
        (replace(ONCE, anchor_scale=2.0), frames[:4], 'anchor_scale: expected 2.0, found 4.0'),
        (replace(ONCE, crop=False), frames[:4], 'crop: expected False, found True'),
        (ONCE, frames[:3], 'frames: expected .3 of .*found .4 of'),
    ):
        with pytest.raises(AvdetError, match=key):
            fit_teacher(other, learn, frames[8:], trained_once)


@pytest.mark.slow
def test_initial_weights_that_do_not_fit_are_logged(frames, trained_once, tmp_path, log_lines):
    other = replace(ONCE, modality='rgb')
    fit_teacher(other, frames[:4], frames[8:], tmp_path, trained_once / 'teacher.pt')
    assert 'backbone.conv_stem.weight' in '\n'.join(log_lines)


def test_teacher_file_with_another_class_count_is_rejected(trained_once, tmp_path):
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    path = tmp_path / 'teacher.pt'
    state = torch.load(path, weights_only=True)
    name = next(name for name in state if 'class_net.predict' in name and name.endswith('bias'))
    torch.save({**state, name: torch.zeros(9 * 90)}, path)
    with pytest.raises(AvdetError, match=rf'teacher\.pt: .*finished teacher, .*{name}'):
        load_teacher(tmp_path)
