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

Detects vehicles by their sound: one second of eight microphones in, boxes in the camera's image
out. {labels}. Made again by

    avdet train student RECIPE --data DATA --out RUN

with the recipe at the end of this page."""

_LABELS = {
    'simulated': "Learned from simulated drives with the simulator's boxes as labels",
    'truth': 'Learned from drives with the true boxes that they carry',
    'teachers': 'Learned from detectors that see, without hand-made labels',
}

_WHAT = """\
## What it is

Student `{model}` (avdet_ros/training/networks), {parameters:.2f} M parameters, {megabytes:.1f} MB.
Scores are calibrated on the validation windows to be probabilities that a box overlaps a label by
IoU 0.5. torch and ONNX Runtime differ by at most {apart:.1e} on {windows} windows.
`student_fp16.onnx` ({half_megabytes:.1f} MB, float32 in and out) has {half_share:.1%} of its
boxes."""

_DATA = """\
## Data

{about}. Learned from {windows} windows in {minutes:g} minutes (seed {seed}, torch {torch});
{train_labels} labels in {train} training windows, {val_labels} in {val} validation windows.
{more}Test windows were used for the numbers below only; epoch and calibration were chosen on
validation windows, by labels of the same kind."""

_TEACHERS = (
    'Teachers: {teachers} (`{config}` at {height} x {width}), {whence}; their boxes above a score '
    'of {score:g}, fused at IoU 0.5. '
)

_READING = """\
CDx and CDy: distance of matched centres in per cent of the image, of boxes scored above 0.3, as
recall. Against SRP-PHAT and with tracks: `avdet eval model`. Scores as probabilities, on the test
windows:"""

_COMPARED = """\
## Which student

The same windows and epochs for each, on the test windows; again by
`avdet train student config/recipes/comparison.yaml`. Short runs that have not converged: read the
order, not the figures:"""

_LIMITS = {
    'simulated': (
        '- Learned and measured on simulated drives only. On a real vehicle expect less until it '
        'has learned from\n  recordings of that vehicle.'
    ),
    'truth': '- It knows the vehicles that the truth of its drives names, and no others.',
    'teachers': (
        '- It detects what its teachers saw: a vehicle that no camera sees is no label, and what '
        'the teachers\n  see wrongly it learns wrongly.'
    ),
}
_ALL_LIMITS = """\
- It fits one geometry of microphones and camera; the file says which, and the detector node
  refuses another one.
- Direction is detected well, distance badly: boxes of far or masked vehicles have the wrong size
  more often than the wrong place, which is what the gap between mAP@0.5 and mAP@0.75 shows.
- Standing electric vehicles make no sound and are not detected. Several vehicles in one direction
  are detected as one.
- A box holds for the middle of its window, 0.5 s before the window's end, and is stamped so.
- Not for safety functions."""


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
        _WHAT.format(
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
            more=_more_on_data(recipe, scores),
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


def _more_on_data(recipe: StudentRecipe, scores: dict[str, Any]) -> str:
    """Return sentences on seeds, teachers, transfer and pretext, where there were any."""
    if recipe.labels == 'simulated':
        seeds = ', '.join(
            f'{low} to {high - 1} are {use}' for use, (low, high) in SPLIT_SEEDS.items()
        )
        return f'Drives {seeds}: no drive is in two splits. '
    how, sentences = recipe.teachers, ''
    if recipe.labels == 'teachers' or recipe.transfer.loss != 'none':
        sentences = _TEACHERS.format(
            teachers=', '.join(recipe.learns_from),
            config=how.config_name,
            height=how.height,
            width=how.width,
            whence=f'taken from {how.folder}' if how.folder else 'taught on other drives',
            score=how.score,
        )
        if how.labels:
            sentences = f'Labels of teachers that are ready in {how.labels}. '
    if recipe.transfer.loss != 'none':
        sentences += f'Beside the boxes it learned their features by {_transfer(recipe)}. '
    if 'pretext' in scores:
        sentences += f'It first learned another task, {scores["pretext"]["about"]}. '
    return sentences


def _transfer(recipe: StudentRecipe) -> str:
    how = recipe.transfer
    if how.loss == 'mta':
        among = f', {how.combine} of the teachers' if len(recipe.learns_from) > 1 else ''
        return f'Multi-Teacher Alignment ({how.mta}{among}), weight {how.weight:g}'
    return f'the {how.loss} loss, weight {how.weight:g}'


def _window_rows(scores: dict[str, Any]) -> dict[str, dict[str, float]]:
    names = {
        'test': 'test',
        'val': 'val',
        'train': 'as many training windows',
        'constant_boxes': 'test, the 20 most common training boxes',
    }
    return {name: scores[key] for key, name in names.items() if key in scores}
