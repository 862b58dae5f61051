from __future__ import annotations

import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.boxes.grid import CHANNELS
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.registries import STUDENTS

NETWORKS = {
    kind.name: kind.network for kind in STUDENTS.classes() if issubclass(kind, GridStudent)
}


@pytest.mark.parametrize('name', NETWORKS)
def test_a_student_fills_its_grid_and_every_weight_learns(name):
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


@pytest.mark.parametrize('name', NETWORKS)
def test_a_student_fits_into_25_mb(name):
    student = NETWORKS[name](load_rig(), FrontEnd())
    weights = [*student.parameters(), *student.buffers()]
    assert sum(item.numel() * item.element_size() for item in weights) < 25e6
