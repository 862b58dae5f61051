from __future__ import annotations

import pytest
import torch

from avdet_ros.training.networks.layers import Scaling, pool_frames


def test_frame_pooling_averages_groups_of_four_and_the_remainder():
    frames = torch.arange(173.0).expand(1, 1, 2, 173)
    pooled = pool_frames(frames)
    assert pooled.shape == (1, 1, 2, 44)
    assert pooled[0, 0, 0, 0] == 1.5
    assert pooled[0, 0, 0, -1] == 172


def test_scaling_normalises_levels_but_not_coherences():
    scaling = Scaling(80)
    levels = torch.randn(20, 8, 80, 44) * 7 - 40 + torch.arange(80.0)[:, None]
    scaling.fit(levels)
    scaled = scaling(torch.cat([levels, torch.ones(20, 24, 80, 44)], dim=1))
    assert scaled[:, :8].mean().abs() < 1e-3
    assert scaled[:, :8].std() == pytest.approx(1, abs=0.01)
    assert (scaled[:, 8:] == 1).all()
