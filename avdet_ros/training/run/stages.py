"""The stages up to a student: teachers, labels, windows, pretext, fitting, calibration.

Each stage writes its result to a given folder and is skipped if the result exists. An interrupted
run therefore resumes with the same command, and several runs can share teachers and labels.
"""

from __future__ import annotations

from functools import partial
import logging
from pathlib import Path
import platform
from typing import Any

import numpy as np
import torch

from avdet_ros.dataset.features import cache_sound
from avdet_ros.dataset.splits import SPLIT_SEEDS, DriveSplit, by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.progress import Progress
from avdet_ros.training.data.drives import drive_windows
from avdet_ros.training.data.labelled_frames import true_frames
from avdet_ros.training.data.mirror import Mirror, find_mirror
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.data.simulated import complete_windows, map_windows
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.fitting.fit import CHECKPOINTS, load_best
from avdet_ros.training.fitting.run_folder import cached_stage, cached_stage_rank_zero
from avdet_ros.training.networks.base import StudentAdapter, make_student
from avdet_ros.training.networks.calibrated import StudentDetector, calibration_curve
from avdet_ros.training.recipes.parts import TeachersRecipe
from avdet_ros.training.registries import LOSSES, PRETEXTS, TEACHERS
from avdet_ros.training.run.context import RunContext
from avdet_ros.training.run.pretext import WEIGHTS, fit_pretext, load_pretext
from avdet_ros.training.run.task import fit_student
from avdet_ros.training.teachers.base import TEACHER_FILE, TeacherRecipe
from avdet_ros.training.teachers.label_folder import ABOUT, read_about
from avdet_ros.training.teachers.labelling import label_drives, open_teachers

_logger = logging.getLogger(__name__)

USES = tuple(SPLIT_SEEDS)
"""Uses of windows: train, val, test."""


def make_teachers(
    recipe: TeachersRecipe, root: Path, split: DriveSplit, folder: Path, progress: Progress
) -> None:
    """Train missing teachers on the true boxes of their drives.

    Args:
        recipe: settings.
        root: the data set's folder.
        split: drives for each use.
        folder: receives one subfolder per modality.
        progress: displays the progress.
    """
    for modality in recipe.modalities:
        path = folder / modality / TEACHER_FILE
        if path.exists():
            _logger.info('%s: %s teacher exists already', path, modality)
            continue
        if recipe.folder:
            raise AvdetError(
                f'teachers.folder: expected {path} made by avdet train teacher, found none'
            )
        frames, watch = (true_frames(root, part, modality) for part in (split.teach, split.watch))
        _logger.info(
            '%s: a %s teacher learns from %d frames of %d drives',
            path.parent,
            modality,
            len(frames),
            len(by_drive(split.teach)),
        )
        teacher_recipe = TeacherRecipe(
            modality,
            config_name=recipe.config_name,
            image_size=(recipe.height, recipe.width),
            anchor_scale=recipe.anchor_scale,
            crop=recipe.crop,
            epochs=recipe.epochs,
            batch=recipe.batch,
            learning_rate=recipe.learning_rate,
            seed=recipe.seed,
            scaling=recipe.scaling,
        )
        drives = split.teach + split.watch
        TEACHERS.find(recipe.model).fit(
            teacher_recipe, frames, watch, path.parent, drives, progress
        )


def make_windows(run: RunContext) -> None:
    """Prepare the student's windows: simulate them, or label drives and compute features."""
    if run.split is None:
        for use in USES:
            count = getattr(run.recipe.windows, use)
            simulate = partial(complete_windows, run.data / use, run.rig, use, count, run.progress)
            rank_zero_first(simulate)
        return
    label_frames(run)
    drives = by_drive(run.split.student)
    rank_zero_first(lambda: cache_sound(run.data, drives, run.input_kind, run.rig, run.progress))


def label_frames(run: RunContext) -> None:
    """Label the drives with teachers if the recipe asks for it; train missing teachers."""
    recipe, split, labels = run.recipe.teachers, run.split, run.labels
    if not run.recipe.makes_labels:
        return
    if split is None or labels is None:
        raise ValueError('labels: teachers: expected drives and a folder of labels, found none')
    drives = by_drive(split.student)
    if run.ready_teachers is None:
        make_teachers(recipe, run.data, split, run.teachers, run.progress)

    def label() -> None:
        teachers = run.ready_teachers or open_teachers(
            run.teachers, recipe.modalities, recipe.score, recipe.model
        )
        label_drives(run.data, drives, teachers, labels, recipe.crop, run.progress)

    rank_zero_first(label)


