from __future__ import annotations

import pytest

from avdet_ros.evaluation.tracks.study import (
    CONTENDERS,
    RATES_HZ,
    Contender,
    choose,
    markdown,
    run_tracker,
    study,
)
from avdet_ros.tracking import IouTracker

pytest.importorskip('trackers')

ERRORS = {'model': (10, 0.15)}


def test_choice_finds_what_works(drive):
    records = [drive(seed, ERRORS) for seed in range(3)]
    choices = {'new_track_threshold': (0.999, 0.5), 'iou_threshold': (0.3,)}
    contender = Contender('x', lambda rate_hz, **p: IouTracker(**p), choices)
    assert choose(records, 'model', contender, 10) == {
        'new_track_threshold': 0.5,
        'iou_threshold': 0.3,
    }


def test_public_tracker_links_and_starts_anew(drive):
    records = [drive(seed, {'model': (3, 0.0)}) for seed in range(3)]
    public = next(c for c in CONTENDERS if 'shipped' in c.name).make(rate_hz=10)
    metrics = run_tracker(records, 'model', public)
    assert metrics.mota > 0.8
    again = run_tracker(records, 'model', public)
    assert again == metrics
    tracks = records[0].track('model', public)
    assert min(track.track_id for frame in tracks for track in frame) == 1


@pytest.mark.slow
def test_study_and_its_page(drive, counted):
    validation = [drive(seed, ERRORS) for seed in range(1)]
    test = [drive(seed, ERRORS, windows=80) for seed in range(10, 12)]
    outcomes = study(validation, test, 'model', 20, counted)
    assert counted.done['trackers'] == len(outcomes) == len(CONTENDERS)
    for outcome in outcomes:
        assert set(outcome.metrics) == set(RATES_HZ)
        boxes = [outcome.metrics[rate].boxes for rate in RATES_HZ]
        assert boxes[2] == 2 * boxes[1] == 4 * boxes[0]
    page = markdown(outcomes, 'avdet eval trackers', 'Some drives.')
    assert page.count('| motion, tuned |') == 3
    assert f'{outcomes[2].metrics[20].hota:.3f}' in page
