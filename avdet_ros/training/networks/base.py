"""Students behind one interface, whatever their input is and however they predict boxes.

A student of one's own is one file here, or in another package: a subclass of `StudentAdapter` (or
of `GridStudent`, for a network that fills a grid over the image) with a ``name``, decorated with
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

    It has a fitting and a model file of its own, `training.run.taught`; its drives need not have
    one rig. It has no pretext, and learns the boxes of teachers alone.

    Attributes:
        name: in recipes.
        input_kind: of the features it takes, see `StudentAdapter`.
        has_maps: whether teachers' maps can be compared with it.
    """

    name: ClassVar[str] = 'any_array'
    input_kind: ClassVar[str] = 'window'
    has_maps: ClassVar[bool] = False


class StudentAdapter(nn.Module, ABC):
    """A network with what training and export need to know of it.

    Attributes:
        name: in recipes.
        input_kind: of the features it takes, ``window`` or ``log_mel``, see
            `avdet_ros.dataset.features`.
        has_maps: whether it has maps over the image that teachers' maps can be compared with.
        takes_open_areas: whether its `loss` takes parts of the image that teach nothing.
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
        """A fresh student; see `make_student` for the arguments."""

    @abstractmethod
    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, frames) as a node gives it to the input of `forward`."""

    @abstractmethod
    def encode(self, spectrogram: Tensor) -> Tensor:
        """(B, channels, ...) deep features, which a pretext learns with."""

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a teacher's level of that size that can be compared: all."""
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
        """Boxes (B, K, 4) in parts of the image and logits (B, K) before suppression."""

    @abstractmethod
    def loss(
        self, prediction: Any, boxes: list[Tensor], how: LossRecipe
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Terms of the box loss, and by what number of things each was divided.

        With `takes_open_areas` there is one more argument, ``open_areas``: per window (m, 4)
        parts of the image in which nothing is taught, or an empty list.
        """

    def freeze_encoder(self) -> None:
        """Let `encode` stay as it is while the head learns.

        Raises:
            AvdetError: this student has no head apart from its encoder.
        """
        raise AvdetError(
            f'pretext.freeze: expected a student whose head is a part of its own, as steered, '
            f'found {self.name}'
        )

    def fit_scaling(self, levels_db: Tensor) -> None:
        """Learn mean and deviation of the levels from (N, 8, n_mels, T); fixed where not done."""


class GridPredictions:
    """`StudentAdapter.candidates` and `loss` of a prediction that is a grid over the image."""

    takes_open_areas: ClassVar[bool] = True

    def candidates(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """See `StudentAdapter.candidates`."""
        return decode(prediction.float())

    def loss(
        self,
        prediction: Tensor,
        boxes: list[Tensor],
        how: LossRecipe,
        open_areas: Sequence[Tensor] = (),
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """See `StudentAdapter.loss`."""
        prediction = prediction.float()
        targets = make_targets(boxes, *prediction.shape[-2:])
        taught = taught_cells(targets.heat, open_areas) if len(open_areas) else None
        return grid_loss(prediction, targets, how.huber, how.giou, taught), divisors(targets)


def make_student(
    recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
) -> StudentAdapter:
    """The student that a recipe names, its weights drawn from the recipe's seed.

    Args:
        recipe: how.
        rig: microphones and camera.
        area: where the image lies on the teachers' input.
        image_size: height and width of the teachers' input.

    Raises:
        AvdetError: there is no such student, or none that can be fitted beside others.
    """
    kind = STUDENTS.find(recipe.student.model)
    if kind is AnyArray:
        raise AvdetError(
            f'student.model: expected a student of one rig, which can be compared, searched and '
            f'timed, found {kind.name}; avdet train student teaches it'
        )
    torch.manual_seed(recipe.fit.seed)
    return kind.make(recipe, rig, area, image_size)