def load_windows(run: RunContext, use: str) -> WindowDataset:
    """Load the windows of ``train``, ``val`` or ``test`` with their labels."""
    if run.split is None:
        return map_windows(run.data / use, run.rig, getattr(run.recipe.windows, use))
    transfer, camera = run.recipe.transfer, run.rig.camera
    needs: set[str] = set()
    if use == 'train' and transfer.loss != 'none':
        needs |= {*LOSSES.find(transfer.loss).needs}
    if use != 'test' and run.recipe.pretext.wanted:
        needs |= {*PRETEXTS.find(run.recipe.pretext.task).needs_of(run.recipe)}
    return drive_windows(
        run.data,
        getattr(run.split, use),
        run.input_kind,
        (camera.width_px, camera.height_px),
        run.recipe.labels,
        run.labels,
        run.recipe.learns_from,
        sorted(needs),
        run.recipe.label_filter if use == 'train' else 'none',
    )


def fresh_student(run: RunContext) -> tuple[StudentAdapter, Mirror | None]:
    """Build the recipe's student, and the mirror of its rig if the recipe mirrors."""
    camera, teachers = run.rig.camera, run.recipe.teachers
    image_size, crop = (
        (teachers.height, teachers.width),
        False,
    )  # without teachers: the whole image
    if run.labels is not None and (run.labels / ABOUT).exists():
        about = read_about(run.labels)
        image_size, crop = about['image_size'], about['crop']
    area = picture_area(image_size, camera.width_px, camera.height_px, crop)
    mirror = find_mirror(run.rig) if run.recipe.augmentation.mirror else None
    return make_student(run.recipe, run.rig, area, image_size), mirror


def make_detector(run: RunContext) -> tuple[StudentDetector, dict[str, WindowDataset]]:
    """Run pretext, fitting and calibration on existing windows.

    Returns:
        The student on the CPU, with scores calibrated to probabilities, and its training and
        validation windows.
    """
    student, mirror = fresh_student(run)
    windows = {use: load_windows(run, use) for use in ('train', 'val')}
    if run.recipe.pretext.wanted:
        _learn_pretext(run, student, mirror, windows)
    _fit(run, student, mirror, windows)
    return _calibrated(run, student, windows['val']), windows


def _learn_pretext(
    run: RunContext,
    student: StudentAdapter,
    mirror: Mirror | None,
    windows: dict[str, WindowDataset],
) -> None:
    """Train the pretext unless it is done, and load its weights."""
    folder = run.out / 'pretext'

    def learn() -> dict[str, Any]:
        _logger.info(
            '%s: %s in %d windows', folder, run.recipe.pretext.task, len(windows['train'])
        )
        return fit_pretext(
            student, run.recipe, windows['train'], windows['val'], folder, mirror, run.progress
        )

    result = cached_stage(folder / 'pretext.json', learn, 'pretext')
    if not (folder / WEIGHTS).exists():
        raise AvdetError(f'{folder / WEIGHTS}: expected the weights of the pretext, found none')
    load_pretext(student, folder)
    _logger.info('%s: %s', folder, result['about'])


def _fit(
    run: RunContext,
    student: StudentAdapter,
    mirror: Mirror | None,
    windows: dict[str, WindowDataset],
) -> None:
    """Fit the student unless it is done, and load its best weights."""
    recipe = run.recipe

    def learn() -> dict[str, Any]:
        if recipe.fit.start:
            load_best(student, Path(recipe.fit.start), 'student.')
        learned = windows['train'].share_of_drives(recipe.fit.drives, recipe.fit.seed)
        count = len(set(learned.at_most(recipe.fit.windows).names))
        names = f' ({", ".join(recipe.learns_from)})' if recipe.learns_from else ''
        transfer = '' if recipe.transfer.loss == 'none' else f' and by {recipe.transfer.loss}'
        _logger.info(
            '%s: %s learns from %d windows with labels: %s%s%s',
            run.out,
            recipe.student.model,
            count,
            recipe.labels,
            names,
            transfer,
        )
        minutes = fit_student(
            student, recipe, windows['train'], windows['val'], run.out, mirror, run.progress
        )
        return {
            'minutes': round(minutes, 1),
            'parameters': sum(item.numel() for item in student.parameters()),
            'windows': count,
            'torch': torch.__version__,
            'python': platform.python_version(),
        }

    cached_stage(run.out / 'fit.json', learn, 'fitting')
    load_best(student, run.out / CHECKPOINTS / 'best.ckpt', 'student.')


def _calibrated(run: RunContext, student: StudentAdapter, val: WindowDataset) -> StudentDetector:
    """Calibrate the student's scores to probabilities on the labels of the validation windows."""
    detector = StudentDetector(student)
    student.to('cuda' if torch.cuda.is_available() else 'cpu')
    curve = cached_stage_rank_zero(
        run.out / 'calibration.json', lambda: calibration_curve(student, val), 'calibration'
    )
    detector.calibration.set(np.array(curve['logits']), np.array(curve['scores']))
    return detector.cpu().eval()
