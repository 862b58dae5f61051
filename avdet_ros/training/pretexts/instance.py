"""Pretext that matches sounds and pictures within a batch, in both directions.

Cross-modal instance discrimination, xID (P. Morgado et al., "Audio-visual instance discrimination
with cross-modal agreement", arXiv 2004.12943, the cross-modal terms alone), with the batch in
place of their memory: `contrastive.info_nce` between the pooled sound and the teachers' embedding,
T = 0.07. Half of a batch comes from one drive, because with negatives from other drives alone the
network would only learn to distinguish drives.

``instance_robust`` (P. Morgado et al., "Robust audio-visual instance discrimination", arXiv
2103.15916) weights the pairs and softens the targets. With z_i the agreement of pair i,
standardised over the batch, Phi the normal distribution, S the softmax of the mean of both
modalities' own similarities, and l = 1/2,

    L = sum w_i L_i / sum w_i,   w_i = max(1/4, Phi(z_i + 1)),   targets (1 - l) one-hot + l S_i

The form of w is ours; the paper's needs a memory of all pairs. Pairs without any box, whose
picture shows no sound source, have at most weight 1/4.

Retrieval is scored as in "Objects that sound" (ECCV 2018, section 3.1), with the boxes on either
side of the image in place of tags. The task needs the ``embedding`` of the teachers' label files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.evaluation.sounding.ranking import chance_ndcg, ndcg, relevance_of
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, negatives, without
from avdet_ros.training.pretexts.contrastive import (
    DIMENSIONS,
    Projection,
    agreement,
    described,
    info_nce,
)
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

TEMPERATURE = 0.07
LEAST_WEIGHT = 0.25
SOFT = 0.5


@PRETEXTS.register
class Instance(MeasuredPretext):
    """Match sound and picture, each represented by one vector."""

    name = 'instance'
    needs = ('embedding',)
    compares = True

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.project = Projection(channels)
        self.seen = nn.Sequential(
            nn.LazyLinear(256), nn.ReLU(), nn.Linear(256, DIMENSIONS, bias=False)
        )

    @property
    def augmentation(self) -> Augmentation:
        """No mixing: a mixed window has no picture."""
        return without(self.recipe.augmentation, 'mix')

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Initialise the projections."""
        super().prepare(train, val)
        with torch.no_grad():
            self.vectors(train.batch([0]))

    def vectors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (B, D) unit vectors of sounds and of pictures."""
        sound = self.project(self.student.encode(batch.spectrogram))
        return sound, functional.normalize(self.seen(batch.embedding.flatten(1)), dim=1)

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """See `contrastive.agreement`."""
        sound, picture = self.vectors(batch)
        return agreement(sound, picture, negatives(batch, sound.device), TEMPERATURE)

    @torch.inference_mode()
    def result(self, val: WindowDataset) -> dict[str, Any]:
        """Add how well sounds retrieve pictures with equal boxes per side, and vice versa."""
        parts = [
            self.vectors(val.batch(part.tolist())) for part in torch.arange(len(val)).split(64)
        ]
        sound, picture = (torch.cat(its).double().numpy() for its in zip(*parts, strict=True))
        relevance = relevance_of(side_counts(val.boxes))
        return {
            **super().result(val),
            'retrieval': ndcg(sound @ picture.T, relevance),
            'retrieval_back': ndcg(picture @ sound.T, relevance),
            'retrieval_chance': chance_ndcg(relevance),
        }

    def describe(self, result: dict[str, Any]) -> str:
        """Report how often a picture is found in its batch, and the retrieval among all."""
        return described(self.name, result) + (
            f'; nDCG of pictures by sound {result["retrieval"]:.2f}, of sounds by picture '
            f'{result["retrieval_back"]:.2f}, in any order {result["retrieval_chance"]:.2f}'
        )


@PRETEXTS.register
class RobustInstance(Instance):
    """xID that gives wrong pairs and wrong negatives less weight."""

    name = 'instance_robust'

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """See `contrastive.agreement`; ``weight`` is the mean of w."""
        sound, picture = self.vectors(batch)
        allowed = negatives(batch, sound.device)
        terms = agreement(sound, picture, allowed, TEMPERATURE)
        weight = pair_weights((sound * picture).sum(dim=1).detach(), batch)
        targets = soft_targets(sound.detach(), picture.detach(), allowed)
        similarity = sound @ picture.T / TEMPERATURE
        loss = 0.5 * (
            soft_nce(similarity, targets, allowed, weight)
            + soft_nce(similarity.T, targets, allowed.T, weight)
        )
        return {**terms, 'loss': loss, 'weight': weight.mean()}


def side_counts(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Count the boxes left and right of the middle of each window's picture, (N, 2)."""
    middles = [(box[:, 0] + box[:, 2]) / 2 for box in boxes]
    return np.array([[(x < 0.5).sum(), (x >= 0.5).sum()] for x in middles])


def pair_weights(agreeing: Tensor, batch: Batch) -> Tensor:
    """Compute (B,) w of the module's equation from (B,) cosines of pairs."""
    z = (agreeing - agreeing.mean()) / agreeing.std(correction=0).clamp(min=1e-6)
    weight = torch.special.ndtr(z + 1).clamp(min=LEAST_WEIGHT)
    empty = torch.tensor([len(box) == 0 for box in batch.boxes], device=agreeing.device)
    return torch.where(empty, LEAST_WEIGHT, weight)


def soft_targets(sound: Tensor, picture: Tensor, allowed: Tensor) -> Tensor:
    """Return (B, B) rows that sum to 1: half on the pair, half on windows that are similar."""
    kept = allowed | torch.eye(len(sound), dtype=torch.bool, device=sound.device)
    alike = (sound @ sound.T + picture @ picture.T) / 2 / TEMPERATURE
    spread = alike.masked_fill(~kept, -torch.inf).softmax(dim=1)
    return (1 - SOFT) * torch.eye(len(sound), device=sound.device) + SOFT * spread


def soft_nce(similarity: Tensor, targets: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
    """`contrastive.info_nce` against soft targets.

    Args:
        similarity: (B, B) divided by the temperature.
        targets: (B, B), 0 where not allowed but on the diagonal.
        allowed: (B, B) bool.
        weight: (B,).
    """
    hard = info_nce(similarity, allowed, weight)
    # -sum_j t_ij log p_ij = -log p_ii + sum_j t_ij (s_ii - s_ij), as rows of t sum to 1.
    behind = (targets * (similarity.diagonal()[:, None] - similarity)).sum(dim=1)
    return hard + (weight * behind).sum() / weight.sum().clamp(min=1e-6)
