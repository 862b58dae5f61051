"""Make a model file for any array from a recipe: windows, labels, fitting, export, scores.

The windows come from drives, with the array of each drive's rig file, or are simulated with an
array drawn for each drive. Labels are the truth or teachers' boxes. Fitting may start from the
weights of another run: first trained on simulated truth, then fine-tuned on teachers' labels.
"""

from __future__ import annotations

from functools import partial
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch

from avdet_ros.dataset.labels import label_sources
from avdet_ros.dataset.splits import SPLIT_SEEDS, by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, write_atomically, write_json
from avdet_ros.simulation.array_windows import WindowPlan
from avdet_ros.simulation.window_shards import make_array_windows
from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.fitting.best_epoch import load_best
from avdet_ros.training.any_array.fitting.fit_state import FitPlan
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.run import SCORES, AnyArrayRun, finite_scores, train_any_array
from avdet_ros.training.any_array.windows.augmentation import Augmentation
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.context import RunContext
from avdet_ros.training.run.drive_windows import (
    cache_drive_sound,
    drive_rigs,
    write_drive_windows,
)
from avdet_ros.training.run.stages import label_frames
from avdet_ros.training.run.watched_windows import watch_windows
from avdet_ros.training.teachers.labelling import open_teachers

WINDOWS, CARD = 'windows', 'MODEL_CARD.md'

ARRAYS_A_WINDOW = 3
"""Arrays per simulated training window; sound is computed once for arrays around one place."""

_logger = logging.getLogger(__name__)


def make_model_file(run: RunContext) -> Path:
    """Make the windows, fit, export and score; existing results are skipped.

    Returns:
        ``student.onnx`` in the run's folder; next to it ``scores.json`` and MODEL_CARD.md.

    Raises:
        AvdetError: windows, drives or teachers are invalid.
    """
    made: list[Path] = []
    rank_zero_first(lambda: made.append(_make(run)))
    return made[0] if made else run.out / 'student.onnx'


def _make(run: RunContext) -> Path:
    folders = simulated_sets(run) if run.split is None else drive_sets(run)
    plan_run = AnyArrayRun(
        folders['train'],
        folders['val'],
        run.out,
        fit_plan(run.recipe, _windows_in(folders['train'], run.recipe)),
        start_shape(run.recipe),
        device='cuda' if torch.cuda.is_available() else 'cpu',
        most=run.recipe.fit.windows or None,
        about=about_windows(run),
        doubts=run.recipe.fit.doubts,
    )
    model = train_any_array(plan_run, progress=run.progress)
    if model is None:
        raise RuntimeError(f'{run.out}: expected a model file of the whole fit, found none')
    scores = json.loads((run.out / SCORES).read_text(encoding='utf-8'))
    for name, folder in folders.items():
        if name not in ('train', 'val'):
            scores[name] = scores_on(plan_run, folder)
    write_json(run.out / SCORES, scores)
    with write_atomically(run.out / CARD) as file:
        file.write(card_text(plan_run, scores).encode())
    return model


