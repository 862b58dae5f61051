from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.recipes.student import StudentRecipe


def write(tmp_path, text: str):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    return path


def test_missing_recipe_keys_have_defaults(tmp_path):
    recipe = read_recipe(write(tmp_path, 'student: {model: image_grid}\nfit: {epochs: 3}\n'))
    assert recipe.student.model == 'image_grid'
    assert recipe.fit.epochs == 3
    assert recipe.fit.batch == StudentRecipe().fit.batch
    assert read_recipe(write(tmp_path, '')) == StudentRecipe()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('studnet: {}', 'studnet.*unknown key; did you mean student'),
        ('fit: {learning_rat: 0.1}', r'fit\.learning_rat: .*did you mean learning_rate'),
        ('student: {model: stered}', 'found .stered.; did you mean steered'),
        (
            'kind: studnt',
            'kind: expected one of student, comparison, found .*did you mean student',
        ),
        ('fit: {epochs: 0}', r'fit\.epochs: expected a whole number from 1 to .*found 0'),
        ('fit: {epochs: 2.5}', r'fit\.epochs: .*found 2\.5'),
        ('fit: {epochs: true}', r'fit\.epochs: .*found True'),
        ('fit: {learning_rate: 1e-3}', "found '1e-3'"),
        ('augmentation: {mirror: 1}', r'augmentation\.mirror: expected true or false'),
        ('augmentation: {gain_db: .nan}', r'gain_db.*found nan'),
        ('fit: 7', 'fit: expected keys with values, found 7'),
        ('[1, 2]', 'expected keys with values'),
        ('a: [', 'is not YAML'),
    ],
)
def test_invalid_recipe_is_rejected_with_a_one_line_message(tmp_path, text, message):
    with pytest.raises(AvdetError, match=message) as caught:
        read_recipe(write(tmp_path, text))
    assert '\n' not in str(caught.value)
    assert 'recipe.yaml' in str(caught.value)


def test_missing_recipe_file_is_named_in_the_error(tmp_path):
    with pytest.raises(AvdetError, match=r'cannot read the recipe .*nowhere\.yaml'):
        read_recipe(tmp_path / 'nowhere.yaml')
