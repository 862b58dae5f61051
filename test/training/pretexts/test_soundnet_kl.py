from __future__ import annotations

import math

import pytest
import torch

from avdet_ros.training.pretexts.soundnet_kl import bernoulli_kl, number_posterior


def test_bernoulli_kl_matches_hand_calculation():
    wanted = torch.tensor([0.5, 1.0, 0.0])
    logits = torch.tensor([math.log(3), 0.0, 0.0])  # 0.75, 0.5, 0.5
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25) + 2 * math.log(2)
    assert bernoulli_kl(wanted, logits) == pytest.approx(expected / 3)
    assert bernoulli_kl(torch.tensor([0.3]), torch.tensor([math.log(3 / 7)])) == pytest.approx(
        0, abs=1e-6
    )


def test_number_posterior_spreads_to_neighbouring_counts_in_range():
    made = number_posterior(torch.tensor([0, 2, 9]), 3)
    assert torch.allclose(made.sum(dim=1), torch.ones(3))
    assert made[0].tolist() == pytest.approx([0.9, 0.1, 0, 0])
    assert made[1].tolist() == pytest.approx([0, 0.1, 0.8, 0.1])
    assert made[2].tolist() == pytest.approx([0, 0, 0.1, 0.9])
