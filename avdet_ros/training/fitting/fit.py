"""Train any task with Lightning's loop and checkpoints that allow an exact resumption.

``checkpoints/last.ckpt`` is written after every epoch, ``best.ckpt`` whenever the watched number
is the best so far; ``log/`` has TensorBoard events and CSV files. A run that was killed repeats
the epoch in which it was killed, and ends with the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import errno
import io
import logging
import math
from pathlib import Path
import shutil
from typing import Any
import warnings

from lightning.pytorch import LightningModule, Trainer
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
from torch.utils.data import DataLoader

from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.fitting.distributed import trainer_places
from avdet_ros.training.tensor_files import load_tensors

CHECKPOINTS = 'checkpoints'

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""

TIE = 1e-6
"""Weight of the loss against the mAP: it decides between equal mAPs, which are all 0 at first."""


def validation_values(precision: Sequence[float], losses: Sequence[float]) -> dict[str, float]:
    """Return the values to log after an epoch's validation.

    Args:
        precision: average precision over all IoUs, at 0.5 and at 0.75; NaN where there is nothing
            to find, which counts as 0.
        losses: of each window.

    Returns:
        map, map50, map75, loss, and the score that chooses the best epoch.
    """
    loss, known = float(np.mean(losses)), map(float, np.nan_to_num(precision))
    values = dict(zip(('map', 'map50', 'map75'), known, strict=True))
    return values | {'loss': loss, 'score': values['map'] - TIE * min(loss, 1e3)}


def run_fit(
    task: LightningModule,
    train: DataLoader,
    val: DataLoader,
    folder: Path,
    *,
    epochs: int,
    seed: int,
    watch: str,
    largest: bool,
    patience: int | None = None,
    precision: str = '32-true',
    clip: float = 5.0,
    average: float = 0.0,
    progress: Progress = SILENT,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a task, or resume where a killed run stopped.

    Args:
        task: defines a step.
        train: training batches; a sampler with ``set_epoch`` orders them by epoch.
        val: validation batches, for the choice of the epoch.
        folder: receives ``checkpoints/`` and ``log/``.
        epochs: at most.
        seed: of all randomness inside an epoch.
        watch: name of the logged number that chooses the epoch.
        largest: whether larger is better.
        patience: epochs without a better one after which training ends.
        precision: Lightning's name for it.
        clip: largest norm of a gradient.
        average: decay of a running mean of the weights, 0 for none.
        progress: Lightning draws bars where it is visible.
        callbacks: additional ones for Lightning.

    Returns:
        The checkpoint of the best epoch.

    Raises:
        AvdetError: the loss is not a number, the disk is full, or the checkpoint to resume from
            is damaged or of another network.
    """
    places = folder / CHECKPOINTS
    mode = 'max' if largest else 'min'
    plain = {'dirpath': places, 'enable_version_counter': False}
    best = ModelCheckpoint(filename='best', monitor=watch, mode=mode, **plain)
    watching: list[Callback] = [
        best,
        # A separate callback: save_last would write only when the best epoch improved.
        ModelCheckpoint(filename='last', save_on_train_epoch_end=True, **plain),
        SeedEachEpoch(seed),
        *callbacks,
    ]
    if patience is not None:
        watching.append(EarlyStopping(watch, mode=mode, patience=patience))
    if average > 0:
        watching.append(WeightAveraging(avg_fn=running_mean(average)))
    if progress.visible:
        watching.append(RichProgressBar())
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    with warnings.catch_warnings(), translate_errors(folder):
        # Advice about worker processes: most windows are rows of a memory map and need none.
        warnings.filterwarnings('ignore', '.*does not have many workers.*')
        warnings.filterwarnings('ignore', '.*smaller than the logging interval.*')
        warnings.filterwarnings('ignore', '.*exists and is not empty.*')
        warnings.filterwarnings('ignore', '.*LeafSpec.*')
        # A frozen encoder's batch norms do not learn.
        warnings.filterwarnings('ignore', '.*in eval mode at the start of training.*')
        # Every process scores all validation windows: there is nothing to add up.
        warnings.filterwarnings('ignore', '.*sync_dist=True.*')
        trainer = Trainer(
            max_epochs=epochs,
            deterministic='warn',
            precision=precision,
            gradient_clip_val=clip,
            callbacks=watching,
            logger=[CSVLogger(folder, 'log'), TensorBoardLogger(folder, 'log', '')],
            enable_progress_bar=progress.visible,
            enable_model_summary=False,
            log_every_n_steps=20,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **trainer_places(),
        )
        last = places / 'last.ckpt'
        task.train()
        trainer.fit(task, train, val, ckpt_path=last if last.exists() else None, weights_only=True)
    if not (places / 'best.ckpt').exists():
        raise AvdetError(
            f'{folder}: expected an epoch with a finite {watch}, found none in {epochs}'
        )
    return places / 'best.ckpt'


