from __future__ import annotations

import pytest
import torch

from avdet_ros.training.losses.ranking import ranking_loss


def test_ranking_loss_matches_the_double_sum():
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 6), torch.randn(4, 6)
    cosine = torch.nn.functional.cosine_similarity
    total = 0.0
    for i in range(4):
        for j in range(4):
            if i == j:
                continue
            own = cosine(teacher[i], student[i], dim=0)
            total += max(0, 0.2 - own + cosine(teacher[i], student[j], dim=0))
            total += max(0, 0.2 - own + cosine(teacher[j], student[i], dim=0))
    assert ranking_loss(student, teacher).item() == pytest.approx(float(total) / 24, rel=1e-5)


def test_ranking_loss_is_zero_for_perfect_matches():
    assert ranking_loss(torch.eye(5), torch.eye(5)).item() == 0


def test_ranking_loss_of_a_single_window_is_zero():
    student = torch.randn(1, 6, requires_grad=True)
    loss = ranking_loss(student, torch.randn(1, 6))
    loss.backward()
    assert loss.item() == 0
