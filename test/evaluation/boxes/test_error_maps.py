from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.error_maps import classify_boxes, error_maps
from avdet_ros.evaluation.boxes.metrics import average_precision, drive_hits, precision_recall
from avdet_ros.evaluation.reports.samples import APART_S, choose_samples, draw_sample
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame

TRUE = [[100, 100, 200, 200], [500, 100, 600, 200], [900, 100, 1000, 200]]


def found(boxes, scores):
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32))


@pytest.fixture
def frame():
    truth = TruthFrame.of(TRUE, [1, 2, 3])
    # A hit, a second box on the same vehicle, a displaced box, a false one; the third is missed.
    boxes = [[105, 100, 205, 200], [150, 100, 250, 200], [560, 100, 660, 200], [0, 400, 60, 460]]
    return truth, found(boxes, [0.9, 0.8, 0.7, 0.6])


def test_every_box_gets_one_verdict(frame):
    truth, confident = frame
    verdicts = classify_boxes(truth, confident)
    assert verdicts.hits.tolist() == [[0, 0]]
    assert verdicts.displaced.tolist() == [[2, 1]]
    assert verdicts.false.tolist() == [1, 3]
    assert verdicts.missed.tolist() == [2]
    assert verdicts.errors == 4


def test_verdicts_cover_all_boxes_of_random_frames():
    rng = np.random.default_rng(5)
    for _ in range(50):
        true, places = (rng.uniform(0, 300, (rng.integers(0, 5), 2)) for _ in range(2))
        truth = TruthFrame.of(np.hstack([true, true + 100]), range(len(true)))
        confident = found(
            np.hstack([places, places + 90]).reshape(-1, 4),
            np.linspace(1, 0.5, len(places)),
        )
        verdicts = classify_boxes(truth, confident)
        boxes = [*verdicts.hits[:, 0], *verdicts.displaced[:, 0], *verdicts.false]
        vehicles = [*verdicts.hits[:, 1], *verdicts.displaced[:, 1], *verdicts.missed]
        assert sorted(boxes) == list(range(len(places)))
        assert sorted(vehicles) == list(range(len(true)))


def test_error_maps_show_where_errors_are(frame):
    truth, confident = frame
    record = DriveRecord('d', [0.0, 1.0], [truth, truth], {'m': [confident, confident]})
    maps = error_maps([record], 'm', (1920, 650), cell_px=50)
    assert maps.counts == {'hits': 2, 'displaced': 2, 'false': 4, 'missed': 2}
    assert maps.missed[2, 18] == 2
    assert maps.missed[2, 10] == 0
    assert maps.false[8, 0] == 2
    assert maps.vehicles.sum() == 2 * 3 * 4
    np.testing.assert_allclose(maps.displaced_to - maps.displaced_from, [[60, 0], [60, 0]])


def test_area_under_curve_equals_average_precision(drive):
    record = drive(2, {'m': (25, 0.3)})
    hits = [drive_hits(record.truth, record.detections['m'])]
    curve = precision_recall(hits, 0.75)
    assert np.all(np.diff(curve.recall) >= 0)
    best = np.maximum.accumulate(curve.precision[::-1])[::-1]
    levels = np.linspace(0, 1, 101)
    place = np.searchsorted(curve.recall, levels)
    area = np.where(place < len(best), best[np.minimum(place, len(best) - 1)], 0).mean()
    assert area == pytest.approx(average_precision(hits)[5])
    assert curve.at(2.0) is None
    assert curve.at(-1.0) == (curve.recall[-1], curve.precision[-1])
    empty = DriveRecord('d', [0.0], [TruthFrame.of([], [])], {'m': [record.detections['m'][0]]})
    assert len(precision_recall([drive_hits(empty.truth, empty.detections['m'])], 0.5).recall) == 0


def test_half_of_samples_are_drawn_and_all_are_apart(drive):
    records = [drive(seed, {'m': (40, 0.3)}) for seed in range(3)]
    chosen = choose_samples(records, 'm', 8)
    assert chosen == choose_samples(records, 'm', 8)
    assert [sample.why for sample in chosen[:4]] == ['drawn'] * 4
    assert all(sample.why == 'worst' for sample in chosen[4:])
    for first in chosen:
        for second in chosen:
            if first is not second and first.record == second.record:
                stamps = records[first.record].stamps_s
                assert abs(stamps[first.index] - stamps[second.index]) >= APART_S
    nothing = DriveRecord('d', [0.0], [TruthFrame.of([], [])], {'m': [Detections()]})
    assert choose_samples([nothing], 'm', 4) == []


def test_drawing_colours_boxes_by_verdict(frame):
    picture = np.full((650, 1920, 3), 90, np.uint8)
    drawn = draw_sample(picture, *frame)
    assert picture.max() == 90, 'the picture itself stays as it is'
    green, red = drawn[150, 105], drawn[430, 0]
    assert green.argmax() == 1
    assert red.argmax() == 2
    assert np.array_equal(draw_sample(picture, TruthFrame.of([], []), Detections()), picture)
