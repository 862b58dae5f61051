"""Multi-Teacher Alignment: make the student look where the teachers look together.

Each teacher's feature map becomes an attention map, ``Q = mean_c |A_c|^r``. The teachers' maps are
multiplied, so that a place counts as much as all modalities agree on it. A Kullback-Leibler
divergence pulls the student's map towards the product (MM-DistillNet, CVPR 2021, section 3.3 and
equation 2). The equation can be read in three ways, all of which are implemented here:

===============  =================================================================================
`as_printed`     L2-normalised maps enter the divergence unchanged, student first.
`as_released`    the authors' program: softmax(Q / (||Q||_2 T)) of both, the student's
                 probabilities where a divergence expects log-probabilities, and a sum over the
                 teachers instead of the product (`as_released_product` has the product).
`corrected`      both maps are distributions over positions, teacher first, T^2 keeps the size of
                 gradients; the product is a sum of logarithms.
===============  =================================================================================

Maps are lists, one entry per pyramid level; a teacher's entry may have another size than the
student's and is resized to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

from avdet_ros.training.data.batch import Batch, StudentOutput
from avdet_ros.training.losses.base import Cells, DistillationLoss, covered, first_levels
from avdet_ros.training.registries import LOSSES

TINY = 1e-12

AlignmentLoss = Callable[[Sequence[Tensor], Sequence[Sequence[Tensor]]], Tensor]


def attention_map(features: Tensor, r: float = 2.0) -> Tensor:
    """Where a layer is active, ``Q = mean_c |A_c|^r`` (MM-DistillNet, section 3.3).

    Args:
        features: (B, C, H, W) activations.
        r: exponent; larger values favour the strongest activations.

    Returns:
        (B, H, W) non-negative map.
    """
    return features.abs().pow(r).mean(dim=1)


def product_of_teachers(teachers: Sequence[Tensor]) -> Tensor:
    """Logarithm of the product of attention maps, ``log prod_i Q_i = sum_i log Q_i``.

    Computed in log space: with r = 2 and three teachers, the product itself spans the sixth power
    of an activation and leaves float32's range.

    Args:
        teachers: one (B, H, W) map per teacher.

    Returns:
        (B, H, W) log of the product.
    """
    return torch.stack([torch.log(teacher.float() + TINY) for teacher in teachers]).sum(dim=0)


def mean_of_teachers(teachers: Sequence[Tensor]) -> list[Tensor]:
    r"""The "Avg" rows' single teacher, as a list of one.

    .. math:: Q_t = \frac{1}{n} \sum_i Q_i / \bar{Q_i}

    The paper averages the teachers' activations (its Avg rows). Here their maps are averaged,
    because channels of separately trained networks do not correspond. Each map is scaled to a
    mean of 1; otherwise the teacher with the largest activations would dominate the average.

    Args:
        teachers: one (B, H, W) map per teacher.
    """
    scaled = [teacher / (teacher.mean(dim=(1, 2), keepdim=True) + TINY) for teacher in teachers]
    return [torch.stack(scaled).mean(dim=0)]


def mta_as_printed(
    student: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], beta: float = 0.5
) -> Tensor:
    r"""Equation 2 as printed, :math:`\beta \sum_j KL(Q_s^j/||Q_s^j||_2, Q_t^j/||Q_t^j||_2)`.

    A map of unit L2 norm is no distribution (its entries sum to more than one), so the value can
    be negative and is not smallest where the maps agree. Kept to reproduce the paper's rows.

    Args:
        student: one (B, H, W) attention map per level.
        teachers: per level a list of (B, h, w) attention maps, one per teacher.
        beta: the paper's balance of the loss.

    Returns:
        scalar, the mean over the batch.
    """
    total = student[0].new_zeros(())
    for own, others in _levels(student, teachers):
        p = _unit(own.flatten(1))
        # The product is scaled before it leaves the logarithm; the scale cancels in the norm.
        log_product = product_of_teachers(others).flatten(1)
        q = _unit((log_product - log_product.amax(dim=1, keepdim=True)).exp())
        divergence = p * (torch.log(p + TINY) - torch.log(q + TINY))
        total = total + divergence.sum(dim=1).mean()
    return beta * total


def mta_as_released(
    student: Sequence[Tensor],
    teachers: Sequence[Sequence[Tensor]],
    beta: float = 0.5,
    temperature: float = 9.0,
) -> Tensor:
    r"""The authors' program, :math:`\beta\sum_{ij} \sum_x t_{ij}(\log t_{ij} - s_j)`.

    :math:`s = softmax(Q_s / (||Q_s||_2 T))`, t likewise, over the positions x of level j, one
    term per teacher i; the program aligns P3 to P7, the paper P3 to P5. s stands where a
    divergence expects log s. Entries of a unit map of N positions are about :math:`N^{-1/2}`, so
    both softmaxes are flat: at 768 pixels the value is -31.817 per teacher whatever the features
    are, and the gradient is close to zero. A proper divergence, :math:`t(\log t - \log s)`, of the
    same unit maps is as flat: its gradient stays around 1e-6. So the signal is lost by the norm,
    not by the missing logarithm.

    The program's configuration weights the plain sum by 0.005: `beta` 1 with a weight of 0.005 in
    a recipe.

    Args:
        student: one (B, H, W) attention map per level.
        teachers: per level a list of (B, h, w) attention maps, one per teacher.
        beta: factor of the sum; the program has none, so 1.
        temperature: T.

    Returns:
        scalar, the mean over the batch.
    """
    total = student[0].new_zeros(())
    for own, others in _levels(student, teachers):
        for other in others:
            total = total + _released_term(own, _unit(other.flatten(1)), temperature)
    return beta * total


def mta_as_released_product(
    student: Sequence[Tensor],
    teachers: Sequence[Sequence[Tensor]],
    beta: float = 0.5,
    temperature: float = 9.0,
) -> Tensor:
    r"""The second mode of the authors' program, which none of its configurations uses.

    As `mta_as_released` with one term per level, of
    :math:`t = softmax(P / (||P||_1 T))`, :math:`P = \prod_i Q_{ti} / ||Q_{ti}||_2`. With a single
    teacher the program leaves out the second norm, and so does this.

    Args:
        student: one (B, H, W) attention map per level.
        teachers: per level a list of (B, h, w) attention maps, one per teacher.
        beta: factor of the sum; the program has none, so 1.
        temperature: T.

    Returns:
        scalar, the mean over the batch.
    """
    total = student[0].new_zeros(())
    for own, others in _levels(student, teachers):
        product = torch.stack([_unit(other.flatten(1)) for other in others]).prod(dim=0)
        if len(others) > 1:
            product = F.normalize(product, p=1, dim=1)
        total = total + _released_term(own, product, temperature)
    return beta * total


def mta_corrected(
    student: Sequence[Tensor],
    teachers: Sequence[Sequence[Tensor]],
    beta: float = 0.5,
    temperature: float = 9.0,
) -> Tensor:
    r"""The same intent with distributions, :math:`\beta T^2 \sum_j KL(p_t^j \,||\, p_s^j)`.

    :math:`p = softmax(\log Q / T)` over positions, so that p is proportional to
    :math:`Q^{1/T}` and does not depend on the scale of the activations; the teachers' log Q is
    the sum over the modalities. T^2 keeps the gradient's size as T grows (Hinton et al., 2015).
    It is zero exactly where the maps agree up to a factor, and positive elsewhere.

    Args:
        student: one (B, H, W) attention map per level.
        teachers: per level a list of (B, h, w) attention maps, one per teacher.
        beta: balance of the loss.
        temperature: T; 1 aligns the maps themselves, larger values their rough shape.

    Returns:
        scalar, the mean over the batch.
    """
    total = student[0].new_zeros(())
    for own, others in _levels(student, teachers):
        log_s = torch.log_softmax(torch.log(own.float() + TINY).flatten(1) / temperature, dim=1)
        log_t = torch.log_softmax(product_of_teachers(others).flatten(1) / temperature, dim=1)
        total = total + F.kl_div(log_s, log_t, reduction='batchmean', log_target=True)
    return beta * temperature**2 * total


MTA: dict[str, Callable[..., Tensor]] = {
    'as_printed': mta_as_printed,
    'as_released': mta_as_released,
    'as_released_product': mta_as_released_product,
    'corrected': mta_corrected,
}
"""The readings of equation 2 by their names in recipes."""


@LOSSES.register
class AttentionAlignment(DistillationLoss):
    """Multi-Teacher Alignment over the first levels of the pyramid, in the recipe's reading."""

    name = 'mta'
    needs = ('attention',)

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """Return the recipe's number of levels, from P3 on."""
        return first_levels(sizes, self.recipe.levels)

    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """See `DistillationLoss.forward`."""
        recipe = self.recipe
        student = [attention_map(level.float()) for level in output.maps]
        teachers = [
            [level[:, index] for index in range(level.shape[1])]
            for level in (covered(each, cells) for each in batch.attention)
        ]
        if recipe.combine == 'average':
            teachers = [mean_of_teachers(level) for level in teachers]
        smooth = {} if recipe.mta == 'as_printed' else {'temperature': recipe.temperature}
        return MTA[recipe.mta](student, teachers, beta=recipe.beta, **smooth)


def _levels(
    student: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]]
) -> list[tuple[Tensor, list[Tensor]]]:
    """Pair each level of the student with the teachers' maps, resized to the student's grid."""
    if len(student) != len(teachers) or not all(teachers):
        raise ValueError(
            f'expected maps of at least one teacher at each of {len(student)} levels, '
            f'found {[len(level) for level in teachers]}'
        )
    return [
        (own, [_resized(other, own.shape[-2:]) for other in others])
        for own, others in zip(student, teachers, strict=True)
    ]


def _resized(attention: Tensor, size: torch.Size) -> Tensor:
    if attention.shape[-2:] == size:
        return attention.float()
    return F.interpolate(attention.float()[:, None], size=size, mode='area')[:, 0]


def _released_term(own: Tensor, normalised: Tensor, temperature: float) -> Tensor:
    s = torch.softmax(_unit(own.flatten(1)) / temperature, dim=1)
    t = torch.softmax(normalised / temperature, dim=1)
    return F.kl_div(s, t, reduction='batchmean')


def _unit(flat: Tensor) -> Tensor:
    return flat / (flat.norm(dim=1, keepdim=True) + TINY)
