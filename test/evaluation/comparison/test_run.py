"""Comparison on bags and folders, with and without truth."""

from __future__ import annotations

from itertools import chain
import json

import cv2
import numpy as np
import pytest

from avdet_ros.cli import main as cli
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.comparison.agreement import agreement, most_apart, sentence
from avdet_ros.evaluation.comparison.run import compare_pair, load_pair, run_on_paths
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.tracking import make_tracker

NAMES = 'loudness', 'elsewhere'


@pytest.fixture
def pair(model, other_model, rig):
    return load_pair(model, other_model, rig)


def test_bag_with_truth_is_scored(pair, write_bag, rig, counted):
    records = run_on_paths([write_bag('drive')], pair, 'test', rig, counted)
    assert counted.done == {'drive': 21}
    assert [len(record.stamps_s) for record in records.with_truth] == [21]
    # Windows end with a frame of 256 samples, at most two frames away from the stamps.
    stamps_s = np.array(records.with_truth[0].stamps_s)
    np.testing.assert_allclose(stamps_s, np.arange(21) * 0.1, atol=2 * 256 / 44100)
    assert records.notes == []
    outcome = compare_pair(records, NAMES, make_tracker, 20, 2)
    assert outcome.metrics['map50'].a == pytest.approx(1)
    assert outcome.metrics['map50'].b == 0
    assert outcome.agreement.same == 0
    assert outcome.verdict.startswith('Not enough pieces of 20 s to tell: 1')
    record = outcome.records[outcome.frames[0].record]
    picture = records.picture(record, outcome.frames[0].index)
    assert picture.shape == (650, 1920, 3)
    assert picture.min() > 200, 'a uniform grey picture is stretched to white'


def test_bag_without_truth_is_noted(pair, write_bag, rig):
    records = run_on_paths([write_bag('drive', truth=False)], pair, 'test', rig)
    assert records.with_truth == []
    assert 'no truth in it: map, map50, map75, mota, idf1, hota are absent' in records.notes[0]
    outcome = compare_pair(records, NAMES, make_tracker, 20, 2)
    assert outcome.metrics == {}
    assert outcome.verdict.startswith('Which of loudness and elsewhere is better is unknown')
    assert 'agree on 0% of their boxes' in outcome.verdict
    assert outcome.agreement.windows == 21
    stamps_s = [outcome.records[f.record].stamps_s[f.index] for f in outcome.frames]
    assert len(stamps_s) >= 1
    assert np.all(np.diff(stamps_s) >= 2), 'frames closer than two seconds show the same'


def test_array_model_receives_speed_and_air_temperature_of_a_bag(
    model, steered_model, write_bag, rig
):
    pair = load_pair(model, steered_model, rig)
    path = write_bag('moving', ahead_mps=30.0)
    moving = run_on_paths([path], pair, 'test', rig)
    still = run_on_paths([write_bag('still')], pair, 'test', rig)
    (note,) = moving.notes
    assert note.startswith(
        f'{path}: Steered for the own speed in 21 of 21 windows and for the air'
    )
    assert note.endswith('in 21, else for a standing array and 20 degrees.')
    assert 'in 0 of 21 windows and for the air in 0,' in still.notes[0]
    found, other = (each.with_truth[0].detections for each in (moving, still))
    steered = found['steered'], other['steered']
    assert all(np.any(a.scores != b.scores) for a, b in zip(*steered, strict=True))
    for a, b in zip(found['loudness'], other['loudness'], strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)


def test_bags_and_folders_are_compared_together(pair, write_bag, dataset, rig):
    bags = [write_bag('one', seed=1), write_bag('two', truth=False, seed=2)]
    records = run_on_paths([*bags, dataset], pair, 'test', rig)
    assert [record.name for record in records.with_truth] == [
        'one',
        'drive_day_1',
        'drive_night_2',
    ]
    assert [record.name for record in records.all_records][:2] == ['one', 'two']
    for record in records.all_records:
        assert records.picture(record, 0).shape == (650, 1920, 3)
    outcome = compare_pair(records, NAMES, make_tracker, 20, 4)
    assert outcome.metrics['map50'].difference < -0.5


def test_path_without_a_bag_is_rejected(pair, tmp_path, rig):
    with pytest.raises(AvdetError, match=r'expected a rosbag2 folder'):
        run_on_paths([tmp_path / 'none'], pair, 'test', rig)


def boxes(*corners):
    found = np.float32([[x, y, x + 100, y + 100] for x, y in corners]).reshape(-1, 4)
    return Detections(found, np.linspace(0.9, 0.5, len(found)).astype(np.float32))


def test_agreement_matches_hand_calculation():
    record = DriveRecord(
        'd',
        [0.0, 5.0],
        [TruthFrame.of([], [])] * 2,
        {'a': [boxes((0, 0), (300, 0)), Detections()], 'b': [boxes((3, 4)), boxes((50, 50))]},
    )
    result = agreement([record], ('a', 'b'), resamples=10)
    assert result.windows == 2
    assert result.boxes == (1.0, 1.0)
    assert result.same == 2 * 1 / 4
    assert result.shift_px == pytest.approx(5)
    assert result.score == pytest.approx(0)
    frames = most_apart([record], ('a', 'b'))
    assert [(frame.index, frame.advantage) for frame in frames] == [(0, -1), (1, 1)]
    nothing = DriveRecord('d', [0.0], [TruthFrame.of([], [])], {'a': [boxes()], 'b': [boxes()]})
    empty = agreement([nothing], ('a', 'b'), resamples=10)
    assert np.isnan(empty.same)
    assert 'Neither found any box in 1 windows' in sentence(empty, ('a', 'b'), 1)


def test_pieces_keep_all_windows(drive):
    record = drive(0, {'a': (4, 0.0)}, windows=95)
    pieces = record.pieces(2.0)
    assert [len(piece.stamps_s) for piece in pieces] == [20, 20, 20, 35]
    assert list(chain(*(piece.stamps_s for piece in pieces))) == record.stamps_s
    assert all(len(p.detections['a']) == len(p.truth) == len(p.stamps_s) for p in pieces)
    assert record.pieces(60) == [record]


@pytest.mark.slow
def test_compare_command_writes_scores_and_pictures(
    model, other_model, write_bag, tmp_path, monkeypatch, capsys
):
    arguments = [
        'eval',
        'compare',
        model,
        other_model,
        '--resamples',
        10,
        '--out',
        tmp_path / 'out',
    ]
    for bag in (write_bag('one'), write_bag('two', truth=False)):
        arguments += ['--data', bag]
    monkeypatch.setattr('sys.argv', ['avdet', *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    printed = ' '.join(capsys.readouterr().out.split())
    assert not caught.value.code
    assert 'no truth in it' in printed
    content = json.loads((tmp_path / 'out' / 'compare.json').read_text())
    assert content['metrics']['map50']['a'] == pytest.approx(1)
    assert content['agreement']['windows'] == 42
    assert [model['name'] for model in content['models']] == list(NAMES)
    assert cv2.imread(str(tmp_path / 'out' / content['frames'][0]['file'])).shape[1] == 1920
