"""Interface of the losses by which a student learns from its teachers' features.

To add a loss, write one file here or in another package: a subclass of `DistillationLoss` with a
``name``, decorated with ``@LOSSES.register``. A recipe names it as ``transfer.loss``.
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
"""From the size of a teacher's level to the rows and columns that can be compared."""


class DistillationLoss(nn.Module, ABC):
    """A loss between the student's and the teachers' features.

    Attributes:
        name: in recipes.
        needs: the arrays of the label files that it uses, some of ``attention``, ``embedding``
            and ``features``.
        compares_maps: whether the student must have a map over the image.
        recipe: its part of the recipe.

    Args:
        recipe: its part of the recipe.
        channels: of the student's maps.
        teacher_channels: of the teachers' features.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    compares_maps: ClassVar[bool] = True

    def __init__(self, recipe: TransferRecipe, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.recipe = recipe

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """Select from the sizes of the teachers' levels those that the student needs maps for."""
        return []

    @abstractmethod
    def forward(self, output: StudentOutput, batch: Batch, cells: Cells) -> Tensor:
        """Compute the loss of a batch, a scalar without its weight.

        Args:
            output: of the student.
            batch: with the teachers' outputs.
            cells: of the student.
        """


def first_levels(sizes: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return height and width of the first ``most`` levels."""
    return [tuple(size) for size in sizes[:most].tolist()]


def covered(level: Tensor, cells: Cells) -> Tensor:
    """Return the part of a teacher's map that the picture covers."""
    rows, columns = cells(*level.shape[-2:])
    return level[..., :rows, :columns].float()
