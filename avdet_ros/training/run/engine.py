"""Fitting a student: what one step, one validation and one run are; Lightning does the loop."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import Callback
import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.augment import Mirror, augment
from avdet_ros.training.data.window_set import Batch, WindowSet, batches
from avdet_ros.training.fitting import fit as fitting
from avdet_ros.training.fitting.distributed import evened
from avdet_ros.training.fitting.fit import (
    CHECKPOINTS,
    cosine_adamw,
    refuse_bad_loss,
    run_fit,
    spread,
    validated,
)
from avdet_ros.training.networks.grid import decode, make_targets
from avdet_ros.training.networks.grid_loss import divisors, grid_loss
from avdet_ros.training.networks.postprocess import suppress_each
from avdet_ros.training.recipes.read import StudentRecipe
from avdet_ros.training.run.scores import average_precisions


class StudentTask(LightningModule):
    """A student learning boxes.

    Attributes:
        student: the network.
        recipe: how it learns.
        watched: the validation windows; every process scores all of them.
        mirror: of the rig.
    """

    def __init__(
        self, student: nn.Module, recipe: StudentRecipe, watched: WindowSet, mirror: Mirror | None
    ) -> None:
        super().__init__()
        self.student, self.recipe, self.watched, self.mirror = student, recipe, watched, mirror
        self._found: list[tuple] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """One batch; its augmentation depends on seed, epoch and place only, so runs resume."""
        generator = torch.Generator(self.device)
        place = (self.recipe.fit.seed, self.current_epoch, index, self.global_rank)
        generator.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        spectrogram, boxes = augment(
            batch.spectrogram, batch.boxes, self.recipe.augmentation, self.mirror, generator
        )
        grid = self.student(spectrogram).float()
        targets = make_targets(boxes, *grid.shape[-2:])
        weights = self.recipe.loss
        terms = grid_loss(grid, targets, weights.huber, weights.giou)
        del terms['loss']
        terms = evened(terms, divisors(targets), self.device)
        loss = torch.stack(list(terms.values())).sum()
        windows = f'training windows {min(batch.indices)} to {max(batch.indices)}'
        refuse_bad_loss(terms, loss, self, index, windows)
        for name, term in {**terms, 'loss': loss}.items():
            self.log(f'train/{name}', term.detach(), prog_bar=name == 'loss', on_epoch=True,
                     on_step=False, batch_size=len(boxes))  # fmt: skip
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss and boxes of one batch."""
        grid = self.student(batch.spectrogram).float()
        targets = make_targets(batch.boxes, *grid.shape[-2:])
        loss = self.recipe.loss
        terms = grid_loss(grid, targets, loss.huber, loss.giou)
        self._losses += [float(terms['loss'])] * len(batch.boxes)
        self._found += boxes_of(grid)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's boxes."""
        self._found, self._losses = [], []

    def on_validation_epoch_end(self) -> None:
        """Score the boxes of all batches."""
        precision = average_precisions(self._found, self.watched)
        for name, value in validated(precision, self._losses).items():
            self.log(f'val/{name}', value, prog_bar=name in ('map', 'map50'), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """AdamW, no decay on biases and norms; a short rise, then a cosine to 0."""
        fit = self.recipe.fit
        parameters = list(self.student.parameters())
        return cosine_adamw(parameters, self.trainer, fit.learning_rate, fit.weight_decay)


def boxes_of(grid: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (n, 4) in parts of the image and logits (n,), best first, of each window."""
    return suppress_each(*decode(grid.float()))


def fit(
    student: nn.Module,
    recipe: StudentRecipe,
    train: WindowSet,
    val: WindowSet,
    folder: Path,
    mirror: Mirror | None,
    progress: bool = True,
    callbacks: list[Callback] | None = None,
) -> nn.Module:
    """Fit a student, or go on where a killed run stopped.

    Args:
        student: fresh; changed in place.
        recipe: how.
        train: windows to learn from.
        val: windows that choose the epoch.
        folder: gets ``checkpoints/`` (last.ckpt, best.ckpt) and ``log/`` (TensorBoard events, and
            one version_N/metrics.csv each time the run was started).
        mirror: of the rig, or None where the recipe does not mirror.
        progress: draw a progress bar.
        callbacks: more of Lightning's callbacks.

    Returns:
        The student with the weights of its best epoch by validation mAP.

    Raises:
        AvdetError: see `run_fit`.
    """
    seed_everything(recipe.fit.seed, workers=True, verbose=False)
    train = train.first(recipe.fit.windows)
    levels = np.stack([train.features[index][:MICROPHONES] for index in spread(len(train))])
    student.scaling.fit(torch.from_numpy(levels).float())
    run_fit(
        StudentTask(student, recipe, val, mirror),
        batches(train, recipe.fit.batch, recipe.fit.seed),
        batches(val, 2 * recipe.fit.batch),
        folder,
        epochs=recipe.fit.epochs,
        seed=recipe.fit.seed,
        watch='val/score',
        largest=True,
        patience=recipe.fit.patience,
        precision=recipe.fit.precision,
        average=recipe.fit.average,
        progress=progress,
        callbacks=callbacks or [],
    )
    return load_best(student, folder)


def load_best(student: nn.Module, folder: Path) -> nn.Module:
    """The weights of a run's best epoch, in evaluation mode.

    Raises:
        AvdetError: there is no such checkpoint, or it is of another network.
    """
    return fitting.load_best(student, folder / CHECKPOINTS / 'best.ckpt', 'student.')


def predict(
    student: nn.Module, windows: WindowSet, batch: int = 64
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and logits of every window of a set, see `boxes_of`."""
    student.eval()
    found = []
    with torch.inference_mode():
        for part in batches(windows, batch):
            found += boxes_of(student(part.spectrogram))
    return found
