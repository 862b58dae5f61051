"""From a recipe to a model file: windows, fitting, calibration, scores, export, model card.

Each stage leaves its result in the run's folder and is skipped when that is there, so a run that
was killed is started again with the same command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
import itertools
import json
import math
from pathlib import Path
import platform
from typing import Any

from lightning.pytorch.callbacks import Timer
import numpy as np
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import LABEL_OFFSET_S, contract_for
from avdet_ros.evaluation.detection_metrics import DetectionMetrics
from avdet_ros.files import write_atomically, write_json
from avdet_ros.rig import Rig, load_rig
from avdet_ros.training.data.augment import find_mirror
from avdet_ros.training.data.simulated import Splits, load_splits
from avdet_ros.training.data.window_set import WindowSet
from avdet_ros.training.fitting.distributed import first_only, joined, one_voice
from avdet_ros.training.fitting.run_folder import begin_run, git_commit, once, once_alone
from avdet_ros.training.networks.compact import POOLED_FRAMES, STUDENTS
from avdet_ros.training.networks.postprocess import StudentDetector
from avdet_ros.training.networks.score_calibration import fit_curve, matches
from avdet_ros.training.recipes.read import ComparisonRecipe, StudentRecipe, read_recipe
from avdet_ros.training.recipes.student import DistillationRecipe
from avdet_ros.training.run import model_card
from avdet_ros.training.run.chain import run_chain
from avdet_ros.training.run.engine import fit, load_best, predict
from avdet_ros.training.run.export import EXPORT_WINDOWS, check_export, export
from avdet_ros.training.run.scores import constant_metrics, metrics


def train(
    recipe_path: str | Path,
    data: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    rig_path: str | Path | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Do what a recipe says; this is what `avdet train student` and `ros2 run` call.

    Args:
        recipe_path: see `avdet_ros.training.recipes.read`.
        data: folder of the windows; made if it isn't there. None: ``windows`` beside the run.
            For mm_distillnet a folder of drives in the MAVD layout, which has to be there.
        out: the run's folder. None: ``runs/`` and the recipe's name.
        resume: go on with what is in the run's folder; False begins anew.
        rig_path: the rig to train for.
        progress: draw progress bars.
        say: takes a line for people.

    Returns:
        The model file, or the table of a comparison.

    Raises:
        AvdetError: recipe, data or folder are not as they should be.
    """
    recipe = read_recipe(recipe_path)
    out = Path(out) if out else Path('runs') / Path(recipe_path).stem
    if isinstance(recipe, DistillationRecipe):
        root = Path(data) if data else None
        return run_chain(recipe, root, out, resume, rig_path, progress, say)
    data = Path(data) if data else out.parent / 'windows'
    rig = load_rig(rig_path)
    progress, say = one_voice(progress, say)
    with joined():
        first_only(lambda: begin_run(out, recipe, resume))
        common = recipe.student if isinstance(recipe, ComparisonRecipe) else recipe
        splits = load_splits(data, rig, common.data, progress, say)
        if isinstance(recipe, ComparisonRecipe):
            return compare(recipe, splits, rig, out, progress, say)
        return make_student(recipe, splits, rig, out, progress, say)


def make_student(
    recipe: StudentRecipe,
    splits: Splits,
    rig: Rig,
    out: Path,
    progress: bool,
    say: Callable[[str], None],
) -> Path:
    """Fit, calibrate, score and export one student.

    Returns:
        ``student.onnx`` in the run's folder; beside it MODEL_CARD.md and scores.json. The card has
        the table of the run called ``comparison`` beside this one, if that is done.
    """
    detector = fitted(recipe, splits, rig, out, progress, say)
    scores = once_alone(
        out / 'scores.json', lambda: score_student(detector, recipe, splits, out), say, 'scores'
    )
    model = out / 'student.onnx'
    first_only(lambda: write_model(detector, recipe, scores, splits, rig, model, say))
    return model


def write_model(
    detector: StudentDetector,
    recipe: StudentRecipe,
    scores: dict[str, Any],
    splits: Splits,
    rig: Rig,
    model: Path,
    say: Callable[[str], None],
) -> None:
    """Export a student, see that the file says the same, and write its card."""
    front_end = FrontEnd.of(rig)
    contract = contract_for(
        rig,
        front_end,
        LABEL_OFFSET_S,
        recipe=json.dumps(asdict(recipe)),
        data=splits.about,
        metrics=scores['test'],
        git_commit=git_commit(),
    )
    export(detector, contract, model)
    whole = whole_windows(splits.test, EXPORT_WINDOWS, front_end.frames)
    apart, decided = check_export(detector, model, whole)
    say(f'{model}: torch and ONNX Runtime agree within {apart:.1e} on {decided} windows')
    facts = {'bytes': model.stat().st_size, 'apart': apart, 'windows': decided}
    out = model.parent
    compared = out.parent / 'comparison' / 'comparison.json'
    rows = json.loads(compared.read_text(encoding='utf-8')) if compared.exists() else None
    card = model_card.text(recipe, scores, splits, facts, rows)
    (out / 'MODEL_CARD.md').write_text(card, encoding='utf-8')


