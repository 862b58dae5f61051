"""The small teacher is trained, saved and opened like the EfficientDets."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from avdet_ros.training.data.labelled_frames import LabelledFrame
from avdet_ros.training.registries import TEACHERS
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.efficientdet import fitting_precision
from avdet_ros.training.teachers.labelling import open_teachers


def test_centre_points_teacher_is_fitted_and_reopened(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for index in range(4):
        picture = rng.integers(0, 60, (65, 192), np.uint8)
        picture[20:50, 60:120] = 240
        path = tmp_path / f'{index}.png'
        cv2.imwrite(str(path), picture)
        frames.append(LabelledFrame(path, np.array([[60, 20, 120, 50]], np.float32)))
    recipe = TeacherRecipe('thermal', image_size=(64, 192), crop=False, epochs=1, batch=2)
    folder = tmp_path / 'teachers' / 'thermal'
    taught = TEACHERS.find('centre_points').fit(recipe, frames, frames[:1], folder)
    (opened,) = open_teachers(tmp_path / 'teachers', ['thermal'], 0.3, 'centre_points').values()
    assert opened.fingerprint
    picture = torch.rand(1, 1, 64, 192)
    assert len(opened.predict(picture)[0].attention) == 5
    ours, theirs = (teacher.detector.cpu()(picture).grid for teacher in (taught, opened))
    torch.testing.assert_close(ours, theirs)


def test_fitting_precision_is_bf16_on_cpu_and_fp16_on_cuda(monkeypatch):
    recipe = TeacherRecipe('rgb', bfloat16=True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert fitting_precision(recipe) == 'bf16-mixed'
    assert fitting_precision(TeacherRecipe('rgb')) == '32-true'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert fitting_precision(recipe) == '16-mixed'
