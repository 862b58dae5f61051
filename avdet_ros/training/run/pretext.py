"""The pretext stage of a run: train on an easier task first and start the student from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
import numpy as np
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset, loader
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.fitting.fit import load_best, run_fit, save_weights
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS
from avdet_ros.training.run.task import scale_levels
from avdet_ros.training.tensor_files import load_tensors

WEIGHTS = 'pretext.pt'
"""File in the pretext's folder with the student's weights after the pretext."""


def fit_pretext(
    student: StudentAdapter,
    recipe: StudentRecipe,
    train: WindowDataset,
    val: WindowDataset,
    folder: Path,
    mirror: Mirror | None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the pretext, or resume an interrupted run, and save the student's weights.

    Args:
        student: fresh student; holds the best weights afterwards.
        recipe: settings.
        train: training windows.
        val: windows that select the best epoch.
        folder: receives ``checkpoints/``, ``log/`` and `WEIGHTS`.
        mirror: mirror of the rig, or None if the recipe does not mirror.
        progress: displays the progress.

    Returns:
        The result of the best epoch and, as ``about``, a sentence that describes it.
    """
    pretext = recipe.pretext
    seed_everything(recipe.fit.seed, workers=True, verbose=False)
    train = train.at_most(recipe.fit.windows)
    scale_levels(student, train)
    with torch.no_grad():
        example = torch.from_numpy(np.asarray(train.spectrogram[0], np.float32)[None])
        channels = student.eval().encode(example).shape[1]
    task = PRETEXTS.find(pretext.task)(student, recipe, mirror, channels)
    task.prepare(train, val)
    levels = len(train.level_sizes) if 'attention' in task.needs_of(recipe) else 0
    best = run_fit(
        task,
        loader(
            train,
            pretext.batch,
            recipe.fit.seed,
            levels,
            pretext.batch // 2 if task.compares else 0,
        ),
        loader(val, 2 * pretext.batch, levels=levels),
        folder,
        epochs=pretext.epochs,
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
        for index, batch in enumerate(loader(val, 2 * pretext.batch, levels=levels)):
            task.validation_step(batch, index)
    state = {name: item.detach().cpu().clone() for name, item in student.state_dict().items()}
    rank_zero_first(lambda: save_weights(folder / WEIGHTS, state))
    result = task.result(val)
    return {**result, 'about': task.describe(result)}


def load_pretext(student: StudentAdapter, folder: Path) -> None:
    """Load all weights that `fit_pretext` saved; the pretext did not train the head.

    Raises:
        AvdetError: the weights are missing, or of another student.
    """
    path = folder / WEIGHTS
    state = load_tensors(path, 'the weights of this student')
    try:
        student.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise AvdetError(
            f'{path}: expected the weights of this student, found others: {one_line(error)}'
        ) from error
