"""The model card: what a model is, how it was made and what it was measured to do."""

from __future__ import annotations

import statistics
from typing import Any

from avdet_ros.training.data.simulated import SEEDS, Splits
from avdet_ros.training.recipes.read import StudentRecipe, as_yaml

_TITLES = {
    'map': 'mAP', 'map50': 'mAP@0.5', 'map75': 'mAP@0.75', 'recall50': 'recall@0.5',
    'cdx': 'CDx %', 'cdy': 'CDy %',
}  # fmt: skip

_INTRODUCTION = """\
# Model card: student.onnx

Hears vehicles: one second of eight microphones in, boxes in the camera's image out. Made again,
from simulated drives to this page, by

    avdet train student config/recipes/simulated_labels.yaml"""

_WHAT = """\
## What it is

Model `{model}` (avdet_ros/training/networks/compact.py), {parameters:.2f} M parameters,
{megabytes:.1f} MB.
Input: log-mel levels of eight microphones and mel-band coherences of twelve pairs. Scores are
calibrated on the validation windows to be probabilities that a box overlaps a vehicle by IoU 0.5.
torch and ONNX Runtime differ by at most {apart:.1e} on {windows} windows."""

_DATA = """\
## Data

{about}. Learned from {windows} windows in {minutes:g} minutes (seed {seed}, torch {torch}). Drives
{seeds}: no drive is in two splits. Test windows were used for the numbers below only; epoch and
calibration were chosen on validation windows."""

_READING = """\
CDx and CDy: distance of matched centres in per cent of the image, of boxes scored above 0.3, as
recall. Against SRP-PHAT and with tracks: `avdet eval model`. Scores as probabilities, on the test
windows:"""

_COMPARED = """\
## Which student

The same windows and epochs for each, three seeds, on the test windows; again by
`avdet train student config/recipes/comparison.yaml`. The runs are short and none has converged:
read the order, not the figures:"""

_LIMITS = """\
- Taught and measured on simulated drives only, with the simulator's boxes as labels. On a real
  vehicle expect less until it has been taught on recordings of that vehicle.
- It fits one geometry of microphones and camera; the file says which, and the detector node
  refuses another one.
- Direction is heard well, distance badly: boxes of far or masked vehicles have the wrong size
  more often than the wrong place, which is what the gap between mAP@0.5 and mAP@0.75 shows.
- Standing electric vehicles make no sound and are not heard. Several vehicles in one direction
  are heard as one.
- A box holds for the middle of its window, 0.5 s before the window's end, and is stamped so.
- Not for safety functions.
"""


def text(
    recipe: StudentRecipe,
    scores: dict[str, Any],
    splits: Splits,
    facts: dict[str, Any],
    comparison: list[dict[str, Any]] | None = None,
) -> str:
    """The card as Markdown.

    Args:
        recipe: what made the model.
        scores: what `avdet_ros.training.run.train.score_student` measured.
        splits: the windows.
        facts: ``bytes`` of the file, ``apart`` (largest difference between torch and ONNX
            Runtime) and on how many ``windows``.
        comparison: rows of a comparison of models, if there is one.
    """
    fit = scores['fit']
    parts = [
        _INTRODUCTION,
        _WHAT.format(
            model=recipe.model,
            parameters=fit['parameters'] / 1e6,
            megabytes=facts['bytes'] / 1e6,
            **facts,
        ),
        _DATA.format(
            about=splits.about,
            seed=recipe.fit.seed,
            seeds=', '.join(
                f'{low} to {high - 1} are {name}' for name, (low, high) in SEEDS.items()
            ),
            **fit,
        ),
        '## Measured',
        metrics_table(
            {
                'test': scores['test'],
                'val': scores['val'],
                'as many training windows': scores['train'],
                'test, the 20 most common training boxes': scores['constant_boxes'],
            }
        ),
        _READING,
        reliability_table(scores['reliability']),
    ]
    if comparison:
        parts += [_COMPARED, comparison_table(comparison).rstrip()]
    parts += ['## Limits', _LIMITS.rstrip(), '## Recipe', '```yaml\n' + as_yaml(recipe) + '```']
    return '\n\n'.join(parts) + '\n'


def metrics_table(rows: dict[str, dict[str, float]]) -> str:
    """One line a row: mAP averaged, at 0.5 and 0.75, recall, centre distances, windows, boxes."""
    lines = [
        '| on | ' + ' | '.join(_TITLES.values()) + ' | windows | boxes |',
        '|---|' + '---|' * (len(_TITLES) + 2),
    ]
    for name, row in rows.items():
        numbers = ' | '.join(_number(row[key]) for key in _TITLES)
        lines.append(f'| {name} | {numbers} | {row["frames"]:.0f} | {row["boxes"]:.0f} |')
    return '\n'.join(lines)


def reliability_table(rows: list[dict[str, float]]) -> str:
    """Score ranges, how many boxes they hold, their mean score, and how many are right."""
    lines = ['| score | boxes | mean score | right |', '|---|---|---|---|']
    lines += [
        f'| {row["from"]:g} to {row["to"]:g} | {row["boxes"]} '
        f'| {row["score"]:.3f} | {row["right"]:.3f} |'
        for row in rows
    ]
    return '\n'.join(lines)


def comparison_table(rows: list[dict[str, Any]]) -> str:
    """Mean and spread (standard deviation) over the seeds of each model, on the test windows."""
    lines = [
        '| model | M parameters | seeds | '
        + ' | '.join(_TITLES.values())
        + ' | mAP on training windows | minutes |',
        '|---|' + '---|' * (len(_TITLES) + 4),
    ]
    for model in dict.fromkeys(row['model'] for row in rows):
        mine = [row for row in rows if row['model'] == model]
        cells = [_spread([row['test'][key] for row in mine]) for key in _TITLES]
        cells.append(_spread([row['train']['map'] for row in mine]))
        minutes = statistics.mean(row['fit']['minutes'] for row in mine)
        size = mine[0]['fit']['parameters'] / 1e6
        lines.append(
            f'| {model} | {size:.2f} | {len(mine)} | {" | ".join(cells)} | {minutes:.0f} |'
        )
    constant = rows[0]['constant_boxes']
    cells = [_number(constant[key]) for key in _TITLES]
    lines.append(f'| 20 constant boxes | - | - | {" | ".join(cells)} | - | - |')
    return '\n'.join(lines) + '\n'


def _spread(values: list[float | None]) -> str:
    values = [value for value in values if value is not None]
    mean = _number(statistics.mean(values) if values else None)
    return f'{mean} ± {statistics.stdev(values):.3f}' if len(values) > 1 else mean


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'
