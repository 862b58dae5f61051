"""What a student can learn from its teachers' features, beside their boxes: the interface.

A loss of one's own is one file here, or in another package: a subclass of `DistillationLoss` with
a ``name``, decorated with ``@LOSSES.register``. A recipe names it as ``transfer.loss``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from avdet_ros.training.data.batch import Batch, StudentOutput
from avdet_ros.training.recipes.parts import TransferRecipe

Cells = Callable[[int, int], tuple[int, int]]
"""Rows and columns of a teacher's level of some size that the student can be compared on."""


class DistillationLoss(nn.Module, ABC):
    """A loss between the student's and the teachers' features.

    Attributes:
        name: in recipes.
        needs: which arrays of the label files it looks at, some of ``attention``, ``embedding``
            and ``features``.
        compares_maps: whether the student must have a map over the image.
        how: the recipe's part.

    Args:
        how: the recipe's part.
        channels: of the student's maps.
        teacher_channels: of the teachers' features.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    compares_maps: ClassVar[bool] = True

    def __init__(self, how: TransferRecipe, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.how = how

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """Of all the teachers' levels the sizes of those that the student has to have maps for."""
        return []

    @abstractmethod
    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """The loss of a batch, a scalar, not yet weighted.

        Args:
            output: of the student.
            batch: with what the teachers saw.
            cells: of the student.
        """


def first_levels(sizes: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Height and width of the first so many levels."""
    return [tuple(size) for size in sizes[:most].tolist()]


def covered(level: Tensor, cells: Cells) -> Tensor:
    """The part of a teacher's map that the picture covers."""
    rows, columns = cells(*level.shape[-2:])
    return level[..., :rows, :columns].float()
