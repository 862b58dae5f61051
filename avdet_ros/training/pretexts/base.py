"""The interface of a pretext: an easier task that a student is trained on first.

To add a pretext, write one file here or in another package: a subclass of `Pretext` (or of
`MeasuredPretext`, which averages its measurements) with a ``name``, decorated with
``@PRETEXTS.register``. A recipe selects it as ``pretext.task``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
import logging
from typing import Any, ClassVar

from lightning.pytorch import LightningModule
import numpy as np
import torch
from torch import Tensor

from avdet_ros.training.data.augment import augment, generator_at
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.fitting.fit import refuse_bad_loss
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe

APART_S = 4.0
"""Windows of one drive closer in time than this contain the same vehicles: no negatives."""

_logger = logging.getLogger(__name__)


class Pretext(LightningModule, ABC):
    """A task that trains the student's own encoder.

    Attributes:
        name: its name in recipes.
        needs: which of ``attention``, ``embedding`` and ``features`` of the teachers' label files
            it compares the sound with; () works without pictures.
        needs_mirror: whether the task itself mirrors sound.
        compares: whether windows of a batch are each other's negatives; half of a batch then
            comes from one drive.
        student: student whose encoder is trained.
        recipe: settings.
        mirror: mirror of the rig, None if the recipe does not mirror.

    Args:
        student: student whose encoder is trained.
        recipe: settings.
        mirror: mirror of the rig.
        channels: channels of the output of `StudentAdapter.encode`.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    needs_mirror: ClassVar[bool] = False
    compares: ClassVar[bool] = False

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__()
        self.student, self.recipe, self.mirror = student, recipe, mirror
        self.chance = generator_at((recipe.fit.seed,), torch.device('cpu'))

    @classmethod
    def needs_of(cls, recipe: StudentRecipe) -> tuple[str, ...]:
        """Return `needs` for a recipe; some pretexts use more data where available."""
        return cls.needs

    @property
    def augmentation(self) -> Augmentation:
        """The recipe's augmentation without the parts that would spoil the task."""
        return self.recipe.augmentation

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Build what depends on the windows, before the first step.

        Raises:
            AvdetError: the windows lack data that the task needs.
        """
        if self.compares and len(set(train.drives)) < 2:
            _logger.warning(
                '%s: all windows are of one drive, or of drives unknown: there are no negatives '
                'from elsewhere, so that what is constant in the drive is not learned',
                self.name,
            )

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar; `chance` is seeded by seed, epoch and position."""

    @abstractmethod
    def on_validation_epoch_start(self) -> None:
        """Reset the validation measurements."""

    @abstractmethod
    def validation_step(self, batch: Batch, index: int) -> None:
        """Measure one batch."""

    @abstractmethod
    def validation_values(self) -> dict[str, float]:
        """Return the measurements; the epoch with the lowest ``loss`` is kept."""

    @abstractmethod
    def result(self, val: WindowDataset) -> dict[str, Any]:
        """Return the results to record for the best epoch, after its validation."""

    @abstractmethod
    def describe(self, result: dict[str, Any]) -> str:
        """Summarise a `result` in a sentence, for the log and the model card."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Compute one batch's loss; augmentation depends on seed and position, so runs resume."""
        place = (self.recipe.fit.seed, self.current_epoch, index, self.global_rank)
        batch = augment(
            batch,
            self.augmentation,
            self.mirror,
            generator_at(place, self.device),
            self.student.cells,
        )
        self.chance = generator_at((*place, 1), self.device)
        loss = self.loss(batch)
        refuse_bad_loss({self.name: loss}, loss, self, index, batch.described())
        shown = {'prog_bar': True, 'on_epoch': True, 'on_step': False}
        self.log('train/loss', loss.detach(), batch_size=len(batch), **shown)
        return loss

    def on_validation_epoch_end(self) -> None:
        """Log the measurements."""
        for name, value in self.validation_values().items():
            self.log(f'val/{name}', value, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Use AdamW at a constant learning rate."""
        return torch.optim.AdamW(self.parameters(), lr=self.recipe.pretext.learning_rate)


class MeasuredPretext(Pretext):
    """A pretext whose validation averages the measurements of all batches."""

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self._sums: dict[str, float] = {}
        self._weight = 0.0

    @abstractmethod
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """Return means over a batch: ``loss`` and further values to report."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the ``loss`` of `measure`."""
        return self.measure(batch)['loss']

    def on_validation_epoch_start(self) -> None:
        """Reset the sums."""
        self._sums, self._weight = {}, 0.0

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add one batch; the random draws are the same in each epoch."""
        self.chance = generator_at((self.recipe.fit.seed, index), batch.spectrogram.device)
        for name, value in self.measure(batch).items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value) * len(batch)
        self._weight += len(batch)

    def validation_values(self) -> dict[str, float]:
        """Return the means over all batches."""
        return {name: value / self._weight for name, value in self._sums.items()}

    def result(self, val: WindowDataset) -> dict[str, Any]:
        """Return the means of the best epoch."""
        return self.validation_values()


def without(augmentation: Augmentation, *names: str) -> Augmentation:
    """Return an augmentation with some of its settings switched off."""
    off = {name: type(getattr(augmentation, name))(0) for name in names}
    return replace(augmentation, **off)


def negatives(batch: Batch, device: torch.device) -> Tensor:
    """Mark the pairs of windows that can serve as negatives, (B, B) bool.

    Windows of one drive less than `APART_S` apart have the same vehicles and are excluded. If the
    drives are unknown, only a window and itself are excluded.
    """
    other = ~torch.eye(len(batch), dtype=torch.bool, device=device)
    if not batch.drives:
        return other
    _, drive_numbers = np.unique(batch.drives, return_inverse=True)
    number = torch.from_numpy(drive_numbers).to(device)
    same = number[:, None] == number[None]
    if batch.times_s:
        time_s = torch.tensor(batch.times_s, device=device)
        same &= (time_s[:, None] - time_s[None]).abs() < APART_S
    return other & ~same
