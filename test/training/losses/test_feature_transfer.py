import pytest
import torch

from avdet_ros.training.losses.feature_transfer import (
    AttentiveFeatureDistillation,
    pairwise_loss,
    ranking_loss,
)


def test_ranking_follows_the_double_sum():
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


def test_ranking_is_zero_when_each_fits_its_own():
    assert ranking_loss(torch.eye(5), torch.eye(5)).item() == 0


def test_ranking_of_one_has_nothing_to_rank():
    student = torch.randn(1, 6, requires_grad=True)
    loss = ranking_loss(student, torch.randn(1, 6))
    loss.backward()
    assert loss.item() == 0


def test_pairwise_ignores_rotation_of_channels_but_not_of_places():
    torch.manual_seed(1)
    teacher = torch.randn(2, 8, 3, 4)
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    student = torch.einsum('dc,bchw->bdhw', rotation, teacher)
    assert pairwise_loss(student, teacher).item() == pytest.approx(0, abs=1e-10)
    assert pairwise_loss(teacher.flip(-1), teacher).item() > 1e-3
    assert torch.isfinite(pairwise_loss(torch.randn(2, 5, 3, 4), teacher))


def test_attentive_distillation_learns_to_leave_out_a_channel_nobody_can_imitate():
    torch.manual_seed(2)
    module = AttentiveFeatureDistillation(4)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
    teacher = torch.rand(8, 4, 5, 5)
    student = teacher.clone()
    student[:, 0] += 3.0
    before = module(student, teacher).item()
    for _ in range(100):
        loss = module(student, teacher)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert module(student, teacher).item() < before / 10
    assert module(teacher, teacher).item() == 0
