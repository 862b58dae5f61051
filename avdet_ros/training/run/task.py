"""Distillation: a student learns the teachers' boxes and looks where they look.

    L = focal + box terms (on the teachers' fused boxes, never the truth) + omega * transfer

Transfer is Multi-Teacher Alignment (MM-DistillNet, section 3.3) or one of its rivals, see
`alignment` and `transfer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import Callback, Timer
import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.augment import Mirror
from avdet_ros.training.data.mixed_windows import augment_lesson
from avdet_ros.training.data.windows import P5, Lesson, TaughtWindows, lessons
from avdet_ros.training.fitting.distributed import evened
from avdet_ros.training.fitting.fit import (
    cosine_adamw,
    load_best,
    refuse_bad_loss,
    run_fit,
    spread,
    validated,
)
from avdet_ros.training.losses.attention_alignment import MTA, attention_map, mean_of_teachers
from avdet_ros.training.losses.feature_transfer import (
    AttentiveFeatureDistillation,
    pairwise_loss,
    ranking_loss,
)
from avdet_ros.training.networks.adapters import Heard, Listener
from avdet_ros.training.networks.calibrated import found_boxes
from avdet_ros.training.recipes.student import DistillationRecipe, TransferRecipe
from avdet_ros.training.run.scores import average_precisions

GRADIENTS_EVERY = 50
"""Steps between two measurements of each term's gradient norm; their mean is logged per epoch."""


class Transfer(nn.Module):
    """The loss between the teachers' features and the student's.

    Args:
        how: which, see `TransferRecipe`.
        own: channels of the student's maps.
        theirs: channels of the teachers' features.
    """

    def __init__(self, how: TransferRecipe, own: int, theirs: int) -> None:
        super().__init__()
        self.how = how
        self.adapt: nn.Module = nn.Identity()
        if how.loss == 'afd':
            # Distances of channels need as many of them on both sides.
            self.adapt = nn.Conv2d(own, theirs, 1) if own != theirs else nn.Identity()
            self.afd = AttentiveFeatureDistillation(theirs)
        elif how.loss == 'ranking' and own != theirs:
            self.adapt = nn.Linear(own, theirs)

    @property
    def needs(self) -> tuple[str, ...]:
        """Which arrays of the labels the loss looks at."""
        return {
            'mta': ('attention',), 'ranking': ('embedding',), 'pairwise': ('features',),
            'afd': ('features',), 'none': (),
        }[self.how.loss]  # fmt: skip

    def levels(self, sizes: np.ndarray) -> list[tuple[int, int]]:
        """Sizes of the teachers' levels that the student's maps are wanted for."""
        wanted = {'mta': self.how.levels, 'pairwise': P5 + 1, 'afd': P5 + 1}
        return [tuple(size) for size in sizes[: wanted.get(self.how.loss, 0)].tolist()]

    def forward(self, heard: Heard, lesson: Lesson, listener: Listener) -> Tensor:
        """The loss, a scalar, not yet weighted."""
        how = self.how
        if how.loss == 'mta':
            own = [attention_map(level.float()) for level in heard.maps]
            theirs = [
                [seen[:, index] for index in range(seen.shape[1])]
                for seen in (_covered(level, listener) for level in lesson.attention)
            ]
            if how.combine == 'average':
                theirs = [mean_of_teachers(level) for level in theirs]
            smooth = {} if how.mta == 'as_printed' else {'temperature': how.temperature}
            return MTA[how.mta](own, theirs, beta=how.beta, **smooth)
        if how.loss == 'ranking':
            student = self.adapt(heard.embedding.float())
            return ranking_loss(student, lesson.embedding.mean(dim=1), how.margin)
        teacher = _covered(lesson.features.mean(dim=1), listener)
        if how.loss == 'pairwise':
            return pairwise_loss(heard.maps[P5].float(), teacher)
        return self.afd(self.adapt(heard.maps[P5].float()), teacher)


