"""Pretexts: easier tasks that a student learns first. What one has to do.

A pretext of one's own is one file here, or in another package: a subclass of `Pretext` with a
``name``, decorated with ``@PRETEXTS.register``. A recipe names it as ``pretext.task``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from lightning.pytorch import LightningModule
import torch
from torch import Tensor

from avdet_ros.training.data.augment import augment, generator_at
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.fitting.fit import refuse_bad_loss
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.recipes.student import StudentRecipe


class Pretext(LightningModule, ABC):
    """A task on the student's encoder, its weights shared.

    Attributes:
        name: in recipes.
        student: whose encoder learns.
        recipe: how.
        mirror: of the rig, None where the recipe does not mirror.

    Args:
        student: whose encoder learns.
        recipe: how.
        mirror: of the rig.
        channels: of what `StudentAdapter.encode` gives.
    """

    name: ClassVar[str]

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__()
        self.student, self.recipe, self.mirror = student, recipe, mirror

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""

    @abstractmethod
    def on_validation_epoch_start(self) -> None:
        """Begin to measure."""

    @abstractmethod
    def validation_step(self, batch: Batch, index: int) -> None:
        """Measure one batch."""

    @abstractmethod
    def validation_values(self) -> dict[str, float]:
        """What was measured; the epoch of the least ``loss`` is kept."""

    @abstractmethod
    def result(self, val: WindowDataset) -> dict[str, Any]:
        """What is noted of the best epoch, after its validation."""

    @abstractmethod
    def describe(self, result: dict[str, Any]) -> str:
        """A sentence on a `result`, for the log and the model card."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """One batch; its augmentation depends on seed, epoch and place only, so runs resume."""
        place = (self.recipe.fit.seed, self.current_epoch, index, self.global_rank)
        batch = augment(
            batch,
            self.recipe.augmentation,
            self.mirror,
            generator_at(place, self.device),
            self.student.cells,
        )
        loss = self.loss(batch)
        refuse_bad_loss({self.name: loss}, loss, self, index, batch.described())
        shown = {'prog_bar': True, 'on_epoch': True, 'on_step': False}
        self.log('train/loss', loss.detach(), batch_size=len(batch), **shown)
        return loss

    def on_validation_epoch_end(self) -> None:
        """Log what was measured."""
        for name, value in self.validation_values().items():
            self.log(f'val/{name}', value, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.recipe.pretext.learning_rate)
