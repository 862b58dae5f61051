from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.tracks import study as module
from avdet_ros.evaluation.tracks.metrics import TrackMetrics
from avdet_ros.evaluation.tracks.public_trackers import PublicByteTrack
from avdet_ros.evaluation.tracks.study import (
    CONTENDERS,
    RATES_HZ,
    Contender,
    Outcome,
    choose,
    markdown,
    run_tracker,
    study,
)
from avdet_ros.tracking import IouTracker

pytest.importorskip('trackers')

ERRORS = {'model': (10, 0.15)}


def test_choose_finds_the_best_parameters(drive):
    records = [drive(seed, ERRORS) for seed in range(3)]
    choices = {'new_track_threshold': (0.999, 0.5), 'iou_threshold': (0.3,)}
    contender = Contender('x', lambda rate_hz, **p: IouTracker(**p), choices)
    assert choose(records, 'model', contender, 10) == {
        'new_track_threshold': 0.5,
        'iou_threshold': 0.3,
    }


def test_public_tracker_links_boxes_and_restarts(drive):
    records = [drive(seed, {'model': (3, 0.0)}) for seed in range(3)]
    public = next(c for c in CONTENDERS if 'shipped' in c.name).make(rate_hz=10)
    metrics = run_tracker(records, 'model', public)
    assert metrics.mota > 0.8
    again = run_tracker(records, 'model', public)
    assert again == metrics
    tracks = records[0].track('model', public)
    assert min(track.track_id for frame in tracks for track in frame) == 1


@pytest.mark.slow
def test_study_scores_all_trackers_and_fills_its_page(drive, counted):
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


def test_parameters_are_chosen_at_10_hz_and_scored_at_each_rate(drive, counted, monkeypatch):
    """At 20 windows a second, validation uses every second window; test drives use every fourth,
    every second and every window."""
    seen = []

    class Watched(IouTracker):
        def update(self, stamp_s, detections):
            seen[-1][2].append(round(stamp_s, 3))
            return super().update(stamp_s, detections)

    def make(rate_hz, **parameters):
        seen.append((rate_hz, parameters, []))
        return Watched(**parameters)

    contenders = (
        Contender('one', make, {'new_track_threshold': (0.999, 0.5)}),
        Contender('fixed', make, {}),
    )
    monkeypatch.setattr(module, 'CONTENDERS', contenders)
    validation, test = [drive(1, ERRORS, windows=8)], [drive(10, ERRORS, windows=8)]
    outcomes = study(validation, test, 'model', 20, counted)
    assert counted.totals == {'trackers': 2} == dict(counted.done)
    stamps = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
    assert [(rate_hz, its) for rate_hz, its, _ in seen[:5]] == [
        (10, {'new_track_threshold': 0.999}),
        (10, {'new_track_threshold': 0.5}),
        (5, {'new_track_threshold': 0.5}),
        (10, {'new_track_threshold': 0.5}),
        (20, {'new_track_threshold': 0.5}),
    ]
    assert [its for _, _, its in seen[:5]] == [
        stamps[::2],
        stamps[::2],
        stamps[::4],
        stamps[::2],
        stamps,
    ]
    assert [(its.name, its.parameters) for its in outcomes] == [
        ('one', {'new_track_threshold': 0.5}),
        ('fixed', {}),
    ]
    plain = outcomes[1].as_dict()
    assert list(plain) == ['tracker', 'parameters', 'metrics']
    assert list(plain['metrics']) == ['5', '10', '20']
    assert plain['metrics']['20']['boxes'] == 4 * plain['metrics']['5']['boxes']


def test_choose_skips_high_thresholds_above_the_new_track_threshold(drive):
    """The first of equal choices is kept, and invalid combinations are not tried."""
    tried = []

    def make(rate_hz, **parameters):
        tried.append(tuple(parameters.values()))
        return IouTracker()

    choices = {'new_track_threshold': (0.5, 0.7), 'high_threshold': (0.6, 0.5)}
    records = [drive(0, ERRORS, windows=4)]
    assert choose(records, 'model', Contender('x', make, choices), 10) == {
        'new_track_threshold': 0.5,
        'high_threshold': 0.5,
    }
    assert tried == [(0.5, 0.5), (0.7, 0.6), (0.7, 0.5)]


