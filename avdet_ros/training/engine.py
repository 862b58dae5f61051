"""Fitting a student: what one step, one validation and one run are; Lightning does the loop."""

from __future__ import annotations

from collections.abc import Callable
import logging
import math
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
from avdet_ros.training.augment import Mirror, augment
from avdet_ros.training.detector import suppress
from avdet_ros.training.grid import decode, make_targets
from avdet_ros.training.grid_loss import grid_loss
from avdet_ros.training.recipe import StudentRecipe
from avdet_ros.training.scores import average_precisions
from avdet_ros.training.window_set import Batch, WindowSet, batches

WARM_UP = 0.05
"""Part of the steps in which the learning rate rises."""

SCALED_WITH = 512
"""Training windows that mean and spread of the levels are taken from."""


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
        decayed = [item for item in self.student.parameters() if item.ndim > 1]
        plain = [item for item in self.student.parameters() if item.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {'params': decayed, 'weight_decay': fit.weight_decay},
                {'params': plain, 'weight_decay': 0.0},
            ],
            lr=fit.learning_rate,
        )
        total = max(int(self.trainer.estimated_stepping_batches), 1)
        rising = max(1, int(WARM_UP * total))

        def factor(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


def boxes_of(grid: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (n, 4) in parts of the image and logits (n,), best first, of each window."""
    boxes, logits = decode(grid.float())
    results = []
    for window_boxes, window_logits in zip(boxes.cpu(), logits.cpu(), strict=True):
        kept, values = suppress(window_boxes, window_logits)
        results.append((kept.numpy(), values.numpy()))
    return results


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
    levels = np.stack([train.features[index][:MICROPHONES] for index in _spread(len(train))])
    student.scaling.fit(torch.from_numpy(levels).float())
    task = StudentTask(student, recipe, val, mirror)
    checkpoints = folder / 'checkpoints'
    same_name = {'dirpath': checkpoints, 'enable_version_counter': False}
    watching: list[Callback] = [
        ModelCheckpoint(filename='best', monitor='val/map', mode='max', **same_name),
        ModelCheckpoint(filename='last', save_on_train_epoch_end=True, **same_name),
        EarlyStopping('val/map', mode='max', patience=recipe.fit.patience),
        *(callbacks or []),
    ]
    if recipe.fit.average > 0:
        watching.append(WeightAveraging(avg_fn=_running_mean(recipe.fit.average)))
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


def _running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """An exponential mean that forgets its beginning: short at first, as long as asked later."""

    def mean(average: Tensor, now: Tensor, steps: Tensor) -> Tensor:
        if not torch.is_floating_point(average):
            return now
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return average.lerp(now, 1 - kept)

    return mean


def load_best(student: nn.Module, folder: Path) -> nn.Module:
    """The weights of a run's best epoch, in evaluation mode.

    Raises:
        AvdetError: there is no such checkpoint, or it is of another network.
    """
    path = folder / 'checkpoints' / 'best.ckpt'
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise AvdetError(f'cannot read the checkpoint {path}: {error.strerror}') from error
    prefix = 'student.'
    weights = {
        key.removeprefix(prefix): value
        for key, value in checkpoint['state_dict'].items()
        if key.startswith(prefix)
    }
    try:
        student.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()
        raise AvdetError(
            f'{path}: expected the weights of a {type(student).__name__}, found others: '
            f'{reason[min(1, len(reason) - 1)].strip()[:200]}'
        ) from error
    return student.eval()


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


def _spread(count: int) -> np.ndarray:
    """Up to `SCALED_WITH` places, evenly over the set."""
    return np.unique(np.linspace(0, count - 1, min(count, SCALED_WITH)).astype(int))
