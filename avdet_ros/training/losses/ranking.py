"""Ranking: a window belongs to its own picture rather than to any other of the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
import torch.nn.functional as F

from avdet_ros.training.data.batch import Batch, StudentOutput
from avdet_ros.training.losses.base import Cells, DistillationLoss
from avdet_ros.training.recipes.parts import TransferRecipe
from avdet_ros.training.registries import LOSSES


def ranking_loss(student: Tensor, teacher: Tensor, margin: float = 0.2) -> Tensor:
    r"""A window's sound should fit its own picture better than any other of the batch.

    .. math:: \sum_i \sum_{j \ne i} \max(0, \delta - \psi(t_i, s_i) + \psi(t_i, s_j))

    in both directions, psi the cosine similarity, divided by the number of terms (StereoSoundNet,
    ICCV 2019, after Aytar et al., "See, Hear, and Read", 2017).

    Args:
        student: (B, D) embeddings, for example globally averaged features.
        teacher: (B, D) embeddings of the same frames.
        margin: delta.

    Returns:
        scalar; zero for a batch of one, which has nothing to rank against.
    """
    if len(student) < 2:
        return student.sum() * 0
    similarity = F.normalize(teacher, dim=1) @ F.normalize(student, dim=1).T
    matching = similarity.diagonal()
    over_students = F.relu(margin - matching[:, None] + similarity)
    over_teachers = F.relu(margin - matching[None, :] + similarity)
    others = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    return (over_students[others].sum() + over_teachers[others].sum()) / (2 * others.sum())


@LOSSES.register
class Ranking(DistillationLoss):
    """`ranking_loss` between the student's embedding and the mean of the teachers'."""

    name = 'ranking'
    needs = ('embedding',)
    compares_maps = False

    def __init__(self, recipe: TransferRecipe, channels: int, teacher_channels: int) -> None:
        super().__init__(recipe, channels, teacher_channels)
        self.adapt: nn.Module = nn.Identity()
        if channels != teacher_channels:
            self.adapt = nn.Linear(channels, teacher_channels)

    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """See `DistillationLoss.forward`."""
        student = self.adapt(output.embedding.float())
        return ranking_loss(student, batch.embedding.mean(dim=1), self.recipe.margin)
