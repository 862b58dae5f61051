"""Sections of docs/arrays.md and docs/hearing.md, written from the scores of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from avdet_ros.evaluation.bearing_study.conditions import CONDITIONS
from avdet_ros.evaluation.bearing_study.goals import goal_rows, knows_no_truth
from avdet_ros.evaluation.bearing_study.rows import WITHOUT
from avdet_ros.evaluation.bearing_study.tables import (
    cell_number,
    early_cell,
    estimate,
    other_cell,
    quiet_cell,
)
from avdet_ros.evaluation.bearings.score_thresholds import THRESHOLDS, rows_of
from avdet_ros.evaluation.reports.page_section import marks, write_section

Study = Mapping[str, Mapping[str, Any]]
"""Result of `conditions.read_study`."""

_MAIN = ('plain-kept', 'furnished-ideal', 'furnished-neglected')
_ARRAYS = ('plain-kept', 'furnished-ideal', 'furnished-kept', 'furnished-neglected', 'vehicles')
_SHAPES = tuple(key for key in CONDITIONS if key.startswith('shape-'))


def write_pages(study: Study, folder: Path, command: str) -> list[Path]:
    """Write every section.

    Args:
        study: see `Study`.
        folder: folder of the pages.
        command: command that wrote them, shown above each table.

    Returns:
        The pages.

    Raises:
        AvdetError: a page cannot be written, or lacks the marks.
    """
    arrays = {
        'arrays': _table(study, _ARRAYS, _OVERVIEW),
        'calibration': _calibrated(study),
        'dead': _dead(study),
        'shapes': _table(study, _SHAPES, _OVERVIEW),
    }
    hearing = {
        'goals': _goals(study),
        'bearings': _table(study, _MAIN, _BEARINGS),
        'levels': _parts(study, _MAIN, 'by_level'),
        'distances': _parts(study, _MAIN, 'by_distance'),
        'ranges': _ranges(study, _MAIN),
        'scores': _calibration(study, _MAIN),
        'thresholds': _thresholds(study, _MAIN),
    }
    pages = []
    for name, title, sections in (
        ('arrays.md', 'Any array', arrays),
        ('hearing.md', 'What the model hears', hearing),
    ):
        frame = f'# {title}\n\n' + '\n\n'.join(marks(key) for key in sections) + '\n'
        for key, text in sections.items():
            write_section(folder / name, key, f'    {command}\n\n{text}', frame)
        pages.append(folder / name)
    return pages


Cell = Callable[[Mapping[str, Any]], str]

_OVERVIEW: dict[str, Cell] = {
    'AP, 3°': lambda s: estimate(s['bearings']['ap'], '{:.3f}'),
    'recall, 3°': lambda s: estimate(s['bearings']['recall'], '{:.3f}'),
    'recall, 5°': lambda s: cell_number(s['bearings']['recall_wide']['value'], '{:.3f}'),
    'error, median / 90 %': lambda s: (
        f'{cell_number(s["bearings"]["error_deg"]["median"], "{:.2f}")}° / '
        f'{cell_number(s["bearings"]["error_deg"]["p90"], "{:.2f}")}°'
    ),
    'mAP@0.5': lambda s: cell_number(s['detection']['map50'], '{:.3f}'),
}
_BEARINGS: dict[str, Cell] = {
    **_OVERVIEW,
    'F20': lambda s: cell_number(s['bearings']['f20'], '{:.3f}'),
    'hidden': lambda s: estimate(s['bearings']['hidden']['recall'], '{:.2f}'),
    'mAP': lambda s: cell_number(s['detection']['map'], '{:.3f}'),
    'false vehicles a minute': quiet_cell,
    'other sound': other_cell,
    'corners': early_cell,
}


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Make a Markdown table; the first two columns are text, the others numbers."""
    header = list(header)
    lines = [header, ['---'] * min(len(header), 2) + ['--:'] * (len(header) - 2), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _rows(
    study: Study, keys: Iterable[str], ranged: bool = False
) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Yield title, detector and scores, condition by condition; each title only once.

    Args:
        study: see `Study`.
        keys: conditions.
        ranged: yield only detectors that predict a range.
    """
    for key in keys:
        if key in study:
            title = study[key]['title']
            for name, scores in study[key]['rows'].items():
                if scores['bearings']['range'] or not ranged:
                    yield title, name, scores
                    title = ''


def _amount(study: Study, keys: Iterable[str]) -> str:
    parts = []
    for key in keys:
        if key in study:
            scores = next(iter(study[key]['rows'].values()))['bearings']
            parts.append(
                f'{study[key]["title"]}: {scores["windows"]} windows of '
                f'{scores["drives"]} drives, {scores["labels"]} labels'
            )
    return '; '.join(parts) + '.'


def _table(study: Study, keys: tuple[str, ...], columns: Mapping[str, Cell]) -> str:
    rows = [
        [title, name, *(cell(scores) for cell in columns.values())]
        for title, name, scores in _rows(study, keys)
    ]
    if not rows:
        return 'Not measured yet.'
    return f'{_amount(study, keys)}\n\n{markdown(["", "", *columns], rows)}'


def _parts(study: Study, keys: tuple[str, ...], family: str) -> str:
    every = list(_rows(study, keys))
    if not every:
        return 'Not measured yet.'
    names = [part['name'] for part in every[0][2]['bearings'][family]]
    rows = []
    for title, name, scores in every:
        parts = scores['bearings'][family]
        if title:
            rows.append([title, 'labels', *(str(part['labels']) for part in parts)])
        cells = (cell_number(part['recall']['value'], '{:.2f}') for part in parts)
        rows.append(['', name, *cells])
    return markdown(['', '', *names], rows)


def _goals(study: Study) -> str:
    header, rows = goal_rows(study)
    return markdown(header, rows) if rows else 'Not measured yet.'


def _calibrated(study: Study) -> str:
    """Tabulate each vehicle's lead errors before and after calibration, from the last model."""
    arrays = study.get('vehicles', {}).get('calibration', [])
    if not arrays:
        return 'Not measured yet.'
    rows = [
        [
            str(number),
            array['refused'] or 'calibrated',
            cell_number(array['before_us'], '{:.1f}'),
            cell_number(array['after_us'], '{:.1f}'),
        ]
        for number, array in enumerate(arrays, start=1)
    ]
    header = ['vehicle', '', 'rms of the leads before, us', 'after']
    return markdown(header, rows)


def _dead(study: Study) -> str:
    """Tabulate the loss of each model with each microphone dead, and the mean over them."""
    condition = study.get('dead-microphone', {'rows': {}})
    rows = []
    for name, scores in condition['rows'].items():
        if WITHOUT in name:
            continue
        dead_scores = [condition['rows'][f'{name}{WITHOUT}{number + 1}'] for number in range(8)]
        whole = _dead_numbers(scores)
        dead_numbers = [_dead_numbers(entry) for entry in dead_scores]
        lines = {'': whole} | {
            str(number + 1): values for number, values in enumerate(dead_numbers)
        }
        lines['mean'] = [sum(values) / len(values) for values in zip(*dead_numbers, strict=True)]
        for dead, (ap, recall, map50) in lines.items():
            lost = '' if not dead else f'{100 * (1 - recall / whole[1]):.0f} %'
            numbers = [cell_number(value, '{:.3f}') for value in (ap, recall, map50)]
            rows.append(['' if dead else name, dead, *numbers, lost])
    if not rows:
        return 'Not measured yet.'
    header = ['', 'dead', 'AP, 3°', 'recall, 3°', 'mAP@0.5', 'recall lost']
    return f'{_amount(study, ["dead-microphone"])}\n\n{markdown(header, rows)}'


def _dead_numbers(scores: Mapping[str, Any]) -> list[float]:
    bearings = scores['bearings']
    return [bearings['ap']['value'], bearings['recall']['value'], scores['detection']['map50']]


def _ranges(study: Study, keys: tuple[str, ...]) -> str:
    rows = []
    names: list[str] = []
    for title, name, scores in _rows(study, keys, ranged=True):
        ranges = scores['bearings']['range']
        parts = [*ranges['by_distance'], ranges['middle']]
        names = [part['name'] for part in parts]
        cells = [
            f'{cell_number(part["median"], "{:.2f}")} ({cell_number(part["coverage"], "{:.2f}")})'
            for part in parts
        ]
        rows.append([title, name, *cells])
    return markdown(['', '', *names], rows) if rows else 'No model here predicts a range.'


def _thresholds(study: Study, keys: tuple[str, ...]) -> str:
    """Tabulate precision and recall at each threshold, for models that use the rig file."""
    rows = []
    for key in keys:
        title = study[key]['title'] if key in study else ''
        for name, scores in study[key]['rows'].items() if key in study else ():
            # Baselines' scores have another meaning; older files have no thresholds.
            if not knows_no_truth(name) or 'thresholds' not in scores:
                continue
            for line, values, form in rows_of(scores):
                rows.append([title, name, line, *(cell_number(value, form) for value in values)])
                title = name = ''
    if not rows:
        return 'Not measured yet.'
    table = markdown(['', '', '', *(f'{score:.1f}' for score in THRESHOLDS)], rows)
    return table.replace('| --- | --- | --: |', '| --- | --- | --- |', 1)


def _calibration(study: Study, keys: tuple[str, ...]) -> str:
    every = list(_rows(study, keys))
    if not every:
        return 'Not measured yet.'
    bins = every[0][2]['bearings']['calibration']['bins']
    names = [f'{part["low"]:.1f}' for part in bins]
    rows = []
    for title, name, scores in every:
        result = scores['bearings']['calibration']
        cells = (cell_number(part['right'], '{:.2f}') for part in result['bins'])
        rows.append([title, name, *cells, cell_number(result['error'], '{:.3f}')])
    return markdown(['', '', *names, 'off by'], rows)
