from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.evaluation.scores import ScoredDrive, break_down, measure, scored_drives
from avdet_ros.tracking import make_tracker

SIZE = 1920, 650


def by_name(parts):
    return {(part.family, part.name): part for part in parts}


@pytest.fixture(scope='module')
def parts(drive):
    records = [drive(seed, {'good': (4, 0.1)}) for seed in range(4)]
    for index, record in enumerate(records):
        record.conditions['light'] = 'day' if index else 'night'
    tracks = [record.track('good', make_tracker('iou')) for record in records]
    drives = scored_drives(records, 'good', tracks)
    return measure(drives, SIZE), by_name(break_down(drives, SIZE))


def test_parts_of_a_family_add_up_to_the_whole(parts):
    whole, table = parts
    for family, key in (
        ('light', 'frames'),
        ('vehicles', 'frames'),
        ('light', 'boxes'),
        ('vehicles', 'boxes'),
        ('distance', 'boxes'),
        ('view', 'boxes'),
    ):
        counts = [part.detection[key] for (its, _), part in table.items() if its == family]
        assert sum(counts) == whole.detection[key], family
        if key == 'boxes':
            tracked = [part.tracking['boxes'] for (its, _), part in table.items() if its == family]
            assert sum(tracked) == whole.detection['boxes'], family


def test_vehicles_of_other_parts_do_not_affect_scores():
    frame = TruthFrame(
        np.array([[0, 0, 100, 100], [500, 0, 600, 100.0]]),
        np.array([1, 2]),
        np.array([5.0, 30.0]),
        np.array([1.0, 0.1]),
    )
    seen = Detections(
        np.array([[0, 0, 100, 100], [900, 0, 950, 50]], np.float32),
        np.array([0.95, 0.9], np.float32),
    )
    record = DriveRecord('d', [0.0, 0.1], [frame, TruthFrame.of([], [])], {'m': [seen, seen]})
    tracks = [record.track('m', make_tracker('iou'))]
    table = by_name(break_down(scored_drives([record], 'm', tracks), SIZE))
    near, far = table['distance', '0-10 m'], table['distance', '20-40 m']
    assert (near.detection['boxes'], near.detection['recall50']) == (1, 1.0)
    assert (far.detection['boxes'], far.detection['recall50']) == (1, 0.0)
    # One box is false in the first frame and both in the second, the same for every part.
    assert near.false_alarms == far.false_alarms == 1.5
    assert (near.tracking['false_negatives'], far.tracking['false_negatives']) == (0, 1)
    assert table['view', 'hidden'].detection['recall50'] == 0
    assert table['vehicles', '0'].false_alarms == 2
    assert np.isnan(table['vehicles', '0'].detection['map50'])
    assert table['vehicles', '2'].detection['frames'] == 1
    assert ('distance', '40-70 m') not in table


def test_unknown_identities_and_distances_are_left_out(drive):
    record = drive(3, {'m': (4, 0.0)}, windows=5)
    record.truth = [TruthFrame.of(f.boxes_px, np.full(len(f), -1)) for f in record.truth]
    assert not record.identified
    drives = scored_drives([record], 'm', [record.track('m', make_tracker('iou'))])
    whole, table = measure(drives, SIZE), by_name(break_down(drives, SIZE))
    assert whole.detection['map50'] > 0.9
    assert np.isnan(whole.tracking['mota'])
    assert {family for family, _ in table} == {'vehicles'}
    assert isinstance(drives[0], ScoredDrive)
