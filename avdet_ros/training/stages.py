"""The chain: teachers, labels, pretext, distillation, export, evaluation.

Each stage leaves its result in a folder that it is given and is passed over when that is there,
so a run that was killed is started again with the same command, and several runs can share
teachers and labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
import json
from pathlib import Path
import platform
from typing import Any

import numpy as np
import onnx
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import ModelContract, contract_for, write_metadata
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation import evaluation_run
from avdet_ros.evaluation.dataset import dataset_rig
from avdet_ros.rig import Rig
from avdet_ros.tracking import DEFAULT_TRACKER
from avdet_ros.training import distilled_card
from avdet_ros.training.augment import Mirror, find_mirror
from avdet_ros.training.distillation import Transfer, fit_student
from avdet_ros.training.distillation_recipe import DistillationRecipe, TeachersRecipe
from avdet_ros.training.drive_split import (
    DriveSplit,
    by_drive,
    note_drives,
    read_split,
    true_frames,
    without_taught,
)
from avdet_ros.training.evaluation_files import ARRAYS, SCORES, write_arrays, write_scores
from avdet_ros.training.export import check_export, export
from avdet_ros.training.half import agreement, write_half
from avdet_ros.training.labelling import label_drives, read_about
from avdet_ros.training.listener_detector import (
    ListenerDetector,
    calibration_curve,
    topic_windows,
)
from avdet_ros.training.listeners import Listener, make_listener
from avdet_ros.training.loop import CHECKPOINTS, load_best
from avdet_ros.training.picture_area import picture_area
from avdet_ros.training.pipeline import LABEL_OFFSET_S, begin_run, git_commit, once
from avdet_ros.training.pretext import WEIGHTS, fit_pretext, load_pretext
from avdet_ros.training.processes import first_only, joined, rank
from avdet_ros.training.sound_cache import cache_sound
from avdet_ros.training.taught_windows import TaughtWindows, taught_windows
from avdet_ros.training.teacher import TEACHER_FILE, TeacherRecipe, fit_teacher

Say = Callable[[str], None]

EXPORT_WINDOWS = 100
"""Windows on which torch and ONNX Runtime have to agree."""

SHOWN = 12
"""Pictures in the report."""


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


def run_chain(
    recipe: DistillationRecipe,
    root: Path | None,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: bool = True,
    say: Say = print,
    labels: Path | None = None,
) -> Path:
    """Teach a student from teachers, all stages.

    Args:
        recipe: how.
        root: drives in the MAVD layout.
        out: the run's folder.
        resume: go on with what is there; False begins anew.
        rig_path: the rig to train for; None takes the drives' own.
        progress: draw progress bars.
        say: takes a line for people.
        labels: folder of labels to share between runs; None keeps them in the run's folder.

    Returns:
        ``student.onnx`` in the run's folder; beside it MODEL_CARD.md, scores.json, report.html.

    Raises:
        AvdetError: recipe, data or folders are not as they should be.
    """
    if root is None:
        raise AvdetError(
            'mm_distillnet: expected --data, a folder of drives in the MAVD layout, found none; '
            'avdet simulate makes one'
        )
    if rank():  # one of several processes is heard
        progress, say = False, _mute
    with joined():
        course = open_course(recipe, root, out, resume, rig_path, progress, say, labels)
        make_teachers(recipe.teachers, root, course.split, course.teachers, progress, say)
        make_labels(course)
        return make_taught_student(course)


def open_course(
    recipe: DistillationRecipe,
    root: Path,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: bool = True,
    say: Say = print,
    labels: Path | None = None,
) -> Course:
    """Begin a run, or go on with it; see `run_chain`."""
    ready = recipe.teachers.folder
    split = read_split(root, 0.0 if ready else recipe.teachers.share, say, recipe.data)
    if ready:
        places = [Path(ready) / name for name in recipe.teachers.modalities]
        split = without_taught(split, places, say)
    rig = dataset_rig(root, list(by_drive(split.heard)), rig_path)
    first_only(lambda: begin_run(out, recipe, resume))
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
                f'teachers.folder: expected {path} made by avdet train-teacher, found none'
            )
        frames, watch = (true_frames(root, part, modality) for part in (split.teach, split.watch))
        say(
            f'{path.parent}: a {modality} teacher learns from {len(frames)} frames of '
            f'{len(by_drive(split.teach))} drives'
        )
        how = TeacherRecipe(
            modality,
            recipe.config_name,
            (recipe.height, recipe.width),
            recipe.anchor_scale,
            recipe.epochs,
            recipe.batch,
            recipe.learning_rate,
            recipe.seed,
        )
        first_only(partial(note_drives, path.parent, split.teach + split.watch))
        fit_teacher(how, frames, watch, path.parent, None, recipe.crop, progress, say)


def make_labels(course: Course) -> None:
    """Label the student's drives that are not labelled yet, and hear them."""
    recipe, drives = course.recipe, by_drive(course.split.heard)
    kind = 'log_mel' if recipe.student.model in ('paper', 'stereosoundnet') else 'window'
    first_only(
        lambda: label_drives(
            course.root, drives, course.teachers, recipe.teachers.modalities, course.labels,
            recipe.teachers.crop, course.say, course.progress,
        )
    )  # fmt: skip
    first_only(
        lambda: cache_sound(course.root, drives, kind, course.rig, course.say, course.progress)
    )


