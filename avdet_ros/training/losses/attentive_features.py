"""Attentive feature distillation: imitate the teacher's channels that are worth imitating."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.training.data.batch import P5, Batch, StudentOutput
from avdet_ros.training.losses.base import Cells, DistillationLoss, covered, first_levels
from avdet_ros.training.recipes.parts import TransferRecipe
from avdet_ros.training.registries import LOSSES


class AttentiveFeatureDistillation(nn.Module):
    r"""Learn which of the teacher's channels are worth imitating.

    .. math:: \frac{1}{C H W} \sum_c \rho_c\, ||s_c - t_c||^2, \quad
              \rho = C \cdot softmax(W_2\, relu(W_1\, GAP(t)))

    GAP is the mean over positions, so that rho depends on the frame and averages one over the
    channels (Wang et al., "Pay Attention to Features, Transfer Learn Faster CNNs", ICLR 2020).

    Args:
        channels: channels of both feature maps.
        hidden: width of the layer between; an eighth of the channels by default.
    """

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or max(4, channels // 8)
        self.attend = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Weighted squared distance.

        Args:
            student: (B, C, H, W) features.
            teacher: (B, C, H, W) features on the same grid.

        Returns:
            scalar, the mean over channels and batch.
        """
        channels = teacher.shape[1]
        rho = channels * torch.softmax(self.attend(teacher.mean(dim=(2, 3))), dim=1)
        distance = (student - teacher).square().mean(dim=(2, 3))
        return (rho * distance).mean()


@LOSSES.register
class AttentiveFeatures(DistillationLoss):
    """`AttentiveFeatureDistillation` of the mean of the teachers' features of P5."""

    name = 'afd'
    needs = ('features',)

    def __init__(self, recipe: TransferRecipe, channels: int, teacher_channels: int) -> None:
        super().__init__(recipe, channels, teacher_channels)
        # Distances between channels need the same number of channels on both sides.
        self.adapt: nn.Module = nn.Identity()
        if channels != teacher_channels:
            self.adapt = nn.Conv2d(channels, teacher_channels, 1)
        self.afd = AttentiveFeatureDistillation(teacher_channels)

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """P3 to P5."""
        return first_levels(sizes, P5 + 1)

    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """See `DistillationLoss.forward`."""
        teacher = covered(batch.teacher_features.mean(dim=1), cells)
        return self.afd(self.adapt(output.maps[P5].float()), teacher)
