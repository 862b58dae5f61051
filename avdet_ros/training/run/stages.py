"""The stages up to a student: teachers, labels, pretext, distillation, calibration.

Each stage leaves its result in a folder that it is given and is passed over when that is there,
so a run that was killed is started again with the same command, and several runs can share
teachers and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
import platform
from typing import Any

import numpy as np
import torch

from avdet_ros.dataset.features import cache_sound
from avdet_ros.dataset.splits import DriveSplit, by_drive, keep_split, read_split, without_taught
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.on_dataset import dataset_rig
from avdet_ros.rig import Rig
from avdet_ros.training.data.augment import Mirror, find_mirror
from avdet_ros.training.data.labelled_frames import true_frames
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.data.windows import TaughtWindows, taught_windows
from avdet_ros.training.fitting.distributed import first_only
from avdet_ros.training.fitting.fit import CHECKPOINTS, load_best
from avdet_ros.training.fitting.run_folder import begin_run, once, once_alone
from avdet_ros.training.networks.adapters import Listener, make_listener
from avdet_ros.training.networks.calibrated import ListenerDetector, calibration_curve
from avdet_ros.training.recipes.student import DistillationRecipe, TeachersRecipe
from avdet_ros.training.run.pretext import WEIGHTS, fit_pretext, load_pretext
from avdet_ros.training.run.task import Transfer, fit_student
from avdet_ros.training.teachers.efficientdet import (
    TEACHER_FILE,
    Teacher,
    TeacherRecipe,
    fit_teacher,
)
from avdet_ros.training.teachers.labelling import label_drives, open_teachers, read_about

Say = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """What every stage of a run knows.

    Attributes:
        recipe: how.
        root: the data set's folder.
        split: who learns from which drives.
        rig: microphones and camera of the drives.
        out: the run's folder.
        teachers: folder of the teachers.
        labels: folder of their labels.
        progress: draw progress bars.
        say: takes a line for people.
        rig_path: the rig's file, None where the drives' own is taken.
        asked: teachers of another kind, instead of those in the folder.
    """

    recipe: DistillationRecipe
    root: Path
    split: DriveSplit
    rig: Rig
    out: Path
    teachers: Path
    labels: Path
    progress: bool
    say: Say
    rig_path: Path | None = None
    asked: Mapping[str, Teacher] | None = None


def open_course(
    recipe: DistillationRecipe,
    root: Path,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: bool = True,
    say: Say = print,
    labels: Path | None = None,
    asked: Mapping[str, Teacher] | None = None,
) -> Course:
    """Begin a run, or go on with it; see `avdet_ros.training.run.chain.run_chain`."""
    ready = recipe.teachers.folder
    share = 0.0 if ready or asked else recipe.teachers.share
    split = read_split(root, share, say, recipe.data)
    if ready:
        places = [Path(ready) / name for name in recipe.teachers.modalities]
        split = without_taught(split, places, say)
    rig = dataset_rig(root, list(by_drive(split.heard)), rig_path)
    first_only(lambda: begin_run(out, recipe, resume))
    first_only(lambda: keep_split(out, split))
    return Course(
        recipe,
        root,
        split,
        rig,
        out,
        Path(ready) if ready else out / 'teachers',
        labels or out / 'labels',
        progress,
        say,
        Path(rig_path) if rig_path else None,
        asked,
    )


def make_teachers(
    recipe: TeachersRecipe, root: Path, split: DriveSplit, folder: Path, progress: bool, say: Say
) -> None:
    """Teach the teachers that are not there yet, with the true boxes of their drives.

    Args:
        recipe: how.
        root: the data set's folder.
        split: which drives.
        folder: gets one folder a modality.
        progress: draw progress bars.
        say: takes a line for people.
    """
    for modality in recipe.modalities:
        path = folder / modality / TEACHER_FILE
        if path.exists():
            say(f'{path}: {modality} teacher there already')
            continue
        if recipe.folder:
            raise AvdetError(
                f'teachers.folder: expected {path} made by avdet train teacher, found none'
            )
        frames, watch = (
            true_frames(root, part, modality, say) for part in (split.teach, split.watch)
        )
        say(
            f'{path.parent}: a {modality} teacher learns from {len(frames)} frames of '
            f'{len(by_drive(split.teach))} drives'
        )
        how = TeacherRecipe(
            modality,
            recipe.config_name,
            (recipe.height, recipe.width),
            recipe.anchor_scale,
            recipe.crop,
            recipe.epochs,
            recipe.batch,
            recipe.learning_rate,
            recipe.seed,
        )
        drives = split.teach + split.watch
        fit_teacher(how, frames, watch, path.parent, None, drives, progress, say)


def make_labels(course: Course) -> None:
    """Label the student's drives that are not labelled yet, and hear them."""
    recipe, drives = course.recipe, by_drive(course.split.heard)
    kind = 'log_mel' if recipe.student.model in ('paper', 'stereosoundnet') else 'window'

    def label() -> None:
        how = recipe.teachers
        teachers = course.asked or open_teachers(course.teachers, how.modalities, how.score)
        label_drives(
            course.root, drives, teachers, course.labels, how.crop, course.say, course.progress
        )

    first_only(label)
    first_only(
        lambda: cache_sound(course.root, drives, kind, course.rig, course.say, course.progress)
    )


