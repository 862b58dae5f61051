"""The Lightning module that trains a student, and the function that fits it.

    L = box terms + omega * transfer

The student defines the box terms on the labelled boxes, whatever the source of the labels. The
transfer term is optional: a loss of `avdet_ros.training.losses` between the teachers' features and
the student's, such as Multi-Teacher Alignment (MM-DistillNet, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import Callback, Timer
import numpy as np
import torch
from torch import Tensor

from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.augment import augment, generator_at
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset, loader
from avdet_ros.training.fitting.distributed import balanced_over_ranks
from avdet_ros.training.fitting.fit import (
    cosine_adamw,
    load_best,
    refuse_bad_loss,
    run_fit,
    validation_values,
)
from avdet_ros.training.losses.base import DistillationLoss
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.networks.calibrated import found_boxes
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import LOSSES
from avdet_ros.training.results.scores import average_precisions

GRADIENTS_EVERY = 50
"""Steps between two measurements of each term's gradient norm; the epoch's mean is logged."""

SCALED_WITH = 512
"""Number of training windows from which mean and deviation of the levels are estimated."""


class StudentTask(LightningModule):
    """Train a student on boxes and, with a transfer loss, on teachers' features.

    Args:
        student: the network.
        transfer: the loss between features, None for boxes alone.
        recipe: settings.
        val: validation windows; every process scores all of them.
        mirror: mirror of the rig, None if the recipe does not mirror.
        levels: sizes of the teachers' levels that are compared.
    """

    def __init__(
        self,
        student: StudentAdapter,
        transfer: DistillationLoss | None,
        recipe: StudentRecipe,
        val: WindowDataset,
        mirror: Mirror | None,
        levels: list[tuple[int, int]],
    ) -> None:
        super().__init__()
        self.student, self.transfer, self.recipe = student, transfer, recipe
        self.val, self.mirror, self.levels = val, mirror, levels
        self._found: list[tuple[Any, ...]] = []
        self._losses: list[float] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Compute one batch's loss; augmentation depends on seed and position, so runs resume."""
        place = (self.recipe.fit.seed, self.current_epoch, index, self.global_rank)
        chance = generator_at(place, self.device)
        augmentation = self.recipe.augmentation
        batch = augment(batch, augmentation, self.mirror, chance, self.student.cells)
        output = self.student(batch.spectrogram, self.levels)
        terms, counts = self.student.loss(
            output.prediction, batch.boxes, self.recipe.loss, **_open_areas(batch)
        )
        terms = balanced_over_ranks(terms, counts, self.device)
        if self.transfer is not None:
            transferred = self.transfer(output, batch, self.student.cells)
            terms['transfer'] = self.recipe.transfer.weight * transferred
        loss = torch.stack(list(terms.values())).sum()
        refuse_bad_loss(terms, loss, self, index, batch.described())
        if index % GRADIENTS_EVERY == 0:
            self._log_gradients(terms)
        for name, term in {**terms, 'loss': loss}.items():
            shown = {'prog_bar': name == 'loss', 'on_epoch': True, 'on_step': False}
            self.log(f'train/{name}', term.detach(), batch_size=len(batch), **shown)
        return loss

    def _log_gradients(self, terms: dict[str, Tensor]) -> None:
        """Log the norm of each term's gradient with respect to the student's weights."""
        weights = [item for item in self.student.parameters() if item.requires_grad]
        for name, term in terms.items():
            if not term.requires_grad:
                continue
            parts = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            squares = [part.detach().float().square().sum() for part in parts if part is not None]
            norm = torch.stack(squares).sum().sqrt() if squares else term.new_zeros(())
            self.log(f'gradient/{name}', norm, on_step=False, on_epoch=True, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        """Discard the last epoch's boxes."""
        self._found, self._losses = [], []

    def validation_step(self, batch: Batch, index: int) -> None:
        """Collect loss and boxes of one batch."""
        output = self.student(batch.spectrogram, [])
        terms, _ = self.student.loss(
            output.prediction, batch.boxes, self.recipe.loss, **_open_areas(batch)
        )
        self._losses += [float(sum(terms.values()))] * len(batch)
        self._found += found_boxes(self.student, output.prediction)

    def on_validation_epoch_end(self) -> None:
        """Score the boxes of all batches against the labels."""
        precision = average_precisions(self._found, self.val)
        for name, value in validation_values(precision, self._losses).items():
            self.log(f'val/{name}', value, prog_bar=name in ('map', 'loss'), sync_dist=False)

    def configure_optimizers(self) -> dict[str, Any]:
        """Use AdamW with a warm-up and a cosine to 0, or the paper's Adam with plateaus."""
        fit = self.recipe.fit
        parameters = [item for item in self.parameters() if item.requires_grad]
        if fit.schedule == 'plateau':
            adam = torch.optim.Adam(
                parameters, lr=fit.learning_rate, betas=(0.9, 0.999), weight_decay=fit.weight_decay
            )
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, mode='max', patience=5)
            watch = {'scheduler': schedule, 'monitor': 'val/score'}
            return {'optimizer': adam, 'lr_scheduler': watch}
        return cosine_adamw(parameters, self.trainer, fit.learning_rate, fit.weight_decay)


