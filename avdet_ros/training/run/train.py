"""Make a model file from a recipe: windows, fitting, calibration, scores, export, model card.

Each stage writes its result to the run's folder and is skipped if the result exists, so an
interrupted run resumes with the same command.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
import json
import logging
from pathlib import Path
from typing import Any

from avdet_ros.files import write_atomically, write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.fitting.distributed import process_group, rank_zero_first
from avdet_ros.training.fitting.run_folder import begin_run, cached_stage_rank_zero
from avdet_ros.training.networks.base import AnyArray
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.recipes.student import ComparisonRecipe
from avdet_ros.training.registries import STUDENTS
from avdet_ros.training.results import model_card
from avdet_ros.training.results.evaluation_files import SCORES
from avdet_ros.training.run import taught
from avdet_ros.training.run.context import RunContext, open_run
from avdet_ros.training.run.model_file import make_model_file, score_windows
from avdet_ros.training.run.stages import load_windows, make_detector, make_windows

_logger = logging.getLogger(__name__)


def train(
    recipe_path: str | Path,
    data: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    rig_path: str | Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Train what a recipe describes; `avdet train student` and `ros2 run` call this function.

    Args:
        recipe_path: see `avdet_ros.training.recipes.read`.
        data: for ``labels: simulated`` the folder of the windows, made if missing (None:
            ``windows`` next to the run); else a folder of drives in the MAVD layout.
        out: the run's folder. None: ``runs/`` and the recipe's name.
        resume: continue from results in the run's folder; False starts over.
        rig_path: the rig to train for; None takes the drives' own, or the package's.
        progress: displays the progress.

    Returns:
        The model file, or the table of a comparison.

    Raises:
        AvdetError: recipe, data or folder are invalid.
    """
    recipe = read_recipe(recipe_path)
    out = Path(out) if out else Path('runs') / Path(recipe_path).stem
    data = Path(data) if data else None
    rig_path = Path(rig_path) if rig_path else None
    if isinstance(recipe, ComparisonRecipe):
        return compare(recipe, data, out, resume, rig_path, progress)
    with process_group():
        return run_student(open_run(recipe, data, out, resume, rig_path, progress))


def run_student(run: RunContext) -> Path:
    """Run all stages for one student.

    Args:
        run: result of `open_run`; its teachers and labels are made, found or given.

    Returns:
        ``student.onnx`` in the run's folder; next to it MODEL_CARD.md and scores.json.

    Raises:
        AvdetError: data or folders are invalid.
    """
    if STUDENTS.find(run.recipe.student.model) is AnyArray:
        return taught.make_model_file(run)
    make_windows(run)
    return make_model_file(run)


def compare(
    recipe: ComparisonRecipe,
    data: Path | None,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Fit every model with every seed and write a table of their scores.

    Args:
        recipe: models, seeds and settings.
        data: see `train`.
        out: receives one folder per student.
        resume: continue from existing results; False starts over.
        rig_path: the rig to train for.
        progress: displays the progress.

    Returns:
        ``comparison.json`` in the run's folder; ``comparison.md`` is the readable version.
    """
    rows = []
    with process_group():
        rank_zero_first(lambda: begin_run(out, recipe, resume))
        # All models with one seed before the next seed, so that partial results are comparable.
        for seed in recipe.seeds:
            for model in recipe.models:
                one = replace(
                    recipe.student,
                    student=replace(recipe.student.student, model=model),
                    fit=replace(recipe.student.fit, seed=seed),
                )
                folder = out / f'{model}_{seed}'
                run = open_run(
                    one,
                    data or out.parent / 'windows',
                    folder,
                    rig_path=rig_path,
                    progress=progress,
                    labels=out / 'labels',
                )
                if not one.teachers.folder:
                    run = replace(run, teachers=out / 'teachers')
                rows.append({'model': model, 'seed': seed, **_compared(run)})
        table = model_card.comparison_table(rows)
        rank_zero_first(partial(_write_comparison, out, rows, table))
    _logger.info('%s', table)
    return out / 'comparison.json'


def _compared(run: RunContext) -> dict[str, Any]:
    """Train one student of a comparison and return its scores."""
    make_windows(run)
    detector, windows = make_detector(run)

    def score() -> dict[str, Any]:
        test = load_windows(run, 'test')
        return score_windows(detector, {**windows, 'test': test}, run.recipe.fit.windows)

    scores = cached_stage_rank_zero(run.out / SCORES, score, 'scores')
    return {**scores, 'fit': json.loads((run.out / 'fit.json').read_text(encoding='utf-8'))}


def _write_comparison(out: Path, rows: list[dict[str, Any]], table: str) -> None:
    write_json(out / 'comparison.json', rows)
    with write_atomically(out / 'comparison.md') as file:
        file.write(table.encode())