class DistillationTask(LightningModule):
    """A student learning from teachers.

    Args:
        listener: the student.
        transfer: the loss between features.
        recipe: how.
        watched: validation windows; every process scores all of them.
        mirror: of the rig, None where the recipe does not mirror.
        levels: sizes of the teachers' levels that are compared.
    """

    def __init__(
        self,
        listener: Listener,
        transfer: Transfer,
        recipe: DistillationRecipe,
        watched: TaughtWindows,
        mirror: Mirror | None,
        levels: list[tuple[int, int]],
    ) -> None:
        super().__init__()
        self.listener, self.transfer, self.recipe = listener, transfer, recipe
        self.watched, self.mirror, self.levels = watched, mirror, levels
        self._found: list[tuple] = []
        self._losses: list[float] = []

    def training_step(self, lesson: Lesson, index: int) -> Tensor:
        """One batch; its augmentation depends on seed, epoch and place only, so runs resume."""
        lesson = augmented(lesson, self, self.recipe.augmentation, self.mirror, index)
        heard = self.listener(lesson.sound, self.levels)
        terms, counts = self.listener.loss(heard.said, lesson.boxes, self.recipe.loss)
        terms = evened(terms, counts, self.device)
        if self.recipe.transfer.loss != 'none':
            handed = self.transfer(heard, lesson, self.listener)
            terms['transfer'] = self.recipe.transfer.weight * handed
        loss = torch.stack(list(terms.values())).sum()
        refuse_bad_loss(terms, loss, self, index, f'frames {_named(lesson.frames)}')
        if index % GRADIENTS_EVERY == 0:
            self._log_gradients(terms)
        for name, term in {**terms, 'loss': loss}.items():
            self.log(f'train/{name}', term.detach(), prog_bar=name == 'loss', on_epoch=True,
                     on_step=False, batch_size=len(lesson.boxes))  # fmt: skip
        return loss

    def _log_gradients(self, terms: dict[str, Tensor]) -> None:
        """The norm of each term's gradient on the student's weights."""
        weights = [item for item in self.listener.parameters() if item.requires_grad]
        for name, term in terms.items():
            if not term.requires_grad:
                continue
            parts = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            squares = [part.detach().float().square().sum() for part in parts if part is not None]
            norm = torch.stack(squares).sum().sqrt() if squares else term.new_zeros(())
            self.log(f'gradient/{name}', norm, on_step=False, on_epoch=True, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's boxes."""
        self._found, self._losses = [], []

    def validation_step(self, lesson: Lesson, index: int) -> None:
        """Loss and boxes of one batch."""
        heard = self.listener(lesson.sound, [])
        terms, _ = self.listener.loss(heard.said, lesson.boxes, self.recipe.loss)
        self._losses += [float(sum(terms.values()))] * len(lesson.boxes)
        self._found += found_boxes(self.listener, heard.said)

    def on_validation_epoch_end(self) -> None:
        """Score the boxes of all batches against the teachers'."""
        precision = average_precisions(self._found, self.watched)
        for name, value in validated(precision, self._losses).items():
            self.log(f'val/{name}', value, prog_bar=name in ('map', 'loss'), sync_dist=False)

    def configure_optimizers(self) -> dict[str, Any]:
        """See `optimiser`."""
        return optimiser(self, self.recipe)


def fit_student(
    listener: Listener,
    recipe: DistillationRecipe,
    train: TaughtWindows,
    val: TaughtWindows,
    folder: Path,
    mirror: Mirror | None,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> float:
    """Distil, or go on where a killed run stopped; the student has its best weights then.

    Args:
        listener: fresh, or with the weights of the pretext.
        recipe: how.
        train: windows to learn from.
        val: windows that choose the epoch, by mAP against the teachers' boxes.
        folder: gets ``checkpoints/`` and ``log/``.
        mirror: of the rig, or None where the recipe does not mirror.
        progress: draw progress bars.
        callbacks: more of Lightning's.

    Returns:
        Minutes of fitting, over all interruptions.

    Raises:
        AvdetError: see `run_fit`.
    """
    fit = recipe.fit
    seed_everything(fit.seed, workers=True, verbose=False)
    train = train.first(fit.windows)
    scale_levels(listener, train)
    transfer = Transfer(recipe.transfer, listener.channels, feature_channels(train))
    levels = transfer.levels(train.level_sizes)
    timer = Timer()  # its clock is in the checkpoints: interruptions do not count
    best = run_fit(
        DistillationTask(listener, transfer, recipe, val, mirror, levels),
        lessons(train, fit.batch, fit.seed, len(levels)),
        lessons(val, 2 * fit.batch, None, 0),
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
    load_best(listener, best, 'listener.')
    return timer.time_elapsed('train') / 60


def augmented(
    lesson: Lesson, task: LightningModule, how: Any, mirror: Mirror | None, index: int
) -> Lesson:
    """A batch with its augmentation, the same whenever it is made again."""
    generator = torch.Generator(task.device)
    place = (task.recipe.fit.seed, task.current_epoch, index, task.global_rank)
    generator.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
    return augment_lesson(lesson, how, mirror, generator, task.listener.cells)


def optimiser(task: LightningModule, recipe: DistillationRecipe) -> dict[str, Any]:
    """AdamW with a short rise and a cosine to 0, or the paper's Adam with plateaus."""
    fit = recipe.fit
    parameters = [item for item in task.parameters() if item.requires_grad]
    if fit.schedule == 'plateau':
        adam = torch.optim.Adam(
            parameters, lr=fit.learning_rate, betas=(0.9, 0.999), weight_decay=fit.weight_decay
        )
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, mode='max', patience=5)
        watch = {'scheduler': schedule, 'monitor': 'val/score'}
        return {'optimizer': adam, 'lr_scheduler': watch}
    return cosine_adamw(parameters, task.trainer, fit.learning_rate, fit.weight_decay)


def scale_levels(listener: Listener, train: TaughtWindows) -> None:
    """Take mean and spread of the levels from some training windows, evenly over the set."""
    levels = np.stack([train.sound[index][:MICROPHONES] for index in spread(len(train))])
    listener.fit_scaling(torch.from_numpy(levels).float())


def feature_channels(train: TaughtWindows) -> int:
    """Channels of the teachers' features, 0 where none are looked at."""
    for rows, axis in ((train.features, 1), (train.embedding, 2)):
        if rows:
            return np.asarray(rows[0]).shape[axis]
    return 0


def _covered(level: Tensor, listener: Listener) -> Tensor:
    """The part of a teacher's map that the picture covers."""
    rows, columns = listener.cells(*level.shape[-2:])
    return level[..., :rows, :columns].float()


def _named(frames: list[str]) -> str:
    return ', '.join(frames[:3]) + (f' and {len(frames) - 3} more' if len(frames) > 3 else '')
