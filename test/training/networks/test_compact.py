from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import find_mirror, mirrored
from avdet_ros.training.networks.compact import STUDENTS, Steered, pool_frames
from avdet_ros.training.networks.grid import CHANNELS


def test_pooling_averages_four_frames_and_the_rest():
    frames = torch.arange(173.0).expand(1, 1, 2, 173)
    pooled = pool_frames(frames)
    assert pooled.shape == (1, 1, 2, 44)
    assert pooled[0, 0, 0, 0] == 1.5
    assert pooled[0, 0, 0, -1] == 172


@pytest.mark.parametrize('name', STUDENTS)
def test_a_student_fills_its_grid_and_every_weight_learns(name):
    torch.manual_seed(0)
    student = STUDENTS[name](load_rig(), FrontEnd())
    spectrogram = torch.randn(2, 32, 80, 44)
    grid = student(spectrogram)
    assert grid.shape == (2, CHANNELS, student.rows, student.columns)
    assert student.features(spectrogram).shape == (2, student.channels, *grid.shape[-2:])
    grid.square().sum().backward()
    dead = [key for key, weight in student.named_parameters()
            if weight.grad is None or not weight.grad.abs().sum() > 0]  # fmt: skip
    assert not dead
    # A fresh student says nothing loudly.
    assert torch.sigmoid(grid[:, 0]).mean() < 0.1


def test_the_student_of_levels_does_not_hear_coherences():
    student = STUDENTS['image_grid_levels'](load_rig(), FrontEnd()).eval()
    spectrogram = torch.randn(1, 32, 80, 44)
    other = spectrogram.clone()
    other[:, 8:] = torch.randn(1, 24, 80, 44)
    assert torch.equal(student(spectrogram), student(other))
    assert not torch.equal(student(spectrogram), student(other.flip(1)))


@pytest.mark.parametrize('name', STUDENTS)
def test_a_student_fits_into_25_mb(name):
    student = STUDENTS[name](load_rig(), FrontEnd())
    weights = [*student.parameters(), *student.buffers()]
    assert sum(item.numel() * item.element_size() for item in weights) < 25e6


def test_the_scaling_follows_the_windows():
    student = Steered(load_rig(), FrontEnd())
    levels = torch.randn(20, 8, 80, 44) * 7 - 40 + torch.arange(80.0)[:, None]
    student.scaling.fit(levels)
    scaled = student.scaling(torch.cat([levels, torch.ones(20, 24, 80, 44)], dim=1))
    assert scaled[:, :8].mean().abs() < 1e-3
    assert scaled[:, :8].std() == pytest.approx(1, abs=0.01)
    assert (scaled[:, 8:] == 1).all()


def test_the_steered_picture_of_a_mirrored_scene_is_the_mirrored_picture():
    rig = load_rig()
    student = Steered(rig, FrontEnd(), around=0)
    waveform = np.random.default_rng(0).normal(size=(8, 44100)).astype(np.float32) * 0.05
    spectrogram = pool_frames(torch.from_numpy(FrontEnd().compute(waveform))[None])
    other, _ = mirrored(spectrogram, [], find_mirror(rig))
    torch.testing.assert_close(
        student.response(other), student.response(spectrogram).flip(2), atol=1e-4, rtol=0
    )
