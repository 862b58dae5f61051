"""Students, teachers, losses and pretexts of an external package can be used in recipes."""

from __future__ import annotations

import importlib
import sys

from helpers.contributing import install
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.base import make_student
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.registries import LOSSES, PRETEXTS, STUDENTS, TEACHERS
from avdet_ros.training.run.pretext import fit_pretext
from avdet_ros.training.run.task import fit_student
from avdet_ros.training.teachers.labelling import open_teachers

RECIPE = """
labels: teachers
student: {model: loudness}
teachers: {model: constant, modalities: [rgb, thermal], folder: ready}
pretext: {task: level, epochs: 1, batch: 8}
transfer: {loss: cosine}
fit: {epochs: 1, batch: 8, average: 0.0}
augmentation: {mirror: false}
"""


REGISTRIES = {STUDENTS: 'loudness', TEACHERS: 'constant', LOSSES: 'cosine', PRETEXTS: 'level'}


@pytest.fixture
def external_package(tmp_path_factory, monkeypatch):
    """Imports the package of CONTRIBUTING.md and removes it from the registries afterwards."""
    monkeypatch.syspath_prepend(install(tmp_path_factory.mktemp('outside')))
    for name in REGISTRIES.values():
        importlib.import_module(name)
    yield
    for registry, name in REGISTRIES.items():
        del registry._classes[name], sys.modules[name]


def write(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(RECIPE)
    return path


def test_recipes_accept_classes_registered_by_an_external_package(tmp_path, external_package):
    recipe = read_recipe(write(tmp_path))
    assert recipe.student.model == 'loudness'
    assert recipe.transfer.loss == 'cosine'


def test_unregistered_name_is_rejected_with_the_known_names(tmp_path):
    with pytest.raises(AvdetError, match=r'student\.model: expected one of .*steered.*loudness'):
        read_recipe(write(tmp_path))


def test_student_trains_with_pretext_and_loss_of_an_external_package(
    taught, tmp_path, external_package
):
    recipe, train, val = read_recipe(write(tmp_path)), taught(16, 0), taught(8, 1)
    area = picture_area((128, 256), 1920, 650, crop=False)
    student = make_student(recipe, load_rig(), area, (128, 256))
    result = fit_pretext(student, recipe, train, val, tmp_path / 'pretext', None)
    assert result['about'].startswith('level: off by')
    before = student.student.spread.weight.clone()
    fit_student(student, recipe, train, val, tmp_path / 'run', None)
    assert not torch.equal(student.student.spread.weight, before)


def test_teacher_of_an_external_package_is_opened_by_name(tmp_path, external_package):
    teachers = open_teachers(tmp_path, ['rgb', 'thermal'], 0.4, 'constant')
    assert [teacher.modality for teacher in teachers.values()] == ['rgb', 'thermal']
    assert len(teachers['rgb'].predict(torch.zeros(2, 3, 128, 256))) == 2
