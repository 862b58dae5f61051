"""Sections of pages and cells of tables, for an invented study."""

from __future__ import annotations

import pytest

from avdet_ros.evaluation.bearing_study.pages import markdown, write_pages
from avdet_ros.evaluation.bearing_study.rows import BOUND, WITHOUT
from avdet_ros.evaluation.bearing_study.tables import (
    cell_number,
    early_cell,
    estimate,
    main_table,
    other_cell,
    part_cell,
    parts_table,
    quiet_cell,
    range_table,
)
from avdet_ros.evaluation.runs.on_simulation import CONSTANT


def with_interval(value, low=None, high=None):
    return {'value': value, 'low': low, 'high': high}


def scores(ap=0.5981, recall=0.4, map50=0.3, ranged=True, **more):
    """Scores of one detector, with distinct numbers."""
    part = {'median': 0.21, 'p90': 0.55, 'coverage': 0.88, 'matches': 12}
    return {
        'bearings': {
            'windows': 100,
            'drives': 4,
            'labels': 250,
            'ap': with_interval(ap, ap - 0.04, ap + 0.04),
            'recall': with_interval(recall, recall - 0.05, recall + 0.05),
            'recall_wide': with_interval(0.45),
            'error_deg': {'median': 0.713, 'p90': 2.4, 'wide_p90': 3.9},
            'f20': 0.61,
            'hidden': {'recall': with_interval(0.25, 0.1, 0.375)},
            'by_distance': [
                {
                    'name': '0 to 20 m',
                    'labels': 50,
                    'recall': with_interval(0.8),
                    'ap': with_interval(0.9),
                },
                {
                    'name': '20 to 40 m',
                    'labels': 200,
                    'recall': with_interval(0.3),
                    'ap': with_interval(None),
                },
            ],
            'by_level': [
                {
                    'name': 'loud',
                    'labels': 70,
                    'recall': with_interval(0.7),
                    'ap': with_interval(0.75),
                }
            ],
            'range': {
                'by_distance': [{'name': 'near', **part}],
                'middle': {'name': '10 to 40 m', **part, 'median': 0.18},
                'all': {'name': 'all', **part, 'matches': 44},
            }
            if ranged
            else None,
            'calibration': {'error': 0.0312, 'bins': [{'low': 0.1, 'right': 0.15}]},
        },
        'detection': {'map': 0.1234, 'map50': map50},
        'milliseconds': {'p50': 3.25},
        'quiet': {'a_minute': 0.5, 'vehicles': 3, 'minutes': 6.02},
        'other': {'0': {'a_minute': 1.25}, '10': {'a_minute': 4.0}, '20': None},
        'early': {'found': 0.625, 'wrong_side': 0.05, 'vehicles': 80},
        **more,
    }


@pytest.fixture
def study():
    dead = {'model': scores(0.6, 0.5, 0.4)}
    dead |= {
        f'model{WITHOUT}{number}': scores(0.5, 0.5 - 0.01 * number, 0.3) for number in range(1, 9)
    }
    return {
        'plain-kept': {
            'title': 'plain',
            'rows': {'model': scores(), CONSTANT: scores(ranged=False)},
        },
        'furnished-ideal': {'title': 'full', 'rows': {f'model{BOUND}': scores(0.7)}},
        'vehicles': {
            'title': 'vehicles',
            'rows': {'model': scores()},
            'calibration': [
                {'refused': '', 'before_us': 31.04, 'after_us': 4.26},
                {'refused': 'too quiet', 'before_us': 20.0, 'after_us': None},
            ],
        },
        'dead-microphone': {'title': 'dead', 'rows': dead},
    }


def sections(page):
    """The lines of each section of a page, by the name of the section."""
    found, name = {}, None
    for line in page.read_text().splitlines():
        if line.startswith('<!-- end of'):
            name = None
        elif line.startswith('<!-- '):
            name = line[5:-4]
            found[name] = []
        elif name and line:
            found[name].append(line)
    return found


def test_estimates_show_intervals_and_drop_leading_zeros():
    assert estimate(with_interval(0.5981, 0.56, 0.633)) == '.598 (.560 to .633)'
    assert estimate(with_interval(1.0, 0.97, 1.0), '{:.2f}') == '1.00 (.97 to 1.00)'
    assert estimate(with_interval(0.5)) == '.500'
    assert estimate(with_interval(None, 0.1, 0.2)) == '-'
    assert (cell_number(12.5, '{:.1f}'), cell_number(None, '{:.1f}')) == ('12.5', '-')
    assert part_cell({'recall': with_interval(0.71), 'ap': with_interval(0.875)}) == '.71 (.88)'
    assert part_cell({'recall': with_interval(0.71), 'ap': with_interval(None)}) == '.71'


def test_optional_cells_show_values_or_a_dash():
    full, none = scores(), scores(quiet=None, other=None, early=None)
    assert [cell(full) for cell in (quiet_cell, other_cell, early_cell)] == [
        '0.50 (3 in 6.0)',
        '1.2, 4.0',
        '.62 (.05) of 80',
    ]
    assert [cell(none) for cell in (quiet_cell, other_cell, early_cell)] == ['-'] * 3


def cells(table):
    """The columns of a rich table, each as its header and its cells."""
    return [[str(column.header), *map(str, column._cells)] for column in table.columns]


