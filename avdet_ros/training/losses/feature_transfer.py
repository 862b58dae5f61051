"""The other ways to hand a teacher's features to the student: ranking, pairwise, AFD.

All of them take features of one pyramid level, the teacher's without gradient. A teacher and a
student may differ in channels only where the equation does not compare channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
import torch.nn.functional as F


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
