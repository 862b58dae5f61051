from __future__ import annotations

import pytest
import torch

from avdet_ros.training.losses.pairwise import pairwise_loss


def test_pairwise_loss_ignores_rotated_channels_but_not_flipped_maps():
    torch.manual_seed(1)
    teacher = torch.randn(2, 8, 3, 4)
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    student = torch.einsum('dc,bchw->bdhw', rotation, teacher)
    assert pairwise_loss(student, teacher).item() == pytest.approx(0, abs=1e-10)
    assert pairwise_loss(teacher.flip(-1), teacher).item() > 1e-3
    assert torch.isfinite(pairwise_loss(torch.randn(2, 5, 3, 4), teacher))
