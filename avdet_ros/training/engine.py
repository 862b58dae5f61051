"""Fitting a student: what one step, one validation and one run are; Lightning does the loop."""

from __future__ import annotations

import logging
from pathlib import Path
import warnings

from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES
from avdet_ros.training import loop
from avdet_ros.training.augment import Mirror, augment
from avdet_ros.training.detector import suppress_each
from avdet_ros.training.grid import decode, make_targets
from avdet_ros.training.grid_loss import grid_loss
from avdet_ros.training.loop import CHECKPOINTS, cosine_adamw, running_mean, spread
from avdet_ros.training.recipe import StudentRecipe
from avdet_ros.training.scores import average_precisions
from avdet_ros.training.window_set import Batch, WindowSet, batches


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
        loss = self.recipe.loss
        terms = grid_loss(grid, targets, loss.huber, loss.giou)
        if not torch.isfinite(terms['loss']):
            raise AvdetError(
                f'training stopped in epoch {self.current_epoch}, batch {index}: expected a '
                f'finite loss, found {float(terms["loss"].detach())} with the training windows '
                f'{min(batch.indices)} to {max(batch.indices)} among {batch.indices[:4]}...; '
                'the checkpoints up to the last epoch are kept'
            )
        for name, term in terms.items():
            self.log(f'train/{name}', term.detach(), prog_bar=name == 'loss', on_epoch=True,
                     on_step=False, batch_size=len(boxes))  # fmt: skip
        return terms['loss']

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss and boxes of one batch."""
        grid = self.student(batch.spectrogram).float()
        targets = make_targets(batch.boxes, *grid.shape[-2:])
        loss = self.recipe.loss
        terms = grid_loss(grid, targets, loss.huber, loss.giou)
        self.log('val/loss', terms['loss'], batch_size=len(batch.boxes), sync_dist=True)
        self._found += boxes_of(grid)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's boxes."""
        self._found = []

    def on_validation_epoch_end(self) -> None:
        """Score the boxes of all batches."""
        precision = average_precisions(self._found, self.watched)
        for name, value in zip(('map', 'map50', 'map75'), precision, strict=True):
            self.log(f'val/{name}', value, prog_bar=name != 'map75', sync_dist=True)

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
        AvdetError: the loss is not a number.
    """
    seed_everything(recipe.fit.seed, workers=True, verbose=False)
    train = train.first(recipe.fit.windows)
    levels = np.stack([train.features[index][:MICROPHONES] for index in spread(len(train))])
    student.scaling.fit(torch.from_numpy(levels).float())
    task = StudentTask(student, recipe, val, mirror)
    checkpoints = folder / CHECKPOINTS
    same_name = {'dirpath': checkpoints, 'enable_version_counter': False}
    watching: list[Callback] = [
        ModelCheckpoint(filename='best', monitor='val/map', mode='max', **same_name),
        ModelCheckpoint(filename='last', save_on_train_epoch_end=True, **same_name),
        EarlyStopping('val/map', mode='max', patience=recipe.fit.patience),
        *(callbacks or []),
    ]
    if recipe.fit.average > 0:
        watching.append(WeightAveraging(avg_fn=running_mean(recipe.fit.average)))
    if progress:
        watching.append(RichProgressBar())
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Advice about worker processes: rows of a memory map need none.
        warnings.filterwarnings('ignore', '.*does not have many workers.*')
        warnings.filterwarnings('ignore', '.*smaller than the logging interval.*')
        warnings.filterwarnings('ignore', '.*exists and is not empty.*')
        warnings.filterwarnings('ignore', '.*LeafSpec.*')
        trainer = Trainer(
            max_epochs=recipe.fit.epochs,
            accelerator='auto',
            devices='auto' if torch.cuda.is_available() else 1,
            deterministic='warn',
            precision=recipe.fit.precision,
            gradient_clip_val=5.0,
            callbacks=watching,
            logger=[CSVLogger(folder, 'log'), TensorBoardLogger(folder, 'log', '')],
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=20,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        share = {'replicas': trainer.world_size, 'rank': trainer.global_rank}
        last = checkpoints / 'last.ckpt'
        trainer.fit(
            task,
            batches(train, recipe.fit.batch, recipe.fit.seed, **share),
            batches(val, 2 * recipe.fit.batch),
            ckpt_path=last if last.exists() else None,
            weights_only=True,
        )
    return load_best(student, folder)


def load_best(student: nn.Module, folder: Path) -> nn.Module:
    """The weights of a run's best epoch, in evaluation mode.

    Raises:
        AvdetError: there is no such checkpoint, or it is of another network.
    """
    return loop.load_best(student, folder / CHECKPOINTS / 'best.ckpt', 'student.')


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
