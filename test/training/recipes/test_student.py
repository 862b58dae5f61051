from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.paths import share
from avdet_ros.training.recipes.read import as_yaml, read_recipe

RECIPES = sorted(share('config/recipes').glob('*.yaml'))


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_round_trips(path, tmp_path):
    recipe = read_recipe(path)
    again = tmp_path / 'again.yaml'
    again.write_text(as_yaml(recipe))
    assert read_recipe(again) == recipe


def test_paper_recipe_has_the_values_of_the_paper():
    recipe = read_recipe(share('config/recipes/mm_distillnet_d2_paper.yaml'))
    assert recipe.student.config_name == recipe.teachers.config_name == 'tf_efficientdet_d2'
    assert (recipe.teachers.height, recipe.teachers.width) == (768, 768)
    assert (recipe.transfer.beta, recipe.transfer.temperature) == (0.5, 9.0)
    assert (recipe.transfer.weight, recipe.transfer.levels) == (0.05, 3)
    assert recipe.transfer.mta == 'as_printed'
    assert (recipe.fit.epochs, recipe.fit.learning_rate) == (50, 1e-5)


def test_authors_recipe_has_the_values_of_their_configuration():
    recipe = read_recipe(share('config/recipes/mm_distillnet_d2.yaml'))
    assert recipe.student.scaling == 'released'
    assert (recipe.transfer.mta, recipe.transfer.levels) == ('as_released', 5)
    assert recipe.transfer.weight * recipe.transfer.beta == 0.005
    assert (recipe.fit.batch, recipe.fit.learning_rate, recipe.fit.weight_decay) == (2, 1e-4, 0)
    assert (recipe.teachers.height, recipe.teachers.width) == (768, 768)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('trasnfer: {loss: mta}', 'did you mean transfer'),
        ('transfer: {los: mta}', r'transfer\.los.*did you mean loss'),
        ('transfer: {mta: as_print}', 'did you mean as_printed'),
        ('transfer: {loss: mtaa}', 'did you mean mta'),
        (
            'teachers: {modalities: [rgb]}\ntransfer: {teachers: [rgb, depth]}',
            r'transfer\.teachers: expected some of teachers\.modalities, rgb, found depth',
        ),
        ('transfer: {teachers: [rgb, rgb]}', 'expected each teacher once'),
        ('teachers: {height: 700}', r'teachers\.height: expected a multiple of 128, found 700'),
        (
            'student: {model: stereosoundnet}\ntransfer: {loss: mta}',
            'expected ranking or none for stereosoundnet',
        ),
        ('fit: {schedule: linear}', 'expected one of cosine, plateau'),
        ('augmentation: {mask_frame: 0.1}', 'did you mean mask_frames'),
        ('teachers: {model: efficientnet}', 'did you mean efficientdet'),
        ('pretext: {task: count}', 'did you mean counting'),
    ],
)
def test_invalid_teacher_recipe_is_rejected_with_a_one_line_message(tmp_path, text, message):
    path = tmp_path / 'recipe.yaml'
    path.write_text(f'labels: teachers\n{text}\n')
    with pytest.raises(AvdetError, match=message) as caught:
        read_recipe(path)
    assert 'recipe.yaml' in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('labels: truth\ntransfer: {loss: mta}', r'teachers\.modalities: expected some of rgb'),
        ('labels: simulated\nteachers: {modalities: [rgb]}', 'expected truth or teachers for a'),
        ('labels: by hand', 'labels: expected one of simulated, truth, teachers'),
        ('fit: {doubts: true}', r'fit\.doubts: expected fit\.start, weights of a trained network'),
        ('fit: {hold: 1.0}', r'fit\.hold: expected fit\.start, weights of a trained network'),
    ],
)
def test_inconsistent_label_settings_are_rejected(tmp_path, text, message):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    with pytest.raises(AvdetError, match=message):
        read_recipe(path)


def test_student_learns_from_all_teachers_by_default(tmp_path):
    path = tmp_path / 'recipe.yaml'
    path.write_text('labels: teachers\n')
    assert read_recipe(path).learns_from == ('rgb', 'depth', 'thermal')
    path.write_text('labels: teachers\nteachers: {labels: labels}\n')
    assert read_recipe(path).learns_from == ()
    assert not read_recipe(path).makes_labels


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('labels: truth\nlabel_filter: moving', 'expected labels: teachers with teachers.labels'),
        (
            'labels: teachers\nlabel_filter: moving',
            'expected labels: teachers with teachers.labels',
        ),
        (
            (
                'labels: teachers\nlabel_filter: sounding\nteachers: {labels: labels}\n'
                'transfer: {loss: mta}'
            ),
            "expected transfer.loss: none, as the teachers' maps are not filtered, found mta",
        ),
        (
            (
                'labels: teachers\nlabel_filter: oracle\nteachers: {labels: labels}\n'
                'student: {model: paper}'
            ),
            'expected a student that can leave parts of the image open, as steered, found paper',
        ),
        ('label_filter: sound', 'expected one of none, moving, sounding, oracle'),
    ],
)
def test_label_filter_requires_ready_labels_and_a_supporting_student(tmp_path, text, message):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    with pytest.raises(AvdetError, match=message):
        read_recipe(path)
    path.write_text('labels: teachers\nlabel_filter: oracle\nteachers: {labels: labels}\n')
    assert read_recipe(path).label_filter == 'oracle'
