"""Scores as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.evaluate import jsonable

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


def metrics_table(scores: dict[str, dict[str, Any]], title: str) -> Table:
    """One column a detector, one row a metric."""
    table = Table(title=title, title_justify='left')
    table.add_column('')
    for name in scores:
        table.add_column(name, justify='right')
    for label, (family, key), form in _ROWS:
        table.add_row(label, *(number(result[family][key], form) for result in scores.values()))
    return table


def breakdown_table(scores: dict[str, dict[str, Any]]) -> Table:
    """Where each detector finds vehicles: by their number, distance and whether they show."""
    table = Table(title='Where', title_justify='left')
    table.add_column('')
    table.add_column('frames or boxes', justify='right')
    for name in scores:
        table.add_column(name, justify='right')
    first = next(iter(scores.values()))
    for group, entry in first['by_vehicles'].items():
        key, what = (
            ('false_alarms', 'false alarms a frame') if group == '0' else ('map50', 'mAP@0.5')
        )
        cells = (number(result['by_vehicles'][group][key], '{:.3f}') for result in scores.values())
        table.add_row(f'{what}, {group} vehicles', str(entry['frames']), *cells)
    for family, unit in (('by_distance_m', ' m'), ('by_view', '')):
        for group, entry in first[family].items():
            cells = (
                number(result[family][group]['recall50'], '{:.3f}') for result in scores.values()
            )
            table.add_row(f'recall@0.5, {group}{unit}', str(entry['boxes']), *cells)
    return table


def number(value: float, form: str) -> str:
    """A number as text; a dash where it is not defined."""
    return '-' if isinstance(value, float) and math.isnan(value) else form.format(value)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write results.

    Raises:
        AvdetError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(jsonable(content), indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise AvdetError(f'cannot write {path}: {error.strerror}') from error
