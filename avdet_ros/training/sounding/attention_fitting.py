"""Fit attention from pictures and sounds alone, or also from labels of some frames.

The networks define their losses without and with labels (`attention`, `best_cell`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.sounding.attention import Attention
from avdet_ros.training.sounding.best_cell import BestCell


@dataclass(frozen=True)
class AttentionPlan:
    """Settings of fitting an attention network.

    Attributes:
        way: ``literal`` or ``map``.
        unsupervised: learn from pictures and sounds without labels.
        labelled: number of labelled frames, spread evenly over all; 0 for none.
        best_cell: learn from the best cell (`best_cell.BestCell`) in place of triplets.
        thermal: use the thermal pictures too.
        steps: number of steps.
        batch: frames per step.
        learning_rate: learning rate of Adam.
        seed: seed of weights and order.
    """

    way: str = 'map'
    unsupervised: bool = True
    labelled: int = 0
    best_cell: bool = False
    thermal: bool = False
    steps: int = 150
    batch: int = 32
    learning_rate: float = 1e-3
    seed: int = 0


def fit_attention(
    pictures: Tensor,
    maps: Tensor,
    others: list[Tensor],
    masks: Tensor,
    plan: AttentionPlan,
    places: Tensor,
    progress: Progress = SILENT,
) -> Attention:
    """Fit an attention network.

    Args:
        pictures: (F, 3 or 4, *PICTURE_PX) uint8, of `attention_run.read_pictures`.
        maps: (F, 2 `GROUPS`, A).
        others: for each frame the frames with other sounds, see `learning.other_moments`.
        masks: (F, ROWS, COLUMNS), nonzero where something sounds; all 0 for unlabelled frames.
        plan: settings.
        places: result of `column_places`.
        progress: displays the steps.
    """
    torch.manual_seed(plan.seed)
    chance = torch.Generator().manual_seed(plan.seed)
    channels = 4 if plan.thermal else 3
    kind = BestCell if plan.best_cell else Attention
    network = kind(plan.way, places, channels)
    pictures = pictures[:, :channels]
    network.mean.copy_(maps.mean(dim=(0, 2))[:, None])
    network.deviation.copy_(maps.std(dim=(0, 2)).clamp(min=1e-3)[:, None])
    optimiser = torch.optim.Adam(network.parameters(), plan.learning_rate)
    labelled = torch.nonzero(masks.flatten(1).sum(dim=1) > 0).flatten()
    if plan.labelled < len(labelled):
        labelled = labelled[torch.linspace(0, len(labelled) - 1, plan.labelled).long()]
    with progress.step('attention', plan.steps) as advance:
        for _ in range(plan.steps):
            terms = []
            if plan.unsupervised:
                drawn = torch.randint(len(maps), (plan.batch,), generator=chance)
                foreign = [
                    int(others[i][torch.randint(len(others[i]), (1,), generator=chance)])
                    for i in drawn.tolist()
                ]
                shown = pictures[drawn].float() / 255
                terms.append(network.unlabelled_loss(shown, maps[drawn], maps[foreign]))
            if len(labelled):
                drawn = labelled[torch.randint(len(labelled), (plan.batch,), generator=chance)]
                shown = pictures[drawn].float() / 255
                terms.append(network.labelled_loss(shown, maps[drawn], masks[drawn]))
            optimiser.zero_grad()
            torch.stack(terms).sum().backward()
            optimiser.step()
            advance()
    return network.eval()


@torch.no_grad()
def attend(network: Attention, pictures: Tensor, maps: Tensor) -> np.ndarray:
    """Compute (F, ROWS, COLUMNS) float32 attention of frames, in chunks."""
    parts = [
        network(pictures[part, : network.channels].float() / 255, maps[part])
        for part in torch.arange(len(maps)).split(64)
    ]
    return torch.cat(parts).numpy()