def make_student(course: Course) -> tuple[ListenerDetector, TaughtWindows, TaughtWindows]:
    """Pretext, distillation and calibration.

    Returns:
        The student on the CPU, with scores that are probabilities, and its training and
        validation windows.
    """
    listener, mirror = fresh_listener(course)
    train, val = (load_windows(course, listener, use) for use in ('train', 'val'))
    if course.recipe.pretext.epochs:
        make_pretext(course, listener, mirror, train, val)
    make_distilled(course, listener, mirror, train, val)
    return calibrated(course, listener, val), train, val


def fresh_listener(course: Course) -> tuple[Listener, Mirror | None]:
    """The student as the recipe wants it, and the mirror of its rig."""
    about, camera = read_about(course.labels), course.rig.camera
    area = picture_area(about['image_size'], camera.width_px, camera.height_px, about['crop'])
    torch.manual_seed(course.recipe.fit.seed)
    listener = make_listener(course.recipe, course.rig, area, about['image_size'])
    mirror = find_mirror(course.rig) if course.recipe.augmentation.mirror else None
    return listener, mirror


def load_windows(course: Course, listener: Listener, use: str) -> TaughtWindows:
    """The windows of ``train``, ``val`` or ``test`` with what the recipe's teachers say."""
    transfer = course.recipe.transfer
    needs = Transfer(transfer, 1, 1).needs if use == 'train' else ()
    camera = course.rig.camera
    return taught_windows(
        course.root,
        course.labels,
        getattr(course.split, use),
        listener.kind,
        transfer.teachers,
        needs,
        (camera.width_px, camera.height_px),
        transfer.boxes == 'truth',
    )


def make_pretext(
    course: Course,
    listener: Listener,
    mirror: Mirror | None,
    train: TaughtWindows,
    val: TaughtWindows,
) -> None:
    """Count vehicles, unless that is done, and begin with these weights."""
    folder = course.out / 'pretext'

    def count() -> dict[str, Any]:
        course.say(f'{folder}: counting vehicles in {len(train)} windows')
        return fit_pretext(listener, course.recipe, train, val, folder, mirror, course.progress)

    result = once(folder / 'pretext.json', count, course.say, 'pretext')
    if not (folder / WEIGHTS).exists():
        raise AvdetError(f'{folder / WEIGHTS}: expected the weights of the pretext, found none')
    load_pretext(listener, folder)
    course.say(
        f'{folder}: {result["accuracy"]:.0%} of the validation windows counted right, '
        f'{result["majority"]:.0%} by always saying the most common number'
    )


def make_distilled(
    course: Course,
    listener: Listener,
    mirror: Mirror | None,
    train: TaughtWindows,
    val: TaughtWindows,
) -> None:
    """Distil, unless that is done; the student has its best weights then."""

    def distil() -> dict[str, Any]:
        transfer = course.recipe.transfer
        course.say(
            f'{course.out}: {course.recipe.student.model} learns from '
            f'{", ".join(transfer.teachers)} ({transfer.loss}) in {len(train)} windows'
        )
        minutes = fit_student(
            listener, course.recipe, train, val, course.out, mirror, course.progress
        )
        return {
            'minutes': round(minutes, 1),
            'parameters': sum(item.numel() for item in listener.parameters()),
            'windows': len(train.first(course.recipe.fit.windows)),
            'torch': torch.__version__,
            'python': platform.python_version(),
        }

    once(course.out / 'fit.json', distil, course.say, 'distillation')
    load_best(listener, course.out / CHECKPOINTS / 'best.ckpt', 'listener.')


def calibrated(course: Course, listener: Listener, val: TaughtWindows) -> ListenerDetector:
    """A detector whose scores are probabilities, as the teachers' boxes tell."""
    detector = ListenerDetector(listener)
    listener.to('cuda' if torch.cuda.is_available() else 'cpu')
    curve = once_alone(
        course.out / 'calibration.json',
        lambda: calibration_curve(listener, val),
        course.say,
        'calibration',
    )
    detector.calibration.set(np.array(curve['logits']), np.array(curve['scores']))
    return detector.cpu().eval()
