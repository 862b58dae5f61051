"""Boxes and the states of their vehicles, on hand-written frames."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import (
    AUDIBLE,
    MASKED,
    NOTHING,
    SILENT,
    teacher_boxes,
    true_boxes,
)
from avdet_ros.evaluation.sounding.parts import parts_of, shares

DAY, NIGHT = 'drive_day_2030_01_01_10_00_00', 'drive_night_2030_01_02_22_00_00'


@pytest.fixture
def written_set(sounding_drives, make_vehicle):
    """A day frame with all kinds of vehicles; night frames: idling, electric, no vehicle."""
    by_day = [
        make_vehicle(1, 500, 55.0),
        make_vehicle(2, 560, 41.9),
        make_vehicle(3, 1200, None, speed_mps=0.0),
        make_vehicle(4, 1250, 50.0, visible_fraction=0.2),
        make_vehicle(5, 1500, 50.0, distance_m=71.0),
    ]
    by_night = [
        [make_vehicle(1, 900, 50.0, speed_mps=0.0)],
        [make_vehicle(2, 900, None, speed_mps=0.0, kinds='electric_car', distance_m=50.0)],
        [],
    ]
    return sounding_drives({DAY: [by_day], NIGHT: by_night}, static=(NIGHT,))


def test_visible_vehicle_is_audible_masked_or_silent(written_set):
    boxes = true_boxes(*written_set)
    assert boxes.ids.tolist() == [1, 2, 3, 1, 2]
    assert boxes.state.tolist() == [AUDIBLE, MASKED, SILENT, AUDIBLE, SILENT]
    assert boxes.sounds.tolist() == [True, False, False, True, False]
    assert boxes.moves.tolist() == [True, True, False, False, False]
    assert boxes.frame.tolist() == [0, 0, 0, 1, 2]
    assert boxes.drive.tolist() == [0, 0, 0, 1, 1]
    assert boxes.night.tolist() == [False, False, False, True, True]
    assert boxes.hidden.tolist() == [1, 0, 0, 0], 'one is occluded, one is too far away'
    assert len(boxes.frames) == 4
    assert boxes.relative_db[:3] == pytest.approx([-5, -18.1, -np.inf])
    # The hidden vehicle is the nearest audible one to the first and to the third.
    assert boxes.near_px[:3] == pytest.approx([750, 60, 50])
    assert np.isinf(boxes.near_px[3:]).all()


def test_boxes_are_divided_into_shares_and_parts(written_set):
    boxes = true_boxes(*written_set)
    share = shares(boxes)
    assert share['audible'] == share['silent'] == 0.4
    assert share['masked'] == 0.2
    assert share['hidden'] == pytest.approx(1 / 3)
    assert (share['both'], share['only audible'], share['only inaudible'], share['none']) == (
        0.25,
        0.25,
        0.25,
        0.25,
    )
    parts = parts_of(boxes)
    chosen = {name: np.flatnonzero(mask).tolist() for name, mask in parts.items()}
    assert chosen['parked, silent'] == [0, 2, 3]
    assert chosen['electric, silent'] == [0, 3, 4]
    assert chosen['masked'] == [0, 1, 3]
    assert chosen['idling'] == [1, 2, 3, 4]
    assert chosen['another sounds near'] == [1, 2]
    assert chosen['1 vehicle'] == [3, 4]
    assert chosen['3 or more'] == [0, 1, 2]
    assert chosen['ego stands'] == chosen['night'] == [3, 4]
    assert chosen['20 to 40 m'] == [0, 1, 2, 3]
    assert 'no vehicle in it' not in parts
    assert boxes.only(parts['night']).ids.tolist() == [1, 2]


def test_teacher_boxes_take_the_state_of_their_vehicle(written_set):
    root, drives = written_set
    stamp = drives[DAY][0].stamp
    found = np.array([[462, 300, 542, 360], [1160, 300, 1240, 362], [20, 300, 90, 360]])
    few = {'attention_sizes': np.zeros((0, 2), np.int32), 'attention': np.zeros((1, 1, 0), 'f2')}
    for name, ids in ((DAY, [stamp]), (NIGHT, [drives[NIGHT][0].stamp])):
        boxes = found if name == DAY else found[:0]
        table = DriveLabels(
            ids=np.array(ids),
            teachers=('rgb',),
            boxes_px=boxes.astype(np.float32),
            scores=np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
            frame=np.zeros(len(boxes), np.int32),
            teacher=np.zeros(len(boxes), np.int8),
            embedding=np.zeros((1, 1, 0, 0), np.float16),
            features=np.zeros((1, 1, 0, 0, 0), np.float16),
            **few,
        )
        write_labels(root / 'labels' / f'{name}.npz', table)
    boxes = teacher_boxes(root, drives)
    assert boxes.state.tolist() == [AUDIBLE, SILENT, NOTHING]
    assert boxes.ids.tolist() == [1, 3, -1]
    assert np.isnan(boxes.speed_mps[2])
    assert shares(boxes)['nothing'] == pytest.approx(1 / 3)
    parts = parts_of(boxes)
    assert parts['no vehicle in it'].tolist() == [True, False, True]
    assert parts['vehicles alone'].tolist() == [True, True, False]


def test_truth_without_levels_is_rejected(written_set):
    root, drives = written_set
    path = root / DAY / 'truth' / 'frames.jsonl'
    line = json.loads(path.read_text())
    del line['level_db']
    path.write_text(json.dumps(line) + '\n')
    with pytest.raises(AvdetError, match='expected level_db of each vehicle, as in simulated'):
        true_boxes(root, drives)
    with pytest.raises(AvdetError, match='expected frames that the truth knows, found none'):
        true_boxes(root, {})
