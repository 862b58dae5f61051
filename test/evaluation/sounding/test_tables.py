"""Tables of rows whose scores are calculated by hand."""

from __future__ import annotations

import numpy as np

from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.evaluation.sounding.tables import (
    RowScores,
    bar_table,
    main_table,
    part_table,
    reliability_table,
    share_table,
)

DAY, NIGHT = 'drive_day_2030_01_01_10_00_00', 'drive_night_2030_01_02_22_00_00'


def test_tables_show_numbers_in_the_right_cells(sounding_drives, make_vehicle):
    pair = [make_vehicle(1, 500, 55.0), make_vehicle(2, 900, None, speed_mps=0.0)]
    boxes = true_boxes(*sounding_drives({DAY: [pair], NIGHT: [pair]}))
    right, wrong = np.array([2.0, 1, 2, 1]), np.array([1.0, 2, 1, 2])
    rows = [
        RowScores(
            'hears', True, '', [right] * 2, {'own': [right, wrong], 'mirrored': [wrong] * 2}, 'own'
        ),
        RowScores('does not', False, 'speed', [right], {'own': [right]}, 'own'),
    ]
    text = main_table(rows, {'val': boxes, 'test': boxes}, ('mirrored', 'other'))
    # Half of the pairs are in order; a wrong order has precision 1/2 for both kinds.
    assert (
        '| hears | - | .75 ± .25 | .75 ± .25 (1.00 to 1.00) | .50 ± .50 | .50 ± .50 | .50' in text
    )
    assert (
        text.splitlines()[3]
        == '| does not | speed | 1.00 | 1.00 (1.00 to 1.00) | 1.00 | 1.00 | - | - |'
    )
    parts = part_table(rows, boxes)
    assert '| all | 4 | 2 | .50 ± .50 | 1.00 |' in parts
    assert '| moving | 2 | 2 | - | - |' in parts
    gained = bar_table(rows, RowScores('bar', False, '', [wrong], {'own': [wrong]}, 'own'), boxes)
    assert '| hears | +0.50 | +0.50 to +0.50 |' in gained
    shares = share_table({'true': boxes})
    assert '| share | true (4) |' in shares
    assert '| silent | 50 % |' in shares
    assert '| frames with both | 100 % |' in shares


def test_reliability_table_counts_boxes_of_all_seeds(sounding_drives, make_vehicle):
    pair = [make_vehicle(1, 500, 55.0), make_vehicle(2, 900, None, speed_mps=0.0)]
    boxes = true_boxes(*sounding_drives({DAY: [pair]}))
    seeds = [np.log(np.array([0.75, 0.25]) / np.array([0.25, 0.75])), np.array([1.0, 1.0])]
    head, _, row = reliability_table(
        [RowScores('two', True, '', [], {'own': seeds}, 'own')], boxes
    ).splitlines()
    assert head.startswith('| said | 0.0 to 0.1 | 0.1 to 0.2 |')
    # Of the two boxes with probability 1 / (1 + 1 / e) one sounds, as does that with 0.75.
    off = (0.25 + 0.75 + 2 / (1 + np.exp(-1)) - 2) / 4
    assert (
        row == f'| two | - | - | 0 % of 1 | - | - | - | - | 67 % of 3 | - | - | .{100 * off:.0f} |'
    )
