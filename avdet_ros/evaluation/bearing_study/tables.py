"""Tables of bearing scores, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
from typing import Any

from rich.table import Table

from avdet_ros.evaluation.bearings.score_thresholds import THRESHOLDS, rows_of
from avdet_ros.evaluation.bearings.scores import HIDDEN_BELOW, MIDDLE_M
from avdet_ros.evaluation.reports.tables import number
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED

Rows = Mapping[str, Mapping[str, Any]]
"""Scores by detector, from `run.measure` or from JSON."""


def estimate(value: Mapping[str, float | None], form: str = '{:.3f}') -> str:
    """Format a number with its interval, as ``.598 (.560 to .633)``."""
    text = cell_number(value['value'], form)
    low, high = cell_number(value['low'], form), cell_number(value['high'], form)
    return text if '-' in (text, low, high) else f'{text} ({low} to {high})'


def main_table(rows: Rows, title: str) -> Table:
    """Make a table with one column per detector and one row per measure."""
    table = Table(title=title, title_justify='left')
    table.add_column('')
    for name in rows:
        table.add_column(name, justify='right')
    for label, cell in _MEASURES:
        table.add_row(label, *(cell(scores) for scores in rows.values()))
    return table


def parts_table(rows: Rows) -> Table:
    """Tabulate recall and AP by distance and by level, one column per detector."""
    table = Table(title='Recall (AP) within 3°', title_justify='left')
    table.add_column('')
    table.add_column('labels', justify='right')
    for name in rows:
        table.add_column(name, justify='right')
    first = next(iter(rows.values()))['bearings']
    for family in ('by_distance', 'by_level'):
        for index, part in enumerate(first[family]):
            cells = [part_cell(scores['bearings'][family][index]) for scores in rows.values()]
            table.add_row(part['name'], str(part['labels']), *cells)
    return table


def part_cell(part: Mapping[str, Any]) -> str:
    """Format recall and AP of some labels, as ``.71 (.88)``."""
    recall, ap = (cell_number(part[key]['value'], '{:.2f}') for key in ('recall', 'ap'))
    return recall if ap == '-' else f'{recall} ({ap})'


def range_table(rows: Rows) -> Table | None:
    """Tabulate range errors by distance; None if no detector predicts a range."""
    ranges_by_name = {name: row['bearings']['range'] for name, row in rows.items()}
    ranges_by_name = {name: ranges for name, ranges in ranges_by_name.items() if ranges}
    if not ranges_by_name:
        return None
    table = Table(title="Range, |d - d'| / d", title_justify='left')
    for column in ('', 'distance', 'matches', 'median', '90th percentile', 'inside 90 % interval'):
        table.add_column(column, justify='left' if column in ('', 'distance') else 'right')
    for name, ranges in ranges_by_name.items():
        for part in (*ranges['by_distance'], ranges['middle'], ranges['all']):
            numbers = (cell_number(part[key], '{:.2f}') for key in ('median', 'p90', 'coverage'))
            table.add_row(name, part['name'], str(part['matches']), *numbers)
    return table


def threshold_table(rows: Rows) -> Table | None:
    """Tabulate results at each threshold on the score, one line per measure; models only."""
    baselines = (CONSTANT, STEERED)  # their scores have another meaning
    model_rows = {name: row for name, row in rows.items() if name not in baselines}
    if not model_rows:
        return None
    table = Table(title='Scores of at least', title_justify='left')
    table.add_column('')
    table.add_column('')
    for score in THRESHOLDS:
        table.add_column(f'{score:.1f}', justify='right')
    for name, scores in model_rows.items():
        for line, values, form in rows_of(scores):
            table.add_row(name, line, *(cell_number(value, form) for value in values))
            name = ''
    return table


def cell_number(value: float | None, form: str) -> str:
    """Format a number without a leading zero; a dash if it is undefined."""
    text = number(math.nan if value is None else value, form)
    return text[1:] if text.startswith('0.') else text


def _range(scores: Mapping[str, Any], key: str) -> str:
    ranges = scores['bearings']['range']
    return cell_number(ranges['middle'][key], '{:.2f}') if ranges else '-'


def quiet_cell(scores: Mapping[str, Any]) -> str:
    """Format the false vehicles a minute, their number and the minutes."""
    quiet = scores['quiet']
    if not quiet:
        return '-'
    return f'{quiet["a_minute"]:.2f} ({quiet["vehicles"]} in {quiet["minutes"]:.1f})'


def other_cell(scores: Mapping[str, Any]) -> str:
    """Format the false vehicles a minute with another sound in view, by its level."""
    cells = [
        f'{level_scores["a_minute"]:.1f}'
        for level_scores in (scores.get('other') or {}).values()
        if level_scores
    ]
    return ', '.join(cells) or '-'


def early_cell(scores: Mapping[str, Any]) -> str:
    """Format the shares of vehicles at corners found early, on the wrong side, and the total."""
    early = scores.get('early')
    if not early:
        return '-'
    found, wrong = (cell_number(early[key], '{:.2f}') for key in ('found', 'wrong_side'))
    return f'{found} ({wrong}) of {early["vehicles"]}'


_MEASURES: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ('AP, 3°', lambda s: estimate(s['bearings']['ap'])),
    ('recall, 3°, 0.1 false a window', lambda s: estimate(s['bearings']['recall'])),
    ('recall, 5°', lambda s: estimate(s['bearings']['recall_wide'])),
    (
        'azimuth error, median, °',
        lambda s: cell_number(s['bearings']['error_deg']['median'], '{:.2f}'),
    ),
    (
        '90th percentile of those within 3°, 5°',
        lambda s: (
            f'{cell_number(s["bearings"]["error_deg"]["p90"], "{:.2f}")}, '
            f'{cell_number(s["bearings"]["error_deg"]["wide_p90"], "{:.2f}")}'
        ),
    ),
    ('F20', lambda s: cell_number(s['bearings']['f20'], '{:.3f}')),
    (
        f'recall, visible < {HIDDEN_BELOW:g}',
        lambda s: estimate(s['bearings']['hidden']['recall']),
    ),
    (f'range error {MIDDLE_M[0]} to {MIDDLE_M[1]} m, median', lambda s: _range(s, 'median')),
    ('inside the 90 % interval', lambda s: _range(s, 'coverage')),
    ('scores off by', lambda s: cell_number(s['bearings']['calibration']['error'], '{:.3f}')),
    ('mAP@Avg (0.50:0.95)', lambda s: cell_number(s['detection']['map'], '{:.3f}')),
    ('mAP@0.5', lambda s: cell_number(s['detection']['map50'], '{:.3f}')),
    ('false vehicles a minute', quiet_cell),
    ('with another sound at 0, +10 dB', other_cell),
    ('found 1.5 s before they are seen (wrong side)', early_cell),
    ('ms a window, median', lambda s: cell_number(s['milliseconds']['p50'], '{:.1f}')),
)
