"""Tables of scores as Markdown, for the model card and the comparison of students."""

from __future__ import annotations

import math
import statistics
from typing import Any

TITLES = {
    'map': 'mAP',
    'map50': 'mAP@0.5',
    'map75': 'mAP@0.75',
    'recall50': 'recall@0.5',
    'cdx': 'CDx %',
    'cdy': 'CDy %',
}
TRACKS = {
    'mota': 'MOTA',
    'idf1': 'IDF1',
    'hota': 'HOTA',
    'switches': 'switches',
    'fragmentations': 'fragmentations',
}


def metrics_table(rows: dict[str, dict[str, float]]) -> str:
    """A line per row: mAP averaged, at 0.5, at 0.75, recall, centre distances, windows, boxes."""
    lines = [
        '| on | ' + ' | '.join(TITLES.values()) + ' | windows | boxes |',
        '|---|' + '---|' * (len(TITLES) + 2),
    ]
    for name, row in rows.items():
        numbers = ' | '.join(_number(row[key]) for key in TITLES)
        lines.append(f'| {name} | {numbers} | {row["frames"]:.0f} | {row["boxes"]:.0f} |')
    return '\n'.join(lines)


def reliability_table(rows: list[dict[str, float]]) -> str:
    """Format score ranges: their number of boxes, mean score, and share of right boxes."""
    lines = ['| score | boxes | mean score | share that is right |', '|---|---|---|---|']
    lines += [
        f'| {row["from"]:g} to {row["to"]:g} | {row["boxes"]} '
        f'| {row["score"]:.3f} | {row["right"]:.3f} |'
        for row in rows
    ]
    return '\n'.join(lines)


def comparison_table(rows: list[dict[str, Any]]) -> str:
    """Format mean and standard deviation over each model's seeds, on the test windows."""
    lines = [
        '| model | M parameters | seeds | '
        + ' | '.join(TITLES.values())
        + ' | mAP on training windows | minutes |',
        '|---|' + '---|' * (len(TITLES) + 4),
    ]
    for model in dict.fromkeys(row['model'] for row in rows):
        model_rows = [row for row in rows if row['model'] == model]
        cells = [_mean_and_deviation([row['test'][key] for row in model_rows]) for key in TITLES]
        cells.append(_mean_and_deviation([row['train']['map'] for row in model_rows]))
        minutes = statistics.mean(row['fit']['minutes'] for row in model_rows)
        size = model_rows[0]['fit']['parameters'] / 1e6
        lines.append(
            f'| {model} | {size:.2f} | {len(model_rows)} | {" | ".join(cells)} | {minutes:.0f} |'
        )
    if constant := rows[0].get('constant_boxes'):
        cells = [_number(constant[key]) for key in TITLES]
        lines.append(f'| 20 constant boxes | - | - | {" | ".join(cells)} | - | - |')
    return '\n'.join(lines) + '\n'


def detector_table(results: dict[str, dict[str, Any]]) -> str:
    """Format one line per detector: detection, then tracking."""
    lines = [
        '| detector | ' + ' | '.join([*TITLES.values(), *TRACKS.values()]) + ' |',
        '|---|' + '---|' * (len(TITLES) + len(TRACKS)),
    ]
    for name, scores in results.items():
        cells = [_number(scores['detection'][key]) for key in TITLES]
        cells += [_number(scores['tracking'][key]) for key in TRACKS]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def _mean_and_deviation(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    mean = _number(statistics.mean(known) if known else None)
    return f'{mean} ± {statistics.stdev(known):.3f}' if len(known) > 1 else mean


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return '-'
    return str(value) if isinstance(value, int) else f'{value:.3f}'
