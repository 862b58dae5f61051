"""The model card of a distilled student: how it was taught and what it was measured to do."""

from __future__ import annotations

import math
from typing import Any

from avdet_ros.training.recipes.read import as_yaml
from avdet_ros.training.recipes.student import DistillationRecipe

_TITLES = {
    'map': 'mAP@Avg', 'map50': 'mAP@0.5', 'map75': 'mAP@0.75', 'recall50': 'recall@0.5',
    'cdx': 'CDx %', 'cdy': 'CDy %',
}  # fmt: skip
_TRACKS = {'mota': 'MOTA', 'idf1': 'IDF1', 'hota': 'HOTA', 'switches': 'switches',
           'fragmentations': 'fragmentations'}  # fmt: skip

_INTRODUCTION = """\
# Model card: student.onnx

Hears vehicles: one second of eight microphones in, boxes in the camera's image out. {taught}.
Made again by

    avdet train student RECIPE --data DRIVES --out RUN

with the recipe at the end of this page."""

_WHAT = """\
## What it is

Student `{model}`, {parameters:.2f} M parameters, {megabytes:.1f} MB. Scores are calibrated to be
probabilities that a box overlaps one of its labels by IoU 0.5. torch and ONNX Runtime differ by at
most {apart:.1e} on {windows} test windows. `student_fp16.onnx` ({half_megabytes:.1f} MB, float32
in and out) has {half_share:.1%} of its boxes."""

_DATA = """\
## How it was taught

{about}. Teachers: {teachers} (`{config}` at {height} x {width}), {whence}. {labels}:
{train_labels} in {train} training windows, {val_labels} in {val} validation windows. {features}
{pretext}Fitted in {minutes:g} minutes (seed {seed}, torch {torch}). Epoch and calibration were
chosen on validation windows, by labels of the same kind."""

_BY_TEACHERS = 'Taught by detectors that see, without hand-made labels'
_BY_TRUTH = 'Taught with true boxes, which a simulation alone has'
_TEACHERS_BOXES = 'Their boxes above a score of {score:g}, fused at IoU 0.5, are its labels'
_TRUE_BOXES = 'Its labels are the true boxes'

_LIMITS = """\
## Limits

- It hears what its teachers saw: a vehicle that no camera sees is no label, and what the teachers
  see wrongly it learns wrongly.
- It fits one geometry of microphones and camera; the file says which, and the detector node
  refuses another one.
- Direction is heard well, distance badly. Standing electric vehicles make no sound.
- A box holds for the middle of its window, 0.5 s before the window's end, and is stamped so.
- Not for safety functions."""


def text(
    recipe: DistillationRecipe, scores: dict[str, Any], about: str, facts: dict[str, Any]
) -> str:
    """The card as Markdown.

    Args:
        recipe: what made the model.
        scores: what `avdet_ros.training.run.chain.evaluate` measured.
        about: a sentence on the data.
        facts: of `avdet_ros.training.run.chain.make_model`.
    """
    fit, teachers, transfer = scores['fit'], recipe.teachers, recipe.transfer
    true = transfer.boxes == 'truth'
    handed = f'Beside the boxes it learned their features by {_transfer(recipe)}.'
    pretext = ''
    if 'pretext' in scores:
        counted = scores['pretext']
        pretext = (
            f'It first learned to count vehicles ({counted["accuracy"]:.0%} right on validation '
            f'windows, {counted["majority"]:.0%} by always saying the most common number). '
        )
    parts = [
        _INTRODUCTION.format(taught=_BY_TRUTH if true else _BY_TEACHERS),
        _WHAT.format(
            model=recipe.student.model,
            parameters=fit['parameters'] / 1e6,
            megabytes=facts['bytes'] / 1e6,
            half_megabytes=facts['half_bytes'] / 1e6,
            **facts,
        ),
        _DATA.format(
            about=about,
            labels=_TRUE_BOXES if true else _TEACHERS_BOXES.format(score=teachers.score),
            teachers=', '.join(transfer.teachers),
            config=teachers.config_name,
            height=teachers.height,
            width=teachers.width,
            whence=f'taken from {teachers.folder}'
            if teachers.folder
            else 'taught on other drives',
            features='' if transfer.loss == 'none' else handed,
            pretext=pretext,
            seed=recipe.fit.seed,
            minutes=fit['minutes'],
            torch=fit['torch'],
            train=scores['windows']['train'],
            val=scores['windows']['val'],
            train_labels=scores['labels']['train'],
            val_labels=scores['labels']['val'],
        ),
        '## Measured on the test drives',
    ]
    for kind, results in scores['results'].items():
        parts += [f'Against {kind}:', table(results)]
    parts += [_LIMITS, '## Recipe', '```yaml\n' + as_yaml(recipe) + '```']
    return '\n\n'.join(parts) + '\n'


def table(results: dict[str, dict[str, Any]]) -> str:
    """One line a detector: detection, then tracking."""
    lines = [
        '| detector | ' + ' | '.join([*_TITLES.values(), *_TRACKS.values()]) + ' |',
        '|---|' + '---|' * (len(_TITLES) + len(_TRACKS)),
    ]
    for name, scores in results.items():
        cells = [_number(scores['detection'][key]) for key in _TITLES]
        cells += [_number(scores['tracking'][key]) for key in _TRACKS]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def _transfer(recipe: DistillationRecipe) -> str:
    how = recipe.transfer
    if how.loss == 'mta':
        among = f', {how.combine} of the teachers' if len(how.teachers) > 1 else ''
        return f'Multi-Teacher Alignment ({how.mta}{among}), weight {how.weight:g}'
    return f'the {how.loss} loss, weight {how.weight:g}'


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return '-'
    return str(value) if isinstance(value, int) else f'{value:.3f}'
