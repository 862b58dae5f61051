"""Attention that learns from the best cell alone, like AVOL-Net.

R. Arandjelović and A. Zisserman, "Objects that sound", ECCV 2018, section 5: the scalar product of
the sound's and each cell's vector, neither of length 1, becomes the probability that the cell
sounds through a learned scale and shift and a sigmoid. The best cell decides whether picture and
sound belong together, and is trained on own and on other sounds (multiple-instance learning).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.sounding.attention import SIZE, Attention


class BestCell(Attention):
    """Attention whose maps need not sum to 1: if nothing sounds, all cells can be low.

    Args:
        way: ``literal`` or ``map``.
        places: result of `attention.column_places`.
        channels: number of the pictures' channels to use, from the first on.
    """

    def __init__(self, way: str, places: Tensor, channels: int = 3) -> None:
        super().__init__(way, places, channels)
        self.scale = nn.Parameter(torch.tensor(1 / SIZE**0.5))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def logits(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """Return (F, ROWS, COLUMNS) logits of the cells; arguments as of `forward`."""
        alike = (self.cells(pictures - 0.5) * self.vectors(maps)[:, :, None]).sum(dim=1)
        return self.scale * alike + self.shift

    def forward(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """Return (F, ROWS, COLUMNS) in [0, 1], whether cells sound; see `Attention.forward`."""
        return self.logits(pictures, maps).sigmoid()

    def unlabelled_loss(self, pictures: Tensor, own: Tensor, foreign: Tensor) -> Tensor:
        """Return the cross-entropy of the best cells with own and other sounds, a scalar."""
        right, wrong = (self.logits(pictures, maps).amax(dim=(1, 2)) for maps in (own, foreign))
        return functional.softplus(-right).mean() + functional.softplus(wrong).mean()

    def labelled_loss(self, pictures: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
        """Return the cells' cross-entropy, sounding and silent ones weighted equally, a scalar."""
        each = functional.binary_cross_entropy_with_logits(
            self.logits(pictures, maps), (masks > 0).float(), reduction='none'
        )
        sounding = masks > 0
        return each[sounding].mean() + each[~sounding].mean()
