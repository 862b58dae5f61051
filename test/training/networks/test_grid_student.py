from __future__ import annotations

import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.boxes.grid import CHANNELS
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS

NETWORKS = {
    kind.name: kind.network for kind in STUDENTS.classes() if issubclass(kind, GridStudent)
}


@pytest.mark.parametrize('name', NETWORKS)
def test_student_fills_its_grid_and_every_weight_has_a_gradient(name):
    torch.manual_seed(0)
    student = NETWORKS[name](load_rig(), FrontEnd())
    spectrogram = torch.randn(2, 32, 80, 44)
    grid = student(spectrogram)
    assert grid.shape == (2, CHANNELS, student.rows, student.columns)
    assert student.features(spectrogram).shape == (2, student.channels, *grid.shape[-2:])
    grid.square().sum().backward()
    dead = [
        key
        for key, weight in student.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    assert not dead
    # A fresh student predicts nothing with a high score.
    assert torch.sigmoid(grid[:, 0]).mean() < 0.1


def test_frozen_encoder_keeps_its_weights_while_the_head_trains():
    area = picture_area((128, 256), 1920, 650, crop=False)
    student = STUDENTS.find('image_grid').make(StudentRecipe(), load_rig(), area, (128, 256))
    student.freeze_encoder()
    student.train()
    before = {name: item.clone() for name, item in student.state_dict().items()}
    optimiser = torch.optim.SGD(
        [item for item in student.parameters() if item.requires_grad], lr=0.1
    )
    student(torch.randn(4, 32, 80, 44), []).prediction.square().mean().backward()
    optimiser.step()
    changed = {name for name, item in student.state_dict().items() if not item.equal(before[name])}
    assert changed
    assert all(name.startswith('student.head.') for name in changed), changed
    assert not student.eval().student.head.training
    original = STUDENTS.find('stereosoundnet')
    with pytest.raises(
        AvdetError, match=r'pretext\.freeze: expected a student with a separate head'
    ):
        original.freeze_encoder(original)


@pytest.mark.parametrize('name', NETWORKS)
def test_student_weights_fit_into_25_mb(name):
    student = NETWORKS[name](load_rig(), FrontEnd())
    weights = [*student.parameters(), *student.buffers()]
    assert sum(item.numel() * item.element_size() for item in weights) < 25e6
