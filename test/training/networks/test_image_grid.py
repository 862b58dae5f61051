from __future__ import annotations

import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.networks.image_grid import ImageGridLevels


def test_levels_student_ignores_coherence_channels():
    student = ImageGridLevels.network(load_rig(), FrontEnd()).eval()
    spectrogram = torch.randn(1, 32, 80, 44)
    other = spectrogram.clone()
    other[:, 8:] = torch.randn(1, 24, 80, 44)
    assert torch.equal(student(spectrogram), student(other))
    assert not torch.equal(student(spectrogram), student(other.flip(1)))
