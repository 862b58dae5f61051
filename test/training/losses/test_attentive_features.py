from __future__ import annotations

import torch

from avdet_ros.training.losses.attentive_features import AttentiveFeatureDistillation


def test_attentive_distillation_learns_to_ignore_a_mismatched_channel():
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