def test_terminal_tables_show_every_detector():
    rows = {'a': scores(), 'b': scores(0.7, ranged=False)}
    names, first, second = cells(main_table(rows, 'title'))
    by_name = dict(zip(names, zip(first, second, strict=True), strict=True))
    assert by_name[''] == ('a', 'b')
    assert by_name['AP, 3°'] == ('.598 (.558 to .638)', '.700 (.660 to .740)')
    assert by_name['90th percentile of those within 3°, 5°'] == ('2.40, 3.90',) * 2
    assert by_name['inside the 90 % interval'] == ('.88', '-')
    assert by_name['mAP@Avg (0.50:0.95)'] == ('.123', '.123')
    assert by_name['ms a window, median'] == ('3.2', '3.2')
    assert cells(parts_table(rows)) == [
        ['', '0 to 20 m', '20 to 40 m', 'loud'],
        ['labels', '50', '200', '70'],
        ['a', '.80 (.90)', '.30', '.70 (.75)'],
        ['b', '.80 (.90)', '.30', '.70 (.75)'],
    ]
    ranges = cells(range_table(rows))
    assert ranges[0] == ['', 'a', 'a', 'a']
    assert ranges[1] == ['distance', 'near', '10 to 40 m', 'all']
    assert ranges[2] == ['matches', '12', '12', '44']
    assert ranges[3] == ['median', '.21', '.18', '.21']
    assert ranges[5][1:] == ['.88'] * 3
    assert range_table({'b': rows['b']}) is None


def test_sections_contain_every_measured_condition(study, tmp_path):
    arrays, hearing = write_pages(study, tmp_path, 'a command')
    found = sections(arrays)
    assert [line.strip() for line in (found['arrays'][0], found['dead'][0])] == ['a command'] * 2
    assert found['arrays'][1] == (
        'plain: 100 windows of 4 drives, 250 labels; full: 100 windows of 4 drives, 250 labels; '
        'vehicles: 100 windows of 4 drives, 250 labels.'
    )
    assert found['arrays'][3] == '| --- | --- | --: | --: | --: | --: | --: |'
    assert found['arrays'][4] == (
        '| plain | model | .598 (.558 to .638) | .400 (.350 to .450) | .450 | '
        '.71° / 2.40° | .300 |'
    )
    assert found['arrays'][5].startswith(f'|  | {CONSTANT} | .598')
    assert found['arrays'][6].startswith(f'| full | model{BOUND} | .700')
    assert found['calibration'][3:] == [
        '| 1 | calibrated | 31.0 | 4.3 |',
        '| 2 | too quiet | 20.0 | - |',
    ]
    assert found['shapes'][1] == 'Not measured yet.'
    dead = found['dead'][4:]
    assert dead[0] == '| model |  | .600 | .500 | .400 |  |'
    assert dead[1] == '|  | 1 | .500 | .490 | .300 | 2 % |'
    assert dead[8] == '|  | 8 | .500 | .420 | .300 | 16 % |'
    assert dead[9] == '|  | mean | .500 | .455 | .300 | 9 % |'
    heard = sections(hearing)
    assert heard['distances'][1:] == [
        '|  |  | 0 to 20 m | 20 to 40 m |',
        '| --- | --- | --: | --: |',
        '| plain | labels | 50 | 200 |',
        '|  | model | .80 | .30 |',
        f'|  | {CONSTANT} | .80 | .30 |',
        '| full | labels | 50 | 200 |',
        f'|  | model{BOUND} | .80 | .30 |',
    ]
    assert heard['ranges'][1:] == [
        '|  |  | near | 10 to 40 m |',
        '| --- | --- | --: | --: |',
        '| plain | model | .21 (.88) | .18 (.88) |',
        f'| full | model{BOUND} | .21 (.88) | .18 (.88) |',
    ]
    assert heard['scores'][1] == '|  |  | 0.1 | off by |'
    assert heard['scores'][3] == '| plain | model | .15 | .031 |'
    assert heard['thresholds'][1:] == ['Not measured yet.']
    assert heard['bearings'][4].endswith(
        '| .610 | .25 (.10 to .38) | .123 | 0.50 (3 in 6.0) | 1.2, 4.0 | .62 (.05) of 80 |'
    )


def test_range_section_shows_the_title_when_baselines_come_first(study, tmp_path):
    kept = study['plain-kept']
    kept['rows'] = {name: kept['rows'][name] for name in (CONSTANT, 'model')}
    hearing = write_pages(study, tmp_path, 'a command')[1]
    assert [line.split('|')[1:3] for line in sections(hearing)['ranges'][3:]] == [
        [' plain ', ' model '],
        [' full ', f' model{BOUND} '],
    ]


def test_empty_study_reports_nothing_measured(tmp_path):
    for page in write_pages({}, tmp_path, 'a command'):
        for name, lines in sections(page).items():
            expected = (
                'No model here predicts a range.' if name == 'ranges' else 'Not measured yet.'
            )
            assert lines == ['    a command', expected], name


def test_markdown_left_aligns_the_first_two_columns():
    assert markdown(['a', 'b', 'c'], [['1', '2', '3']]) == (
        '| a | b | c |\n| --- | --- | --: |\n| 1 | 2 | 3 |'
    )
    assert markdown(['a'], []) == '| a |\n| --- |'
