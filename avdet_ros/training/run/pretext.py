"""The pretext: a student counts the vehicles before it hears where they are.

MM-DistillNet, section 3.2: cross-entropy on the number of fused teacher boxes, then the encoder's
weights begin the distillation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, seed_everything
import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.quoting import one_line
from avdet_ros.training.data.augment import Mirror
from avdet_ros.training.data.windows import Lesson, TaughtWindows, lessons
from avdet_ros.training.fitting.distributed import first_only
from avdet_ros.training.fitting.fit import load_best, refuse_bad_loss, run_fit, save_weights
from avdet_ros.training.networks.adapters import Listener
from avdet_ros.training.networks.paper import VehicleCounter
from avdet_ros.training.recipes.student import DistillationRecipe
from avdet_ros.training.run.task import augmented, scale_levels

WEIGHTS = 'pretext.pt'
"""Weights of the student after counting, in the pretext's folder."""


class Encoder(nn.Module):
    """A listener's encoder by itself, its weights shared."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        # Not a sub-module: the weights stay the listener's and are saved once.
        object.__setattr__(self, 'listener', listener)

    def forward(self, sound: Tensor) -> Tensor:
        """(B, ...) features to (B, channels, ...)."""
        return self.listener.encode(sound)


class CountingTask(LightningModule):
    """Counting vehicles in windows.

    Args:
        listener: the student.
        recipe: how.
        mirror: of the rig, None where the recipe does not mirror.
    """

    def __init__(
        self, listener: Listener, recipe: DistillationRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__()
        self.listener, self.recipe, self.mirror = listener, recipe, mirror
        self.counter = VehicleCounter(Encoder(listener), channels, recipe.pretext.most)
        self._sums = np.zeros(3)

    def training_step(self, lesson: Lesson, index: int) -> Tensor:
        """One batch; mixed windows have as many vehicles as both together."""
        lesson = augmented(lesson, self, self.recipe.augmentation, self.mirror, index)
        loss = self.counter.loss(lesson.sound, counts(lesson))
        refuse_bad_loss({'counting': loss}, loss, self, index, f'frames {lesson.frames[0]}...')
        self.log('train/loss', loss.detach(), prog_bar=True, on_epoch=True, on_step=False,
                 batch_size=len(lesson.boxes))  # fmt: skip
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch."""
        self._sums = np.zeros(3)

    def validation_step(self, lesson: Lesson, index: int) -> None:
        """Loss and hits of one batch."""
        true, many = counts(lesson), len(lesson.boxes)
        logits = self.counter(lesson.sound)
        loss = nn.functional.cross_entropy(logits, true.clamp(max=self.counter.most))
        hits = (logits.argmax(dim=1) == true.clamp(max=self.counter.most)).sum()
        self._sums += [float(loss) * many, float(hits), many]

    def on_validation_epoch_end(self) -> None:
        """Log both."""
        loss, hits, many = self._sums
        self.log('val/loss', loss / many, prog_bar=True)
        self.log('val/accuracy', hits / many, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.recipe.pretext.learning_rate)


def counts(lesson: Lesson) -> Tensor:
    """(B,) int64 number of the teachers' boxes."""
    return torch.tensor([len(box) for box in lesson.boxes], device=lesson.sound.device)


def fit_pretext(
    listener: Listener,
    recipe: DistillationRecipe,
    train: TaughtWindows,
    val: TaughtWindows,
    folder: Path,
    mirror: Mirror | None,
    progress: bool = True,
) -> dict[str, Any]:
    """Count, or go on where a killed run stopped, and keep the student's weights.

    Args:
        listener: fresh; has its best weights then.
        recipe: how.
        train: windows to learn from.
        val: windows that choose the epoch.
        folder: gets ``checkpoints/``, ``log/`` and `WEIGHTS`.
        mirror: of the rig, or None where the recipe does not mirror.
        progress: draw progress bars.

    Returns:
        ``loss`` and ``accuracy`` on the validation windows, and ``majority``, the accuracy of
        always saying the most common count.
    """
    how = recipe.pretext
    seed_everything(recipe.fit.seed, workers=True, verbose=False)
    train = train.first(recipe.fit.windows)
    scale_levels(listener, train)
    with torch.no_grad():
        example = torch.from_numpy(np.asarray(train.sound[0], np.float32)[None])
        channels = listener.eval().encode(example).shape[1]
    task = CountingTask(listener, recipe, mirror, channels)
    best = run_fit(
        task,
        lessons(train, how.batch, recipe.fit.seed, 0),
        lessons(val, 2 * how.batch, None, 0),
        folder,
        epochs=how.epochs,
        seed=recipe.fit.seed,
        watch='val/loss',
        largest=False,
        precision=recipe.fit.precision,
        progress=progress,
    )
    load_best(task, best, '')
    task.on_validation_epoch_start()
    with torch.inference_mode():
        task.cpu().eval()
        for index, lesson in enumerate(lessons(val, 2 * how.batch, None, 0)):
            task.validation_step(lesson, index)
    loss, hits, many = task._sums
    numbers = [min(len(box), how.most) for box in val.boxes]
    state = {name: item.detach().cpu().clone() for name, item in listener.state_dict().items()}
    first_only(lambda: save_weights(folder / WEIGHTS, state))
    return {
        'loss': loss / many,
        'accuracy': hits / many,
        'majority': max(numbers.count(number) for number in set(numbers)) / len(numbers),
    }


def load_pretext(listener: Listener, folder: Path) -> None:
    """Begin with the weights of `fit_pretext`, all of them; the head was not trained by it.

    Raises:
        AvdetError: they are missing, or of another student.
    """
    path = folder / WEIGHTS
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        listener.load_state_dict(state, strict=True)
    except OSError as error:
        raise AvdetError(f'cannot read {path}: {explain_os_error(error)}') from error
    except Exception as error:  # torch raises what zipfile and pickle do
        raise AvdetError(
            f'{path}: expected the weights of this student, found others: {one_line(error)}'
        ) from error