def test_markdown_page_has_the_expected_lines():
    def metrics(of):
        return TrackMetrics(of + 0.1, of + 0.2, of + 0.3, 4, 5, 6, 7, 8)

    outcomes = [
        Outcome(
            'first', {'a': 0.5, 'b': 2.0}, {5: metrics(0.1), 10: metrics(0.2), 20: metrics(0)}
        ),
        Outcome('second', {}, {rate_hz: metrics(0.5) for rate_hz in RATES_HZ}),
    ]
    lines = markdown(outcomes, 'a command', 'What it is.').splitlines()
    assert lines[:7] == [
        '# Trackers, measured',
        '',
        'What it is.',
        '',
        'Parameters are chosen by the best HOTA at 10 Hz on validation drives. Made by:',
        '',
        '    a command',
    ]
    rows = [line for line in lines if line.startswith('| first')]
    assert rows == [
        '| first | 0.200 | 0.300 | 0.400 | 4 | 5 | 6 | 7 |',
        '| first | 0.300 | 0.400 | 0.500 | 4 | 5 | 6 | 7 |',
        '| first | 0.100 | 0.200 | 0.300 | 4 | 5 | 6 | 7 |',
    ]
    heads = [line for line in lines if line.startswith('##')]
    assert heads == [
        *(f'## {rate_hz} windows a second' for rate_hz in (5, 10, 20)),
        '## Parameters',
        '## All trackers on the same detections',
    ]
    at = lines.index('## 5 windows a second')
    assert lines[at + 2 : at + 4] == [
        '| tracker | MOTA | IDF1 | HOTA | switches | fragmentations | FP | FN |',
        '|---|---|---|---|---|---|---|---|',
    ]
    assert '- first: a 0.5, b 2' in lines
    assert '- second: defaults' in lines
    assert lines[-3:] == ['<!-- all trackers -->', '', '<!-- end of all trackers -->']


def found(*boxes):
    """Boxes with scores high enough to start a track."""
    return Detections(np.float32(boxes).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))


LEFT, RIGHT = (100, 300, 200, 380), (900, 300, 1050, 400)


def test_public_tracker_reports_tracks_like_our_trackers():
    """Identities count up from the first one in order of appearance; ages and scores are set."""
    public = PublicByteTrack(10.0)
    public.reset(first_id=7)
    public.update(0.0, found(LEFT))
    public.update(0.1, found(LEFT, RIGHT))
    tracks = public.update(0.2, found(RIGHT, LEFT))
    tracks = public.update(0.3, found(RIGHT, LEFT))
    assert [track.track_id for track in tracks] == [7, 8]
    assert [track.box_px.tolist() for track in tracks] == [
        pytest.approx(LEFT, abs=1),
        pytest.approx(RIGHT, abs=1),
    ]
    assert [track.score for track in tracks] == pytest.approx([0.9, 0.9])
    ages_s = [track.age_s for track in tracks]
    assert ages_s[0] > ages_s[1] >= 0
    assert ages_s[0] == pytest.approx(0.2, abs=0.11)
    # The tracker restarts when time goes back, and identities start at 1.
    assert public.update(0.0, found(LEFT)) == []
    public.update(0.1, found(LEFT))
    (track,) = public.update(0.2, found(LEFT))
    assert track.track_id == 1


def test_public_tracker_parameters_have_their_effect():
    def windows(public, *frames):
        return [len(public.update(0.1 * at, frame)) for at, frame in enumerate(frames)]

    sure = found(LEFT)
    faint = Detections(np.float32([LEFT]), np.float32([0.65]))
    assert windows(PublicByteTrack(10.0), faint, faint, faint)[-1] == 0
    assert windows(PublicByteTrack(10.0, new_track_threshold=0.6), faint, faint, faint)[-1] == 1
    slow = PublicByteTrack(10.0, confirm_windows=4)
    assert sum(windows(slow, sure, sure, sure)) < sum(windows(PublicByteTrack(10.0), *[sure] * 3))
    # A vehicle missing for half a second returns with its old or with a new identity.
    gone = [sure, sure, sure, *[found()] * 5, sure, sure, sure]
    ids = []
    for coast_s in (0.1, 2.0):
        public = PublicByteTrack(10.0, coast_s=coast_s)
        tracks = [public.update(0.1 * at, frame) for at, frame in enumerate(gone)]
        ids.append({track.track_id for its in tracks for track in its})
    assert [len(its) for its in ids] == [2, 1]
