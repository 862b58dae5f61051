from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.base import make_student
from avdet_ros.training.networks.steered import Steered, SteeredResponseNet
from avdet_ros.training.recipes.parts import Augmentation, NetworkRecipe, PretextRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.pretext import WEIGHTS, fit_pretext, load_pretext

AREA = picture_area((128, 256), 1920, 650, crop=False)
RECIPE = StudentRecipe(
    pretext=PretextRecipe(epochs=6, batch=16, learning_rate=5e-3, most=3),
    augmentation=Augmentation(mirror=False, gain_db=0.0),
)


def small_student(seed: int = 0) -> Steered:
    torch.manual_seed(seed)
    network = SteeredResponseNet(
        load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
    )
    return Steered(network, AREA)


@pytest.mark.slow
def test_counting_is_learned_and_its_weights_initialise_the_student(taught, tmp_path):
    train, val = taught(128, 0), taught(64, 1)
    student = small_student()
    result = fit_pretext(student, RECIPE, train, val, tmp_path, None)
    # Three quarters of the windows have one vehicle, the others none.
    assert result['majority'] == pytest.approx(0.75)
    assert result['accuracy'] > 0.9
    other = small_student(1)
    before = other.student.from_level.weight.clone()
    load_pretext(other, tmp_path)
    assert not torch.equal(other.student.from_level.weight, before)
    assert all(map(torch.equal, other.state_dict().values(), student.state_dict().values()))


def test_vehicle_counts_above_the_maximum_are_learned_as_the_maximum(taught, tmp_path):
    losses = []
    for name, many in (('most', RECIPE.pretext.most), ('more', RECIPE.pretext.most + 6)):
        train, val = taught(16, 0), taught(8, 1)
        train.boxes[:] = [np.repeat(boxes[:1], many, axis=0) for boxes in train.boxes]
        how = replace(RECIPE, pretext=replace(RECIPE.pretext, epochs=1))
        losses.append(fit_pretext(small_student(), how, train, val, tmp_path / name, None)['loss'])
    assert losses[0] == losses[1] > 0


def test_pretext_weights_of_another_student_are_rejected(taught, tmp_path):
    how = replace(RECIPE, pretext=replace(RECIPE.pretext, epochs=1))
    fit_pretext(small_student(), how, taught(16, 0), taught(8, 1), tmp_path, None)
    other = make_student(
        StudentRecipe(student=NetworkRecipe('image_grid')), load_rig(), AREA, (128, 256)
    )
    with pytest.raises(AvdetError, match=r'pretext\.pt: expected the weights of this student'):
        load_pretext(other, tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(AvdetError, match='cannot read'):
        load_pretext(other, tmp_path)
