from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.comparison.differences import METRICS, compare, most_different, verdict
from avdet_ros.evaluation.reports.pictures import draw_frame, save_picture
from avdet_ros.tracking import make_tracker

NAMES = 'a', 'b'


def run(drive, errors, count=10, resamples=50):
    records = [drive(seed, errors) for seed in range(count)]
    return records, compare(records, NAMES, make_tracker, resamples)


def test_clear_difference_is_beyond_noise(drive):
    records, result = run(drive, {'a': (60, 0.4), 'b': (4, 0.0)})
    assert set(result) == set(METRICS)
    assert result['map'].beyond_noise
    assert result['map'].difference > 0.2
    sentence = verdict(result, NAMES, len(records))
    assert sentence.startswith('b is better than a on 10 drives')
    for row in result.values():
        assert row.interval_a[0] <= row.a <= row.interval_a[1]
        assert row.interval[0] <= row.difference <= row.interval[1]


@pytest.mark.slow
def test_equal_models_show_no_difference_beyond_noise(drive):
    records, result = run(drive, {'a': (15, 0.1), 'b': (15, 0.1)})
    assert 'No difference beyond noise' in verdict(result, NAMES, len(records))
    for record in records:
        record.detections['b'] = record.detections['a']
    same = compare(records, NAMES, make_tracker, 5)
    assert same['map'].interval == (0, 0)
    assert 'the same on all 10 drives' in verdict(same, NAMES, len(records))


def test_three_drives_are_too_few_for_a_verdict(drive):
    records, result = run(drive, {'a': (60, 0.4), 'b': (4, 0.0)}, count=3, resamples=10)
    assert verdict(result, NAMES, 3).startswith('Not enough drives to tell: 3')
    assert np.isfinite(result['map'].interval).all()
    assert len(records) == 3


def test_comparison_is_deterministic(drive):
    first, second = (
        run(drive, {'a': (9, 0.1), 'b': (9, 0.2)}, count=3, resamples=20)[1] for _ in range(2)
    )
    assert first == second


def test_most_different_frame_comes_first(drive):
    records = [drive(seed, {'a': (2, 0.0), 'b': (2, 0.0)}) for seed in range(3)]
    assert most_different(records, NAMES) == [] or all(
        abs(frame.advantage) >= 1 for frame in most_different(records, NAMES)
    )
    records[1].detections['b'][20] = Detections()
    first = most_different(records, NAMES)[0]
    assert (first.record, first.index) == (1, 20)
    assert first.advantage == -2 * len(records[1].truth[20])


def test_frame_picture_shows_boxes_and_is_saved(drive, rig, tmp_path):
    record = drive(0, {'a': (2, 0.0), 'b': (40, 0.0)})
    predicted = {name: record.detections[name][5] for name in NAMES}
    picture = draw_frame(rig, record.truth[5], predicted, 'seed 0, 1.0 s')
    assert picture.shape == (650, 1920, 3)
    plain = draw_frame(rig, record.truth[5], {}, 'seed 0, 1.0 s')
    assert np.any(picture != plain)
    path = tmp_path / 'pictures' / 'frame.png'
    save_picture(picture, path)
    np.testing.assert_array_equal(cv2.imread(str(path)), picture)


def test_verdict_names_metrics_that_disagree(drive):
    _, result = run(drive, {'a': (60, 0.4), 'b': (4, 0.0)})
    result['mota'] = replace(result['mota'], difference=-0.1, interval=(-0.2, -0.05))
    assert verdict(result, NAMES, 10).endswith('though a is better in mota.')
