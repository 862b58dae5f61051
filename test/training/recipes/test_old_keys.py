"""Recipes with keys of older versions."""

from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.recipes.read import as_yaml, read_recipe


@pytest.fixture
def read(tmp_path):
    def read_text(text: str):
        path = tmp_path / 'recipe.yaml'
        path.write_text(text)
        return read_recipe(path)

    return read_text


def test_old_data_key_becomes_windows_or_subset_by_kind(read, log_lines):
    """The old key had two meanings; it is converted by kind, with a log message."""
    student = read('kind: student\ndata: {train: 300, val: 200}\n')
    assert (student.windows.train, student.windows.val) == (300, 200)
    assert 'recipe.yaml: data is now windows' in log_lines[-1]
    taught = read('kind: mm_distillnet\ndata: {daytime: night, motion: static}\n')
    assert str(taught.subset) == 'night static'
    assert taught.windows == type(student.windows)()
    assert 'recipe.yaml: data is now subset' in log_lines[-1]
    with pytest.raises(AvdetError, match='expected windows or its old name data, found both'):
        read('data: {train: 300}\nwindows: {val: 100}\n')


def test_mm_distillnet_recipe_keeps_its_former_defaults(read, log_lines):
    old = read('kind: mm_distillnet\nfit: {epochs: 3}\n')
    new = read(
        'labels: teachers\nteachers: {modalities: [rgb, depth, thermal]}\n'
        'pretext: {epochs: 10}\ntransfer: {loss: mta}\nfit: {epochs: 3}\n'
    )
    assert old == new
    assert len([line for line in log_lines if 'mm_distillnet is now student' in line]) == 1
    log_lines.clear()
    assert read(as_yaml(old)) == old
    assert not log_lines


def test_other_old_names_are_converted(read):
    assert read('model: image_grid\n').student.model == 'image_grid'
    taught = read('kind: mm_distillnet\ntransfer: {boxes: truth, loss: none}\n')
    assert (taught.labels, taught.transfer.loss) == ('truth', 'none')
    assert taught.makes_labels  # labels to compare its scores with
    rgb = read('kind: mm_distillnet\nteachers: {modalities: [rgb]}\ntransfer: {teachers: [rgb]}\n')
    assert rgb.learns_from == ('rgb',)
    compared = read('kind: comparison\nstudent: {data: {train: 300}, model: image_grid}\n')
    assert compared.student.windows.train == 300
    assert compared.student.student.model == 'image_grid'


@pytest.mark.parametrize('text', ['kind: mm_distillnet\nteachers:\n', 'data: 3', 'model: [1]'])
def test_invalid_values_under_old_names_are_rejected(read, text):
    with pytest.raises(AvdetError):
        read(text)