class SeedEachEpoch(Callback):
    """Make randomness in an epoch, such as dropout, depend on seed, epoch and process only."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, task: LightningModule) -> None:
        """Seed torch."""
        place = (self.seed, trainer.current_epoch, trainer.global_rank, 77)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))


def cosine_adamw(
    parameters: Sequence[nn.Parameter], trainer: Trainer, learning_rate: float, weight_decay: float
) -> dict[str, Any]:
    """Return AdamW without decay on biases and norms; a short rise, then a cosine to 0."""
    optimizer = torch.optim.AdamW(
        [
            {
                'params': [item for item in parameters if item.ndim > 1],
                'weight_decay': weight_decay,
            },
            {'params': [item for item in parameters if item.ndim <= 1], 'weight_decay': 0.0},
        ],
        lr=learning_rate,
    )
    total = max(int(trainer.estimated_stepping_batches), 1)
    rising = max(1, int(WARM_UP * total))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}


def running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return an exponential mean whose time constant grows from short to the given one."""

    def mean(average: Tensor, now: Tensor, steps: Tensor) -> Tensor:
        if not torch.is_floating_point(average):
            return now
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return average.lerp(now, 1 - kept)

    return mean


@contextmanager
def translate_errors(folder: Path) -> Iterator[None]:
    """Report errors of files and checkpoints during training in one sentence each."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(folder).free if folder.exists() else 0
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or free < 1 << 20:
            raise AvdetError(
                f'{folder}: the disk is full: make room and run the same command again to go on '
                'from the last whole checkpoint'
            ) from error
        raise AvdetError(f'{folder}: cannot read or write while fitting: {error}') from error
    except RuntimeError as error:
        text = ' '.join(str(error).split())
        if 'loading state_dict' in text:
            raise AvdetError(
                f'{folder / CHECKPOINTS / "last.ckpt"}: expected the weights of this recipe, '
                f'found others: {text[text.find(":") + 1 :].strip()[:160]}'
            ) from error
        if 'PytorchStreamReader' in text or 'invalid magic number' in text:
            raise AvdetError(
                f'{folder / CHECKPOINTS / "last.ckpt"}: expected a checkpoint, found a damaged '
                'file: delete it to start over'
            ) from error
        raise


def refuse_bad_loss(
    terms: dict[str, Tensor], loss: Tensor, task: LightningModule, index: int, where: str
) -> None:
    """Stop before a step that would spoil the weights.

    Args:
        terms: the parts of the loss.
        loss: their sum.
        task: gives the epoch.
        index: of the batch.
        where: which examples the batch has.

    Raises:
        AvdetError: the loss is not finite.
    """
    if torch.isfinite(loss):
        return
    bad = ', '.join(name for name, value in terms.items() if not torch.isfinite(value))
    raise AvdetError(
        f'{type(task).__name__} stopped in epoch {task.current_epoch}, batch {index} ({where}): '
        f'expected a finite loss, found {float(loss.detach())} from {bad or "the sum"}; '
        'the checkpoints up to the last epoch are kept'
    )


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """Write names with tensors for ``torch.load(..., weights_only=True)``.

    Raises:
        AvdetError: the file cannot be written.
    """
    buffer = io.BytesIO()  # torch reports a full disk in its own way
    torch.save(state, buffer)
    with write_atomically(path) as file:
        file.write(buffer.getbuffer())


def load_best(module: nn.Module, path: Path, prefix: str) -> nn.Module:
    """Load all weights of a part of a task from a checkpoint.

    Args:
        module: the part; changed in place.
        path: of the checkpoint.
        prefix: the part's name in the task, with a dot.

    Raises:
        AvdetError: there is no such checkpoint, or it is of another network.
    """
    saved = load_tensors(path, 'a checkpoint')
    weights = {
        key.removeprefix(prefix): item
        for key, item in saved.get('state_dict', {}).items()
        if key.startswith(prefix)
    }
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()
        raise AvdetError(
            f'{path}: expected the weights of a {type(module).__name__}, found others: '
            f'{reason[min(1, len(reason) - 1)].strip()[:200]}'
        ) from error
    return module.eval()
