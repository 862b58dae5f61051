from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.base import StudentAdapter, make_student
from avdet_ros.training.recipes.parts import LossRecipe, NetworkRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS

SIZE = (128, 256)
LEVELS = [(16, 32), (8, 16), (4, 8)]
MODELS = (
    'steered',
    'image_grid',
    'image_grid_levels',
    'spectrogram_axes',
    'paper',
    'stereosoundnet',
)


def student_of(model: str, crop: bool = False) -> StudentAdapter:
    recipe = StudentRecipe(student=NetworkRecipe(model, 'tf_efficientdet_lite0'))
    return make_student(recipe, load_rig(), picture_area(SIZE, 1920, 650, crop), SIZE)


def window() -> torch.Tensor:
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.normal(size=(8, 44100))).astype(np.float32)
    return torch.from_numpy(FrontEnd().compute(sound))[None]


@pytest.mark.parametrize('model', MODELS)
def test_every_student_implements_the_common_interface(model):
    student = student_of(model)
    sound = student.from_topic(window().repeat(2, 1, 1, 1))
    output = student(sound, LEVELS)
    assert output.embedding.shape == (2, student.channels)
    for level, size in zip(output.maps, LEVELS, strict=False):
        assert level.shape == (2, student.channels, *student.cells(*size))
    boxes, logits = student.candidates(output.prediction)
    assert boxes.shape == (*logits.shape, 4)
    assert student.encode(sound).shape[0] == 2
    truth = [torch.tensor([[0.4, 0.5, 0.6, 0.8]]), torch.zeros(0, 4)]
    terms, _ = student.loss(output.prediction, truth, LossRecipe())
    sum(terms.values()).backward()
    missing = [name for name, item in student.named_parameters() if item.grad is None]
    assert not missing


@pytest.mark.parametrize('model', MODELS)
def test_batch_without_vehicles_has_only_focal_loss(model):
    student = student_of(model)
    output = student(student.from_topic(window()), LEVELS)
    terms, _ = student.loss(output.prediction, [torch.zeros(0, 4)], LossRecipe())
    assert terms['focal'] > 0
    assert all(float(term.detach()) == 0 for name, term in terms.items() if name != 'focal')
    sum(terms.values()).backward()


def test_students_of_the_same_recipe_have_equal_initial_weights():
    one, two = student_of('steered'), student_of('steered')
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))


def test_grid_students_support_open_areas_and_anchor_students_do_not():
    student = student_of('steered')
    prediction = student(student.from_topic(window()), []).prediction
    nowhere, everywhere = [torch.zeros(0, 4)], [torch.tensor([[0.0, 0.0, 1.0, 1.0]])]
    terms, _ = student.loss(prediction, nowhere, LossRecipe(), open_areas=everywhere)
    assert float(terms['focal'].detach()) == 0
    terms, _ = student.loss(prediction, nowhere, LossRecipe(), open_areas=nowhere)
    assert terms['focal'] > 0
    able = {model for model in MODELS if STUDENTS.find(model).takes_open_areas}
    assert able == set(MODELS) - {'paper'}