def fit_plan(recipe: StudentRecipe, windows: int) -> FitPlan:
    """Translate a recipe's settings for this fitting.

    Args:
        recipe: its ``fit`` and ``augmentation`` are used; settings that only networks on the
            image's grid need (patience, schedule, gains of single channels) are ignored.
        windows: number of training windows.
    """
    fit, augmentation = recipe.fit, recipe.augmentation
    return FitPlan(
        steps=fit.epochs * max(1, windows // fit.batch),
        batch=fit.batch,
        epoch_windows=max(windows, fit.batch),
        learning_rate=fit.learning_rate,
        weight_decay=fit.weight_decay,
        average=fit.average,
        seed=fit.seed,
        augmentation=Augmentation(
            mirror=0.5 if augmentation.mirror else 0.0,
            level_db=augmentation.gain_db / 4,
            missing=augmentation.drop_channel,
            masked_bands=max(1, augmentation.mask_bands),
            masked=0.3 if augmentation.mask_bands else 0.0,
        ),
        start_from=fit.start,
        bfloat16=True if fit.precision == 'bf16-mixed' else None,
        hold=fit.hold,
    )


def start_shape(recipe: StudentRecipe) -> BearingShape:
    """Return the network's sizes: those of the weights it starts from, else the defaults."""
    if recipe.fit.start:
        return read_start_weights(recipe.fit.start).shape
    return BearingShape()


def simulated_sets(run: RunContext) -> dict[str, Path]:
    """Return folders of simulated windows by use; missing ones are simulated and labelled."""
    recipe = run.recipe
    folders = {}
    for use in ('train', 'val'):
        folders[use] = run.data / use
        # A quick simulation for the many training windows, an exact one for validation.
        plan = WindowPlan()
        if use == 'train':
            plan = WindowPlan(quick=True, arrays_a_window=ARRAYS_A_WINDOW)
        count, jobs = getattr(recipe.windows, use), os.cpu_count() or 1
        if recipe.labels == 'simulated':
            made = make_array_windows(folders[use], count, SPLIT_SEEDS[use], jobs, plan, run.rig)
            with run.progress.step(f'{use} windows', count) as advance:
                for done in made:
                    advance(done)
    if recipe.labels != 'teachers':
        return folders
    settings = recipe.teachers
    if not settings.folder and run.ready_teachers is None:
        raise AvdetError(
            'teachers.folder: expected ready teachers (avdet train teacher) for simulated '
            'windows, found none'
        )
    teachers = run.ready_teachers or open_teachers(
        run.teachers, settings.modalities, settings.score, settings.model
    )
    labelled = {use: run.out / WINDOWS / use for use in folders}
    for use, folder in folders.items():
        watch_windows(folder, teachers, labelled[use], run.rig, progress=run.progress)
    return {**labelled, 'val_truth': folders['val']}


def drive_sets(run: RunContext) -> dict[str, Path]:
    """Return folders of the drives' windows by use, and with true labels if they have any."""
    split, recipe = run.split, run.recipe
    if split is None:
        raise ValueError('split: expected drives, found simulated windows')
    label_frames(run)
    drives = by_drive(split.student)
    rigs = drive_rigs(run.data, list(drives), run.rig_path)
    cache_drive_sound(run.data, drives, rigs, run.progress)
    root = run.out / WINDOWS
    write = partial(write_drive_windows, run.data, rigs=rigs)
    folders = {}
    for use in ('train', 'val', 'test'):
        folders[use] = root / use
        write(
            getattr(split, use),
            out=folders[use],
            source=recipe.labels,
            labels=run.labels,
            teachers=recipe.learns_from,
        )
    has_truth = all('truth' in label_sources(run.data, name, None) for name in drives)
    if recipe.labels == 'teachers' and has_truth:
        folders['test_truth'] = root / 'test_truth'
        write(split.test, out=folders['test_truth'], source='truth')
    return folders


def about_windows(run: RunContext) -> str:
    """Describe windows and labels in a few words, for file and card."""
    teachers = ', '.join(run.recipe.learns_from)
    by = (
        f'labelled by teachers ({teachers})'
        if run.recipe.labels == 'teachers'
        else 'with true boxes'
    )
    data = 'simulated windows' if run.split is None else f'drives of {run.data.name}'
    start = f'; started from {Path(run.recipe.fit.start).name}' if run.recipe.fit.start else ''
    return f'{data}, {by}{start}'


def scores_on(run: AnyArrayRun, folder: Path) -> dict[str, float | None]:
    """Score the best epoch's network on another set."""
    store = run.store(folder, None)
    store.refresh()
    return finite_scores(scores_of(found_in(load_best(run.out, run.device), store), store))


def card_text(run: AnyArrayRun, scores: dict[str, Any]) -> str:
    """Return the text of MODEL_CARD.md."""
    lines = [
        '# A model for any array',
        '',
        f'The model was trained on {scores["windows"]} windows of {run.about}.',
        'Model contract 2: the array comes from the rig file; boxes are directions and ranges.',
        '',
        '| on | windows | labels | bearing AP | recall | error | AP50 of boxes | range error |',
        '|---|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for name in ('validation', *(name for name in scores if name.startswith(('test', 'val_')))):
        row = scores[name]
        values = [row[key] for key in ('bearing_ap', 'bearing_recall')]
        values += [row['azimuth_error_deg'], row['ap50'], row['range_error']]
        cells = ' | '.join('-' if value is None else f'{value:.3f}' for value in values)
        counts = f'{row["windows"]:.0f} | {row["vehicles"]:.0f}'
        lines.append(f'| {name.replace("_", ", ")} | {counts} | {cells} |')
    lines += [
        '',
        'A bearing is correct within 3 degrees. Recall is at one false bearing in ten windows.',
        "Errors are in degrees. The range error is the median of |d - d'| / d. Where labels come",
        'from teachers, a vehicle that they do not see counts as absent.',
        '',
    ]
    return '\n'.join(lines)


def _windows_in(folder: Path, recipe: StudentRecipe) -> int:
    """Count the training windows without reading their features."""
    total = sum(len(map_member(path, 'count')) for path in folder.glob('windows_*.npz'))
    return min(total, recipe.fit.windows or total)