def make_taught_student(course: Course) -> Path:
    """Pretext, distillation, calibration, export, evaluation, card and report."""
    listener, mirror = fresh_listener(course)
    windows = {use: load_windows(course, listener, use) for use in ('train', 'val', 'test')}
    train, val = windows['train'], windows['val']
    if course.recipe.pretext.epochs:
        make_pretext(course, listener, mirror, train, val)
    make_distilled(course, listener, mirror, train, val)
    model = course.out / 'student.onnx'

    def finish() -> None:
        detector = calibrated(course, listener, val)
        contract, facts = make_model(course, detector, windows['test'], model)
        scores = evaluate(course, model, windows)
        write_model_metrics(model, replace(contract, metrics=headline(scores)))
        write_half(model, course.out / 'student_fp16.onnx')
        card = distilled_card.text(
            course.recipe, scores, course.split.about(course.root.name), facts
        )
        (course.out / 'MODEL_CARD.md').write_text(card, encoding='utf-8')

    first_only(finish)
    return model


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
    curve = once(
        course.out / 'calibration.json',
        lambda: calibration_curve(listener, val),
        course.say,
        'calibration',
    )
    detector.calibration.set(np.array(curve['logits']), np.array(curve['scores']))
    return detector.cpu().eval()


def make_model(
    course: Course, detector: ListenerDetector, test: TaughtWindows, model: Path
) -> tuple[ModelContract, dict[str, Any]]:
    """Export the student and see that both precisions say the same."""
    contract = contract_for(
        course.rig,
        FrontEnd(sample_rate_hz=course.rig.sample_rate_hz),
        LABEL_OFFSET_S,
        recipe=json.dumps(asdict(course.recipe)),
        data=course.split.about(course.root.name),
        git_commit=git_commit(),
    )
    export(detector, contract, model)
    windows = topic_windows(detector.listener, test, EXPORT_WINDOWS)
    apart, decided = check_export(detector, model, windows)
    course.say(
        f'{model}: torch and ONNX Runtime agree within {apart:.1e} on {decided} of '
        f'{len(windows)} windows'
        + ('; on the others all boxes score alike' if decided < len(windows) else '')
    )
    half = course.out / 'student_fp16.onnx'
    write_half(model, half)
    same = agreement(model, half, windows)
    course.say(f'{half}: has {same.found} of the {same.boxes} boxes of float32')
    facts = {
        'bytes': model.stat().st_size,
        'half_bytes': half.stat().st_size,
        'half_share': same.share,
        'apart': apart,
        'windows': decided,
    }
    return contract, facts


def evaluate(course: Course, model: Path, windows: dict[str, TaughtWindows]) -> dict[str, Any]:
    """Score the model file on the test drives; leaves scores.json, evaluation.npz, report.html."""
    run = evaluation_run.on_dataset(
        model, course.root, 'test', course.recipe.data, course.labels, DEFAULT_TRACKER, True,
        course.rig_path, _silent,
    )  # fmt: skip
    write_arrays(run.results, course.out / ARRAYS)
    scores = {
        'results': {result.truth: dict(result.scores) for result in run.results},
        'detector': run.main,
        'notes': run.notes,
        'settings': run.settings,
        'fit': json.loads((course.out / 'fit.json').read_text(encoding='utf-8')),
        'windows': {use: len(part) for use, part in windows.items()},
        'labels': {use: int(sum(map(len, part.boxes))) for use, part in windows.items()},
    }
    pretext = course.out / 'pretext' / 'pretext.json'
    if pretext.exists():
        scores['pretext'] = json.loads(pretext.read_text(encoding='utf-8'))
    write_scores(scores, course.out / SCORES)
    report = course.out / 'report.html'
    command = f'avdet train {course.out / "recipe.yaml"} --data {course.root} --out {course.out}'
    evaluation_run.write(run, report, command, SHOWN)
    course.say(f'{report}: how it was measured, with pictures')
    return scores


def headline(scores: dict[str, Any]) -> dict[str, Any]:
    """What a model file says of itself: detection metrics against each kind of truth."""
    rounded = {}
    for kind, results in scores['results'].items():
        detection = results[scores['detector']]['detection']
        rounded[kind] = {
            name: round(float(number), 4) if np.isfinite(number) else None
            for name, number in detection.items()
        }
    return rounded


def write_model_metrics(model: Path, contract: ModelContract) -> None:
    """Put the metrics into the file that they were measured with."""
    loaded = onnx.load(model)
    write_metadata(loaded, contract)
    partial = model.with_suffix('.partial')
    partial.write_bytes(loaded.SerializeToString())
    partial.replace(model)


def _mute(line: str) -> None:
    del line


def _silent(name: str, total: int | None) -> Callable[[], None]:
    del name, total
    return lambda: None