def fitted(
    recipe: StudentRecipe,
    splits: Splits,
    rig: Rig,
    out: Path,
    progress: bool,
    say: Callable[[str], None],
) -> StudentDetector:
    """A fitted and calibrated student; what is done already is not done again."""
    torch.manual_seed(recipe.fit.seed)
    student = STUDENTS[recipe.model](rig, FrontEnd.of(rig))
    mirror = find_mirror(rig) if recipe.augmentation.mirror else None

    def do_fit() -> dict[str, Any]:
        timer = Timer()  # its clock is in the checkpoints: interruptions do not count
        train_windows = splits.train.first(recipe.fit.windows)
        say(f'{out}: {recipe.model} learns from {len(train_windows)} windows')
        fit(student, recipe, train_windows, splits.val, out, mirror, progress, [timer])
        return {
            'minutes': round(timer.time_elapsed('train') / 60, 1),
            'parameters': sum(item.numel() for item in student.parameters()),
            'windows': len(train_windows),
            'torch': torch.__version__,
            'python': platform.python_version(),
        }

    once(out / 'fit.json', do_fit, say, 'fitting')
    detector = StudentDetector(load_best(student, out))

    def do_calibrate() -> dict[str, Any]:
        found = predict(detector.student, splits.val)
        right = matches([boxes for boxes, _ in found], splits.val.boxes)
        logits = np.concatenate([logits for _, logits in found])
        knots, values = fit_curve(logits, np.concatenate(right))
        return {'logits': knots.tolist(), 'scores': values.tolist()}

    curve = once_alone(out / 'calibration.json', do_calibrate, say, 'calibration')
    detector.calibration.set(np.array(curve['logits']), np.array(curve['scores']))
    return detector.eval()


def score_student(
    detector: StudentDetector, recipe: StudentRecipe, splits: Splits, out: Path
) -> dict[str, Any]:
    """Scores on validation and test windows, and of constant boxes beside them."""
    train_windows = splits.train.first(recipe.fit.windows)
    some = train_windows.first(len(splits.test))
    return {
        'test': _as_dict(metrics(calibrated(detector, splits.test), splits.test)),
        'val': _as_dict(metrics(calibrated(detector, splits.val), splits.val)),
        'train': _as_dict(metrics(calibrated(detector, some), some)),
        'constant_boxes': _as_dict(constant_metrics(train_windows, splits.test)),
        'reliability': reliability(detector, splits.test),
        'fit': json.loads((out / 'fit.json').read_text(encoding='utf-8')),
    }


def calibrated(
    detector: StudentDetector, windows: WindowSet
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and final scores of every window."""
    with torch.inference_mode():
        return [
            (boxes, detector.calibration(torch.from_numpy(logits)).numpy())
            for boxes, logits in predict(detector.student, windows)
        ]


def reliability(detector: StudentDetector, windows: WindowSet) -> list[dict[str, float]]:
    """Whether scores are probabilities: per range of scores, the share of boxes that is right."""
    found = calibrated(detector, windows)
    right = np.concatenate(matches([boxes for boxes, _ in found], windows.boxes))
    scores = np.concatenate([values for _, values in found])
    edges = [0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (scores > low) & (scores <= high)
        if inside.any():
            rows.append(
                {
                    'from': low,
                    'to': high,
                    'boxes': int(inside.sum()),
                    'score': float(scores[inside].mean()),
                    'right': float(right[inside].mean()),
                }
            )
    return rows


def whole_windows(windows: WindowSet, count: int, frames: int) -> list[np.ndarray]:
    """The first windows in the shape of the topic: pooled frames are repeated."""
    return [
        np.repeat(features.astype(np.float32), POOLED_FRAMES, axis=-1)[..., :frames]
        for features in windows.features[:count]
    ]


def compare(
    recipe: ComparisonRecipe,
    splits: Splits,
    rig: Rig,
    out: Path,
    progress: bool,
    say: Callable[[str], None],
) -> Path:
    """Fit every model with every seed and write the table that says which is best.

    Returns:
        ``comparison.json`` in the run's folder; ``comparison.md`` is the same for people.
    """
    rows = []
    # Every model once before any a second time: an early look is fair.
    for seed in recipe.seeds:
        for model in recipe.models:
            one = replace(recipe.student, model=model, fit=replace(recipe.student.fit, seed=seed))
            folder = out / f'{model}_{seed}'
            first_only(partial(begin_run, folder, one, resume=True))
            detector = fitted(one, splits, rig, folder, progress, say)
            scores = once_alone(
                folder / 'scores.json',
                lambda d=detector, r=one, f=folder: score_student(d, r, splits, f),
                say,
                'scores',
            )
            rows.append({'model': model, 'seed': seed, **scores})
    path, table = out / 'comparison.json', model_card.comparison_table(rows)

    def write() -> None:
        write_json(path, rows)
        with write_atomically(out / 'comparison.md') as file:
            file.write(table.encode())

    first_only(write)
    say(table)
    return path


def _as_dict(result: DetectionMetrics) -> dict[str, float | None]:
    # What nothing defines, as a centre distance without matches, is null: JSON has no NaN.
    numbers = {name: float(number) for name, number in asdict(result).items()}
    return {
        name: round(number, 4) if math.isfinite(number) else None
        for name, number in numbers.items()
    }
