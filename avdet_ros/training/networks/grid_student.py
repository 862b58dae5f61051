"""Compact students: networks that fill a grid of cells over the image.

There are three, so that the choice rests on measurements (models/MODEL_CARD.md): `steered`,
`image_grid` and `spectrogram_pyramid`.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import Rig
from avdet_ros.training.data.batch import StudentOutput
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.networks.base import GridPredictions, StudentAdapter
from avdet_ros.training.networks.layers import pool_frames
from avdet_ros.training.recipes.student import StudentRecipe


class GridStudent(GridPredictions, StudentAdapter):
    """A student with a map over the image and a grid of boxes on it.

    Attributes:
        network: makes the network of a subclass from a rig and its front end; it has ``features``
            and ``head``, see `avdet_ros.training.networks.layers`.

    Args:
        student: the network.
        area: where the image lies on the teachers' input.
    """

    network: ClassVar[type[nn.Module] | partial[nn.Module]]

    def __init__(self, student: nn.Module, area: PictureArea) -> None:
        super().__init__()
        self.student, self.area = student, area
        self.channels = student.channels
        self.frozen = False

    @classmethod
    def make(
        cls, recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
    ) -> GridStudent:
        """See `StudentAdapter.make`."""
        return cls(cls.network(rig, FrontEnd.of(rig)), area)

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """See `StudentAdapter.from_topic`."""
        return pool_frames(spectrogram)

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Compute the map over the image, (B, channels, rows, columns)."""
        return self.student.features(spectrogram)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of a teacher's level that the picture covers."""
        return self.area.cells(height, width)

    def forward(self, spectrogram: Tensor, levels: list[tuple[int, int]]) -> StudentOutput:
        """See `StudentAdapter.forward`; (B, 32, n_mels, T) pooled features."""
        features = self.student.features(spectrogram)
        return StudentOutput(
            self.student.head(features),
            [self.area.sample(features, *size) for size in levels],
            features.mean(dim=(2, 3)),
        )

    def freeze_encoder(self) -> None:
        """See `StudentAdapter.freeze_encoder`; batch norm statistics are frozen too."""
        self.frozen = True
        self.student.requires_grad_(False)
        self.student.head.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> GridStudent:
        """Set training mode; a frozen encoder's batch norms always stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for name, part in self.student.named_children():
                part.train(mode and name == 'head')
        return self

    def fit_scaling(self, levels_db: Tensor) -> None:
        """See `StudentAdapter.fit_scaling`."""
        self.student.scaling.fit(levels_db)