def fit_student(
    student: StudentAdapter,
    recipe: StudentRecipe,
    train: WindowDataset,
    val: WindowDataset,
    folder: Path,
    mirror: Mirror | None,
    progress: Progress = SILENT,
    callbacks: Sequence[Callback] = (),
) -> float:
    """Fit a student, or resume an interrupted run, and load its best weights.

    Args:
        student: fresh, or with the weights of the pretext.
        recipe: settings.
        train: training windows.
        val: windows that select the best epoch, by mAP against their labels.
        folder: receives ``checkpoints/`` (last.ckpt, best.ckpt) and ``log/`` (TensorBoard events,
            and one version_N/metrics.csv each time the run was started).
        mirror: mirror of the rig, or None if the recipe does not mirror.
        progress: displays the progress.
        callbacks: additional Lightning callbacks.

    Returns:
        Minutes of fitting, summed over all interruptions.

    Raises:
        AvdetError: see `run_fit`.
    """
    fit = recipe.fit
    seed_everything(fit.seed, workers=True, verbose=False)
    train = train.share_of_drives(fit.drives, fit.seed).at_most(fit.windows)
    scale_levels(student, train)
    transfer, levels = None, []
    if recipe.transfer.loss != 'none':
        kind = LOSSES.find(recipe.transfer.loss)
        transfer = kind(recipe.transfer, student.channels, teacher_channels(train))
        levels = transfer.levels(train.level_sizes)
    if recipe.pretext.freeze:
        student.freeze_encoder()
    timer = Timer()  # its time is stored in the checkpoints: interruptions do not count
    best = run_fit(
        StudentTask(student, transfer, recipe, val, mirror, levels),
        loader(train, fit.batch, fit.seed, len(levels)),
        loader(val, 2 * fit.batch),
        folder,
        epochs=fit.epochs,
        seed=fit.seed,
        watch='val/score',
        largest=True,
        patience=fit.patience,
        precision=fit.precision,
        average=fit.average,
        progress=progress,
        callbacks=[timer, *callbacks],
    )
    load_best(student, best, 'student.')
    return timer.time_elapsed('train') / 60


def _open_areas(batch: Batch) -> dict[str, list[Tensor]]:
    """Return the argument of `StudentAdapter.loss` that only label filters produce."""
    return {'open_areas': batch.open_areas} if batch.open_areas else {}


def scale_levels(student: StudentAdapter, train: WindowDataset) -> None:
    """Estimate mean and deviation of the levels from training windows spread over the set."""
    places = evenly_spaced(len(train), SCALED_WITH)
    levels = np.stack([train.spectrogram[place][:MICROPHONES] for place in places])
    student.fit_scaling(torch.from_numpy(levels).float())


def teacher_channels(train: WindowDataset) -> int:
    """Return the number of channels of the teachers' features, 0 if none are loaded."""
    for rows, axis in ((train.teacher_features, 1), (train.embedding, 2)):
        if len(rows):
            return np.asarray(rows[0]).shape[axis]
    return 0
