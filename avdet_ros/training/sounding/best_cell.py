"""Attention that learns from the best cell alone, as AVOL-Net does.

R. Arandjelović and A. Zisserman, "Objects that sound", ECCV 2018, section 5: the sound's vector is
multiplied with each cell's, neither of length 1; a learned scale and shift and a sigmoid make of
it how surely the cell sounds; the best cell says whether picture and sound belong together, and
learns it from their own sounds and from others (multiple instances).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.sounding.attention import SIZE, Attention


class BestCell(Attention):
    """Maps without a sum of 1: where nothing sounds, no cell should.

    Args:
        way: ``literal`` or ``map``.
        places: of `attention.column_places`.
        channels: of the pictures that are looked at, the first ones.
    """

    def __init__(self, way: str, places: Tensor, channels: int = 3) -> None:
        super().__init__(way, places, channels)
        self.scale = nn.Parameter(torch.tensor(1 / SIZE**0.5))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def logits(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """(F, ROWS, COLUMNS) of each cell; arguments as of `forward`."""
        alike = (self.cells(pictures - 0.5) * self.vectors(maps)[:, :, None]).sum(dim=1)
        return self.scale * alike + self.shift

    def forward(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """(F, ROWS, COLUMNS) in [0, 1], how surely each cell sounds; see `Attention.forward`."""
        return self.logits(pictures, maps).sigmoid()

    def unlabelled_loss(self, pictures: Tensor, own: Tensor, foreign: Tensor) -> Tensor:
        """Cross-entropy of the best cells with own and with other sounds, a scalar."""
        right, wrong = (self.logits(pictures, maps).amax(dim=(1, 2)) for maps in (own, foreign))
        return functional.softplus(-right).mean() + functional.softplus(wrong).mean()

    def told_loss(self, pictures: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
        """Cross-entropy of the cells: those that sound and the others weigh the same, a scalar."""
        each = functional.binary_cross_entropy_with_logits(
            self.logits(pictures, maps), (masks > 0).float(), reduction='none'
        )
        there = masks > 0
        return each[there].mean() + each[~there].mean()
