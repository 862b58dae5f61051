"""Scores as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, jsonable

_ROWS = [
    ('mAP@Avg (0.50:0.95)', ('detection', 'map'), '{:.3f}'),
    ('mAP@0.5', ('detection', 'map50'), '{:.3f}'),
    ('mAP@0.75', ('detection', 'map75'), '{:.3f}'),
    ('CDx, % of the width', ('detection', 'cdx'), '{:.2f}'),
    ('CDy, % of the height', ('detection', 'cdy'), '{:.2f}'),
    ('MOTA', ('tracking', 'mota'), '{:.3f}'),
    ('IDF1', ('tracking', 'idf1'), '{:.3f}'),
    ('HOTA', ('tracking', 'hota'), '{:.3f}'),
    ('ID switches', ('tracking', 'switches'), '{:d}'),
    ('fragmentations', ('tracking', 'fragmentations'), '{:d}'),
    ('FP', ('tracking', 'false_positives'), '{:d}'),
    ('FN', ('tracking', 'false_negatives'), '{:d}'),
    ('ms a window, median', ('milliseconds', 'p50'), '{:.1f}'),
]

_AS_RELEASED_ROWS = [
    ('mAP@Avg (0.50:0.90)', ('as_released', 'map'), '{:.3f}'),
    ('mAP@0.5', ('as_released', 'map50'), '{:.3f}'),
    ('mAP@0.75', ('as_released', 'map75'), '{:.3f}'),
    ('CDx (widths), % of the canvas', ('as_released', 'cdx'), '{:.2f}'),
    ('CDy (heights), % of the canvas', ('as_released', 'cdy'), '{:.2f}'),
]


def metrics_table(scores: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Make a table with one column per detector and one row per metric."""
    return _table(scores, title, _ROWS)


def as_released_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Tabulate the metrics of MM-DistillNet's program, see `evaluation.boxes.released_metrics`."""
    title = "Counted as in the authors' program (not comparable with any other number here)"
    return _table(scores, title, _AS_RELEASED_ROWS)


def _table(scores: Mapping[str, Mapping[str, Any]], title: str, rows: Sequence[Any]) -> Table:
    table = Table(title=title, title_justify='left')
    table.add_column('')
    for name in scores:
        table.add_column(name, justify='right')
    for label, (family, key), form in rows:
        table.add_row(label, *(number(result[family][key], form) for result in scores.values()))
    return table


def breakdown_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Tabulate each detector's scores on every part of the data; see `evaluation.scores`."""
    table = Table(title='Where', title_justify='left')
    table.add_column('')
    table.add_column('frames', justify='right')
    table.add_column('boxes', justify='right')
    for name in scores:
        table.add_column(name, justify='right')
    parts_by_detector = [result['parts'] for result in scores.values()]
    for parts in zip(*parts_by_detector, strict=True):
        family, name, counts = parts[0]['family'], parts[0]['name'], parts[0]['detection']
        if not counts['boxes']:
            metric = 'false alarms a frame'
            cells = [number(part['false_alarms'], '{:.3f}') for part in parts]
        else:
            key = 'recall50' if family in ('distance', 'view') else 'map50'
            metric = 'recall@0.5' if key == 'recall50' else 'mAP@0.5'
            cells = [number(part['detection'][key], '{:.3f}') for part in parts]
        label = name
        if family == 'vehicles':
            label += ' vehicle' if name == '1' else ' vehicles'
        row = (f'{metric}, {label}', str(counts['frames']), str(counts['boxes']))
        table.add_row(*row, *cells)
    return table


def number(value: float, form: str) -> str:
    """Format a number; a dash if it is undefined."""
    return '-' if isinstance(value, float) and math.isnan(value) else form.format(value)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write results as JSON.

    Raises:
        AvdetError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(jsonable(content), indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise AvdetError(f'cannot write {path}: {explain_os_error(error)}') from error
