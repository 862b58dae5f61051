"""Pairwise similarity: places that look alike to the teacher should look alike to the student."""

from __future__ import annotations

import numpy as np
from torch import Tensor
import torch.nn.functional as F

from avdet_ros.training.data.batch import P5, Batch, StudentOutput
from avdet_ros.training.losses.base import Cells, DistillationLoss, covered, first_levels
from avdet_ros.training.registries import LOSSES


def pairwise_loss(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Places that look alike to the teacher should look alike to the student.

    .. math:: \frac{1}{N^2} \sum_i \sum_j (a^s_{ij} - a^t_{ij})^2, \quad
              a_{ij} = \frac{f_i^T f_j}{||f_i||\,||f_j||}

    over the N positions of a feature map (Liu et al., "Structured Knowledge Distillation",
    2019). The channels may differ.

    Args:
        student: (B, C, H, W) features.
        teacher: (B, C', H, W) features on the same grid.

    Returns:
        scalar, the mean over the batch.
    """
    return F.mse_loss(_similarity_of_places(student), _similarity_of_places(teacher))


def _similarity_of_places(features: Tensor) -> Tensor:
    places = F.normalize(features.flatten(2), dim=1)
    return places.transpose(1, 2) @ places


@LOSSES.register
class Pairwise(DistillationLoss):
    """`pairwise_loss` between the student's map and the mean of the teachers' features of P5."""

    name = 'pairwise'
    needs = ('features',)

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """P3 to P5."""
        return first_levels(sizes, P5 + 1)

    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """See `DistillationLoss.forward`."""
        teacher = covered(batch.teacher_features.mean(dim=1), cells)
        return pairwise_loss(output.maps[P5].float(), teacher)
