"""The model card: what a model is, how it was trained and how it performs."""

from __future__ import annotations

from typing import Any

from avdet_ros.dataset.splits import SPLIT_SEEDS
from avdet_ros.training.recipes.read import as_yaml
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.results.card_tables import (
    comparison_table,
    detector_table,
    metrics_table,
    reliability_table,
)

__all__ = ['comparison_table', 'text']

_INTRODUCTION = """\
# Model card: student.onnx

The model detects vehicles by their sound: one second of eight microphones in, boxes in the
camera's image out. {labels}. This command trains it again:

    avdet train student RECIPE --data DATA --out RUN

with the recipe at the end of this page."""

_LABELS = {
    'simulated': "It was trained on simulated drives, with the simulator's boxes as labels",
    'truth': 'It was trained on drives, with their true boxes as labels',
    'teachers': 'It was trained on boxes of camera-based teachers, without hand-made labels',
}

_NETWORK = """\
## What it is

The network is `{model}` (avdet_ros/training/networks), with {parameters:.2f} M parameters and
{megabytes:.1f} MB. Scores are calibrated on the validation windows: a score is the probability
that a box overlaps a label by IoU 0.5. torch and ONNX Runtime differ by at most {apart:.1e} on
{windows} windows. `student_fp16.onnx` ({half_megabytes:.1f} MB, with float32 inputs and outputs)
finds {half_share:.1%} of its boxes."""

_DATA = """\
## Data

{about}. Training on {windows} windows took {minutes:g} minutes (seed {seed}, torch {torch}). There
are {train_labels} labels in {train} training windows and {val_labels} in {val} validation windows.
{more}Epoch and calibration were chosen on validation windows, with labels of the same kind; test
windows were used only for the numbers below."""

_TEACHERS = (
    'The teachers are {teachers} (`{config}` at {height} x {width}), {origin}. Their boxes with '
    'scores above {score:g} were fused at IoU 0.5. '
)

_READING = """\
CDx and CDy are the distances between matched centres in per cent of the image. They and the recall
count boxes with scores above 0.3. `avdet eval model` scores the model beside SRP-PHAT and with
tracks. The next table checks scores as probabilities, on the test windows:"""

_COMPARED = """\
## Which student

The networks were trained on the same windows for the same epochs, and scored on the test windows.
`avdet train student config/recipes/comparison.yaml` repeats this. The runs are short and have not
converged: read the order, not the figures."""

_LIMITS = {
    'simulated': (
        '- The model was trained and measured on simulated drives only. On a real vehicle expect '
        'less until it\n  has been trained on recordings of that vehicle.'
    ),
    'truth': '- The model only knows the vehicles that the true boxes of its drives include.',
    'teachers': (
        '- The model detects what its teachers detect: a vehicle that no camera sees is not '
        "labelled,\n  and the teachers' errors are learned too."
    ),
}
_ALL_LIMITS = """\
- It fits one geometry of microphones and camera. The file states which, and the detector node
  refuses any other.
- Directions are good, distances poor: boxes of far or masked vehicles have the wrong size more
  often than the wrong place. The gap between mAP@0.5 and mAP@0.75 shows this.
- Standing electric vehicles make no sound and are not detected. Several vehicles in one direction
  are detected as one.
- A box is valid for the middle of its window, 0.5 s before the window's end, and is stamped so.
- The model is not for safety functions."""


def text(
    recipe: StudentRecipe,
    scores: dict[str, Any],
    about: str,
    facts: dict[str, Any],
    comparison: list[dict[str, Any]] | None = None,
) -> str:
    """Return the card as Markdown.

    Args:
        recipe: of the model.
        scores: from `avdet_ros.training.run.model_file.score_run`.
        about: a sentence on the data.
        facts: from `avdet_ros.training.run.model_file.export_student`.
        comparison: rows of a comparison of models, if there is one.
    """
    fit = scores['fit']
    parts = [
        _INTRODUCTION.format(labels=_LABELS[recipe.labels]),
        _NETWORK.format(
            model=recipe.student.model,
            parameters=fit['parameters'] / 1e6,
            megabytes=facts['bytes'] / 1e6,
            half_megabytes=facts['half_bytes'] / 1e6,
            **facts,
        ),
        _DATA.format(
            about=about,
            windows=fit['windows'],
            minutes=fit['minutes'],
            torch=fit['torch'],
            seed=recipe.fit.seed,
            train=scores['windows']['train'],
            val=scores['windows']['val'],
            train_labels=scores['labels']['train'],
            val_labels=scores['labels']['val'],
            more=_data_sentences(recipe, scores),
        ),
        '## Measured on windows',
        metrics_table(_window_rows(scores)),
        _READING,
        reliability_table(scores['reliability']),
    ]
    if 'results' in scores:
        parts.append('## Measured on the test drives')
        for kind, results in scores['results'].items():
            parts += [f'Against {kind}:', detector_table(results)]
    if comparison:
        parts += [_COMPARED, comparison_table(comparison).rstrip()]
    parts += ['## Limits', f'{_LIMITS[recipe.labels]}\n{_ALL_LIMITS}', '## Recipe']
    return '\n\n'.join([*parts, '```yaml\n' + as_yaml(recipe) + '```']) + '\n'


def _data_sentences(recipe: StudentRecipe, scores: dict[str, Any]) -> str:
    """Return sentences on seeds, teachers, transfer and pretext, where there were any."""
    if recipe.labels == 'simulated':
        seeds = ', '.join(
            f'{low} to {high - 1} ({use})' for use, (low, high) in SPLIT_SEEDS.items()
        )
        return f'Drives are split by seed: {seeds}, so no drive is in two splits. '
    teachers, sentences = recipe.teachers, ''
    if recipe.labels == 'teachers' or recipe.transfer.loss != 'none':
        sentences = _TEACHERS.format(
            teachers=', '.join(recipe.learns_from),
            config=teachers.config_name,
            height=teachers.height,
            width=teachers.width,
            origin=f'taken from {teachers.folder}'
            if teachers.folder
            else 'trained on other drives',
            score=teachers.score,
        )
        if teachers.labels:
            sentences = f'The labels in {teachers.labels} come from ready teachers. '
    if recipe.transfer.loss != 'none':
        sentences += (
            "In addition to the boxes, the student learned the teachers' features with "
            f'{_transfer(recipe)}. '
        )
    if 'pretext' in scores:
        sentences += (
            f'The student was first trained on another task, {scores["pretext"]["about"]}. '
        )
    return sentences


def _transfer(recipe: StudentRecipe) -> str:
    transfer = recipe.transfer
    if transfer.loss == 'mta':
        among = f', {transfer.combine} of the teachers' if len(recipe.learns_from) > 1 else ''
        return f'Multi-Teacher Alignment ({transfer.mta}{among}), weight {transfer.weight:g}'
    return f'the {transfer.loss} loss, weight {transfer.weight:g}'


def _window_rows(scores: dict[str, Any]) -> dict[str, dict[str, float]]:
    names = {
        'test': 'test',
        'val': 'val',
        'train': 'as many training windows',
        'constant_boxes': 'test, the 20 most common training boxes',
    }
    return {name: scores[key] for key, name in names.items() if key in scores}
