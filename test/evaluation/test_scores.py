from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports import tables as report
from avdet_ros.evaluation.runs import on_simulation
from avdet_ros.evaluation.scores import score
from avdet_ros.tracking import make_tracker

ERRORS = {'good': (4, 0.0), 'bad': (60, 0.5)}


@pytest.fixture(scope='module')
def scores(drive, rig):
    records = [drive(seed, ERRORS) for seed in range(4)]
    return {name: score(records, name, rig, make_tracker('iou')) for name in ERRORS}


def test_better_boxes_score_better(scores):
    good, bad = scores['good'], scores['bad']
    assert good['detection']['map'] > bad['detection']['map'] + 0.2
    assert good['detection']['cdx'] < bad['detection']['cdx']
    assert good['tracking']['mota'] > 0.8 > bad['tracking']['mota']
    assert good['tracking']['switches'] <= bad['tracking']['switches']
    (seen, blurred) = ([p for p in s['parts'] if p['name'] == 'visible'] for s in (good, bad))
    assert seen[0]['detection']['recall50'] > blurred[0]['detection']['recall50']


def test_tables_and_json_contain_the_scores(scores, tmp_path):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report.metrics_table(scores, 'four drives'))
    console.print(report.breakdown_table(scores))
    text = console.export_text()
    for part in ('four drives', 'mAP@0.75', 'CDy', 'ID switches', 'good', 'bad', '0-10 m'):
        assert part in text
    path = tmp_path / 'deep' / 'scores.json'
    report.write_json(path, {'detectors': scores, 'nothing': float('nan')})
    content = json.loads(path.read_text())
    assert content['nothing'] is None
    assert content['detectors']['good']['detection']['boxes'] > 0
    (tmp_path / 'file').write_text('')
    with pytest.raises(AvdetError, match='cannot write'):
        report.write_json(tmp_path / 'file' / 'scores.json', {})


def test_record_keeps_every_second_window(drive):
    record = drive(1, ERRORS).every(2)
    assert np.diff(record.stamps_s) == pytest.approx(0.2)
    assert len(record.truth) == len(record.detections['bad']) == 20
    assert len(record.track('good', make_tracker('motion'))) == 20


def test_window_ends_follow_duration_and_rate():
    front_end = FrontEnd()
    assert on_simulation.window_ends(1.0, 10, front_end) == [44100]
    ends = on_simulation.window_ends(3.0, 20, front_end)
    assert len(ends) == 41
    assert set(np.diff(ends)) == {2205}
    assert on_simulation.window_ends(0.9, 10, front_end) == []


@pytest.mark.parametrize(
    ('request_', 'sentence'),
    [
        (([], 20, 10), 'drives: expected'),
        (([-1], 20, 10), 'seeds: expected'),
        (([5], 1, 10), 'seconds: expected'),
        (([5], float('nan'), 10), 'seconds: expected'),
        (([5], 20, 0), 'rate: expected'),
    ],
)
def test_invalid_requests_are_rejected(request_, sentence):
    with pytest.raises(AvdetError, match=sentence):
        on_simulation.check_request(*request_)


def test_split_of_returns_the_split_of_seeds():
    assert on_simulation.split_of([0, 99_999]) == 'training'
    assert on_simulation.split_of([150_000]) == 'validation'
    assert on_simulation.split_of([200_000, 200_019]) == 'test'
    assert on_simulation.split_of([99_999, 100_000]) == 'mixed'
