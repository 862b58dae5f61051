"""Terminal tables, cell by cell, and JSON files."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.tables import (
    as_released_table,
    breakdown_table,
    metrics_table,
    number,
    write_json,
)

SCORES = {
    'map': 0.12345,
    'map50': 0.5004,
    'map75': math.nan,
    'cdx': 1.236,
    'cdy': 2.0,
    'recall50': 0.75,
}
TRACKING = {
    'mota': -0.5,
    'idf1': 0.25,
    'hota': 1 / 3,
    'switches': 3,
    'fragmentations': 4,
    'false_positives': 5,
    'false_negatives': 6,
}


def part(family, name, boxes, false_alarms=0.0):
    counts = {**SCORES, 'frames': 40, 'boxes': boxes}
    return {'family': family, 'name': name, 'detection': counts, 'false_alarms': false_alarms}


RESULT = {
    'detection': SCORES,
    'tracking': TRACKING,
    'milliseconds': {'p50': 12.34},
    'as_released': {**SCORES, 'map': 0.9},
    'parts': [
        part('vehicles', '1', 30),
        part('vehicles', '2', 20),
        part('distance', '0 to 10 m', 10),
        part('view', 'hidden', 5),
        part('vehicles', 'no', 0, 0.125),
    ],
}


def rows(table):
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table)
    lines = console.export_text().splitlines()
    cells = [[cell.strip() for cell in line.strip('│┃┏┡└━ ').split('│')] for line in lines]
    return lines[0].strip(), [row for row in cells if len(row) > 1]


def test_metrics_table_has_columns_of_detectors_and_rows_of_metrics():
    other = {**RESULT, 'milliseconds': {'p50': math.nan}}
    title, found = rows(metrics_table({'ours': RESULT, 'theirs': other}, 'All of it'))
    assert title == 'All of it'
    assert found == [
        ['mAP@Avg (0.50:0.95)', '0.123', '0.123'],
        ['mAP@0.5', '0.500', '0.500'],
        ['mAP@0.75', '-', '-'],
        ['CDx, % of the width', '1.24', '1.24'],
        ['CDy, % of the height', '2.00', '2.00'],
        ['MOTA', '-0.500', '-0.500'],
        ['IDF1', '0.250', '0.250'],
        ['HOTA', '0.333', '0.333'],
        ['ID switches', '3', '3'],
        ['fragmentations', '4', '4'],
        ['FP', '5', '5'],
        ['FN', '6', '6'],
        ['ms a window, median', '12.3', '-'],
    ]


def test_authors_metrics_are_in_a_separate_table():
    title, found = rows(as_released_table({'ours': RESULT}))
    assert title.startswith("Counted as in the authors' program")
    assert found[:2] == [['mAP@Avg (0.50:0.90)', '0.900'], ['mAP@0.5', '0.500']]
    assert [row[1] for row in found[2:]] == ['-', '1.24', '2.00']


def test_each_part_shows_its_relevant_metric():
    title, found = rows(breakdown_table({'ours': RESULT, 'theirs': RESULT}))
    assert title == 'Where'
    assert found == [
        ['mAP@0.5, 1 vehicle', '40', '30', '0.500', '0.500'],
        ['mAP@0.5, 2 vehicles', '40', '20', '0.500', '0.500'],
        ['recall@0.5, 0 to 10 m', '40', '10', '0.750', '0.750'],
        ['recall@0.5, hidden', '40', '5', '0.750', '0.750'],
        ['false alarms a frame, no vehicles', '40', '0', '0.125', '0.125'],
    ]


def test_undefined_numbers_are_shown_as_a_dash():
    assert (number(math.nan, '{:.1f}'), number(0.26, '{:.1f}'), number(7, '{:d}')) == (
        '-',
        '0.3',
        '7',
    )


def test_write_json_creates_folders(tmp_path):
    path = tmp_path / 'a' / 'b.json'
    write_json(path, {'x': math.nan, 'y': [1]})
    assert json.loads(path.read_text()) == {'x': None, 'y': [1]}
    assert path.read_text().endswith('}\n')
    write_json(path, {})
    with pytest.raises(AvdetError, match=r'cannot write .*b\.json/c\.json: '):
        write_json(path / 'c.json', {})
