"""One interface for all students, whatever their input and their way to predict boxes.

To add a student, write one file here or in another package: a subclass of `StudentAdapter` (or of
`GridStudent`, for a network that fills a grid over the image) with a ``name``, decorated with
``@STUDENTS.register``. A recipe names it as ``student.model``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig
from avdet_ros.training.boxes.grid import decode, make_targets
from avdet_ros.training.boxes.grid_loss import divisors, grid_loss, taught_cells
from avdet_ros.training.data.batch import StudentOutput
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.recipes.parts import LossRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS


@STUDENTS.register
class AnyArray:
    """The student for any array (`training.any_array`), as recipes name it.

    It has its own training loop and model file, `training.run.taught`; its drives need not share
    one rig. It has no pretext, and learns only the boxes of teachers.

    Attributes:
        name: in recipes.
        input_kind: of the features it takes, see `StudentAdapter`.
        has_maps: whether teachers' maps can be compared with it.
    """

    name: ClassVar[str] = 'any_array'
    input_kind: ClassVar[str] = 'window'
    has_maps: ClassVar[bool] = False


class StudentAdapter(nn.Module, ABC):
    """A network with the interface that training and export need.

    Attributes:
        name: in recipes.
        input_kind: of the features it takes, ``window`` or ``log_mel``, see
            `avdet_ros.dataset.features`.
        has_maps: whether it has maps over the image that teachers' maps can be compared with.
        takes_open_areas: whether its `loss` can ignore parts of the image.
        channels: of its maps and of its embedding.
    """

    name: ClassVar[str]
    input_kind: ClassVar[str] = 'window'
    has_maps: ClassVar[bool] = True
    takes_open_areas: ClassVar[bool] = False
    channels: int

    @classmethod
    @abstractmethod
    def make(
        cls, recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
    ) -> StudentAdapter:
        """Make a fresh student; see `make_student` for the arguments."""

    @abstractmethod
    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """Convert (B, 32, n_mels, frames) from a node to the input of `forward`."""

    @abstractmethod
    def encode(self, spectrogram: Tensor) -> Tensor:
        """Compute deep features, (B, channels, ...), which a pretext trains."""

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of a teacher's level that can be compared; here all."""
        return height, width

    @abstractmethod
    def forward(self, spectrogram: Tensor, levels: list[tuple[int, int]]) -> StudentOutput:
        """Predict.

        Args:
            spectrogram: (B, C, n_mels, T) features of `input_kind`.
            levels: sizes of the teachers' levels that maps are wanted for.
        """

    @abstractmethod
    def candidates(self, prediction: Any) -> tuple[Tensor, Tensor]:
        """Return boxes (B, K, 4), fractions of the image, and logits (B, K), unsuppressed."""

    @abstractmethod
    def loss(
        self, prediction: Any, boxes: list[Tensor], weights: LossRecipe
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the terms of the box loss, and the count by which each was divided.

        With `takes_open_areas` there is one more argument, ``open_areas``: per window (m, 4)
        areas, fractions of the image, in which there is no loss; or an empty list.
        """

    def freeze_encoder(self) -> None:
        """Freeze `encode` while the head is trained.

        Raises:
            AvdetError: this student has no head separate from its encoder.
        """
        raise AvdetError(
            f'pretext.freeze: expected a student with a separate head, such as steered, '
            f'found {self.name}'
        )

    def fit_scaling(self, levels_db: Tensor) -> None:
        """Set mean and deviation of the levels from (N, 8, n_mels, T); no effect by default."""


class GridPredictions:
    """`StudentAdapter.candidates` and `loss` for predictions on a grid over the image."""

    takes_open_areas: ClassVar[bool] = True

    def candidates(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """See `StudentAdapter.candidates`."""
        return decode(prediction.float())

    def loss(
        self,
        prediction: Tensor,
        boxes: list[Tensor],
        weights: LossRecipe,
        open_areas: Sequence[Tensor] = (),
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """See `StudentAdapter.loss`."""
        prediction = prediction.float()
        targets = make_targets(boxes, *prediction.shape[-2:])
        taught = taught_cells(targets.heat, open_areas) if len(open_areas) else None
        return grid_loss(prediction, targets, weights.huber, weights.giou, taught), divisors(
            targets
        )


def make_student(
    recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
) -> StudentAdapter:
    """Make the student that a recipe names, with weights drawn from the recipe's seed.

    Args:
        recipe: of the student.
        rig: microphones and camera.
        area: where the image lies on the teachers' input.
        image_size: height and width of the teachers' input.

    Raises:
        AvdetError: there is no such student, or it has its own training loop.
    """
    kind = STUDENTS.find(recipe.student.model)
    if kind is AnyArray:
        raise AvdetError(
            f'student.model: expected a student of one rig, which can be compared, searched and '
            f'timed, found {kind.name}; avdet train student teaches it'
        )
    torch.manual_seed(recipe.fit.seed)
    return kind.make(recipe, rig, area, image_size)
