"""The chain of a run: the stages of `stages`, then the model file, checked and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import (
    LABEL_OFFSET_S,
    ModelContract,
    contract_for,
    write_metadata,
)
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation import evaluation_run
from avdet_ros.files import write_atomically
from avdet_ros.tracking import DEFAULT_TRACKER
from avdet_ros.training.data.windows import TaughtWindows
from avdet_ros.training.fitting.distributed import first_only, joined, one_voice
from avdet_ros.training.fitting.run_folder import git_commit
from avdet_ros.training.networks.calibrated import ListenerDetector, topic_windows
from avdet_ros.training.recipes.student import DistillationRecipe
from avdet_ros.training.run import distilled_card
from avdet_ros.training.run.evaluation_files import ARRAYS, SCORES, write_arrays, write_scores
from avdet_ros.training.run.export import EXPORT_WINDOWS, check_export, export
from avdet_ros.training.run.export_fp16 import agreement, write_half
from avdet_ros.training.run.stages import (
    Course,
    Say,
    load_windows,
    make_labels,
    make_student,
    make_teachers,
    open_course,
)
from avdet_ros.training.teachers.efficientdet import Teacher

SHOWN = 12
"""Pictures in the report."""

CARD = 'MODEL_CARD.md'
LEFT = ('student.onnx', 'student_fp16.onnx', SCORES, ARRAYS, 'report.html', CARD)
"""What the last stages leave, in this order."""


def run_chain(
    recipe: DistillationRecipe,
    root: Path | None,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: bool = True,
    say: Say = print,
    labels: Path | None = None,
    teachers: Mapping[str, Teacher] | None = None,
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
        teachers: of another kind than EfficientDet, by modality, ready to be asked.

    Returns:
        ``student.onnx`` in the run's folder; beside it MODEL_CARD.md, scores.json, report.html.

    Raises:
        AvdetError: recipe, data or folders are not as they should be.
    """
    if root is None:
        raise AvdetError(
            'mm_distillnet: expected --data, a folder of drives in the MAVD layout, found none; '
            'avdet sim drives makes one'
        )
    progress, say = one_voice(progress, say)
    with joined():
        course = open_course(recipe, root, out, resume, rig_path, progress, say, labels, teachers)
        if teachers is None:
            make_teachers(recipe.teachers, root, course.split, course.teachers, progress, say)
        make_labels(course)
        return make_model_file(course)


def make_model_file(course: Course) -> Path:
    """Student, export, evaluation, card and report; passed over where all of that is there."""
    detector, train, val = make_student(course)
    model = course.out / 'student.onnx'
    if all((course.out / name).exists() for name in LEFT):
        course.say(f'{model}: exported and evaluated already')
        return model
    windows = {'train': train, 'val': val, 'test': load_windows(course, detector.listener, 'test')}

    def finish() -> None:
        contract, facts = make_model(course, detector, windows['test'], model)
        scores = evaluate(course, model, windows)
        write_model_metrics(model, replace(contract, metrics=headline(scores)))
        write_half(model, course.out / 'student_fp16.onnx')
        card = distilled_card.text(
            course.recipe, scores, course.split.about(course.root.name), facts
        )
        with write_atomically(course.out / CARD) as file:
            file.write(card.encode())

    first_only(finish)
    return model


def make_model(
    course: Course, detector: ListenerDetector, test: TaughtWindows, model: Path
) -> tuple[ModelContract, dict[str, Any]]:
    """Export the student and see that both precisions say the same."""
    front_end = FrontEnd.of(course.rig)
    contract = contract_for(
        course.rig,
        front_end,
        LABEL_OFFSET_S,
        recipe=json.dumps(asdict(course.recipe)),
        data=course.split.about(course.root.name),
        git_commit=git_commit(),
    )
    export(detector, contract, model)
    windows = topic_windows(detector.listener, test, EXPORT_WINDOWS, front_end)
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
    run = evaluation_run.evaluate_dataset(
        model, course.root, 'test', course.recipe.data, course.labels, DEFAULT_TRACKER, True,
        course.rig_path,
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
    command = (
        f'avdet train student {course.out / "recipe.yaml"} --data {course.root} --out {course.out}'
    )
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
    with write_atomically(model) as file:
        file.write(loaded.SerializeToString())
