"""Parts of a run on simulated drives: window times, truth, labels, splits, requests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.evaluation_run import evaluate_seeds
from avdet_ros.evaluation.runs import on_simulation
from avdet_ros.evaluation.runs.baselines import fit_labels
from avdet_ros.evaluation.runs.on_simulation import (
    check_request,
    run_on_drives,
    split_of,
    training_statistics,
    truth_frame,
    window_ends,
)
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene


def test_window_ends_go_from_the_first_full_window_to_the_drive_end():
    front_end = FrontEnd()
    assert window_ends(2.0, 4.0, front_end) == [44100, 55125, 66150, 77175, 88200]
    assert window_ends(1.99, 4.0, front_end) == [44100, 55125, 66150, 77175]
    assert window_ends(1.0, 10.0, front_end) == [44100]
    assert window_ends(0.9, 10.0, front_end) == []


def test_truth_frame_has_levels_relative_to_the_rest():
    labels = SimpleNamespace(
        boxes_px=[[1, 2, 3, 4], [5, 6, 7, 8]],
        ids=[7, 9],
        distance_m=[10.0, 20.0],
        visible_fraction=[0.5, 1.0],
        level_db=[60.0, 55.0],
        rest_db=[50.0, 58.0],
    )
    frame = truth_frame(labels)
    assert frame.boxes_px.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert frame.ids.tolist() == [7, 9]
    assert (frame.ids.dtype, frame.boxes_px.dtype) == (np.int64, np.float64)
    assert frame.distance_m.tolist() == [10, 20]
    assert frame.visible.tolist() == [0.5, 1]
    assert frame.level_db.tolist() == [10, -3]


def test_baselines_use_eight_instants_of_each_training_drive(rig):
    frames = []
    for seed in (0, 1, 2):
        scene = random_scene(seed, rig, 8.0)
        for t_s in (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5):
            labels = scene.labels(t_s)
            frames.append((labels.boxes_px, labels.distance_m))
    expected, found = fit_labels(frames), training_statistics(rig, 3)
    np.testing.assert_array_equal(found.boxes_px, expected.boxes_px)
    np.testing.assert_array_equal(found.shares, expected.shares)
    assert found.typical_distance_m == expected.typical_distance_m


def test_split_of_reports_one_split_or_mixed():
    assert split_of([0, 99_999]) == 'training'
    assert split_of([100_000, 199_999]) == 'validation'
    assert split_of([200_000]) == 'test'
    assert split_of([99_999, 100_000]) == split_of([100_000, 200_000]) == 'mixed'


@pytest.mark.parametrize(
    ('seeds', 'seconds', 'rate_hz', 'sentence'),
    [
        ([], 2.0, 5.0, 'drives: expected at least 1, found 0'),
        ([3, -1], 2.0, 5.0, 'seeds: expected 0 to 2147483647, found -1..3'),
        ([1, 1 << 31], 2.0, 5.0, 'seeds: expected 0 to 2147483647, found 1..2147483648'),
        ([1], 1.4, 5.0, 'seconds: expected 1.5 to 600 a drive, found 1.4'),
        ([1], 601.0, 5.0, 'seconds: expected 1.5 to 600 a drive, found 601'),
        ([1], 2.0, 0.09, 'rate: expected 0.1 to 100 windows a second, found 0.09'),
        ([1], 2.0, 101.0, 'rate: expected 0.1 to 100 windows a second, found 101'),
    ],
)
def test_invalid_request_is_rejected(seeds, seconds, rate_hz, sentence):
    with pytest.raises(AvdetError) as refused:
        check_request(seeds, seconds, rate_hz)
    assert str(refused.value) == sentence


def test_requests_at_the_limits_are_accepted():
    check_request([0, (1 << 31) - 1], 1.5, 0.1)
    check_request([0], 600.0, 100.0)


def test_detector_receives_the_window_of_its_stamp(rig, monkeypatch, counted):
    """The waveform and its features, for two drives, each with its conditions."""
    heard = []

    class RecordingDetector:
        def detect(self, waveform, spectrogram):
            heard.append((waveform, spectrogram))
            return SimpleNamespace()

    monkeypatch.setattr(on_simulation, 'make_detectors', lambda *_: {'it': RecordingDetector()})
    plan = on_simulation.Plan((300_003, 300_001), 1.5, 2.0, -0.5, {}, None)
    records = run_on_drives(plan, progress=counted)
    assert counted.done == counted.totals == {'drives': 2}
    front_end = FrontEnd.of(rig)
    for record, seed, (waveform, spectrogram) in zip(
        records, plan.seeds, heard[1::2], strict=True
    ):
        scene = random_scene(seed, rig, 1.5)
        sound = render_sound(scene, 0.0, 1.5)
        assert record.name == f'seed {seed}'
        assert record.stamps_s == pytest.approx([0.5, 1.0])
        np.testing.assert_array_equal(waveform, sound[:, 22050:66150].astype(np.float32))
        np.testing.assert_array_equal(spectrogram, front_end.compute(waveform))
        assert record.conditions['setting'] == scene.setting
        way_m = np.ptp(scene.ego_pose(np.array([0.0, 1.5]))[0][:, :2], axis=0).max()
        assert record.conditions['motion'] == ('drive' if way_m > 0.5 else 'static')
        labels = scene.labels(record.stamps_s[1])
        np.testing.assert_allclose(record.truth[1].boxes_px, labels.boxes_px)
        assert record.truth[1].ids.tolist() == labels.ids.tolist()
        assert len(record.detections['it']) == len(record.milliseconds['it']) == 2


def test_run_reports_model_tracker_and_settings(model):
    run = evaluate_seeds(model, 1, 1.5, 100_003, 2.0, 'iou', False, None, 1)
    assert run.title == (
        '1 validation drives of 1.5 s, seeds 100003 to 100003, 2 windows a second, tracker iou'
    )
    about = run.settings.pop('model')
    assert (about['file'], about['bytes']) == (str(model), model.stat().st_size)
    tracker = run.settings.pop('tracker')
    assert tracker['name'] == 'iou'
    assert len(tracker) > 1, 'the parameters of the tracker are included'
    assert run.settings == {
        'drives': 1,
        'seconds': 1.5,
        'seeds': [100_003, 100_003],
        'split': 'validation',
        'rate_hz': 2.0,
    }
    assert (run.main, run.notes) == ('loudness', [])
    (result,) = run.results
    assert (result.truth, list(result.scores)) == ('true boxes', ['loudness'])
    assert result.scores['loudness']['detection']['frames'] == 2
    assert [record.name for record in result.records] == ['seed 100003']
