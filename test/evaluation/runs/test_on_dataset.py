from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset import layout
from avdet_ros.dataset.odometry import Odometry, write_odometry
from avdet_ros.dataset.subsets import WHOLE, Subset
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.evaluation_run import evaluate_dataset
from avdet_ros.evaluation.runs import on_dataset as folder
from avdet_ros.evaluation.runs.detectors import UNKNOWN_STATE, DriveState, ModelDetector
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED


def test_true_boxes_and_fused_labels_are_kept_apart(dataset, model, rig, counted):
    detectors = {'m': ModelDetector(Detector(model, rig, FrontEnd(), threads=1))}
    frames = folder.frames_of(dataset)
    found = folder.run_on_dataset(dataset, frames, detectors, FrontEnd(), progress=counted)
    assert counted.done == counted.totals == {'frames': 12}
    assert found.broken == []
    true, fused = found.records[folder.TRUE], found.records[folder.FUSED]
    assert [record.name for record in true] == ['drive_day_1', 'drive_night_2']
    assert [len(frame) for frame in true[0].truth] == [2, 1, 2, 1, 2, 1]
    assert [len(frame) for frame in fused[0].truth] == [1, 1, 1, 1, 1, 0]
    assert true[0].identified
    assert not fused[0].identified
    assert true[0].conditions == {'light': 'day', 'motion': 'static'}
    assert true[1].conditions == {'light': 'night', 'motion': 'drive'}
    assert true[0].stamps_s == pytest.approx(np.arange(6) * 0.5)
    assert true[0].truth[0].distance_m.tolist() == [12.5, 55.0]
    scores = [frame.scores[0] for frame in true[0].detections['m']]
    assert len(set(scores)) > 1, 'scores follow the sound'


def test_array_model_receives_speed_and_air_temperature_of_a_drive(dataset, steered_model, rig):
    """One drive has air, and 10 m/s in all frames but the last; the other has neither."""
    frames = folder.frames_of(dataset)
    drive, name = frames['drive_day_1'], dataset / 'drive_day_1'
    stamps = np.arange(drive[0].stamp_ns, drive[-1].stamp_ns - 550_000_000, 50_000_000)
    zeros = np.zeros(len(stamps))
    write_odometry(name, Odometry(stamps, zeros, zeros, zeros, zeros + 10))
    path = name / 'parameters.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'temperature_c': -10.0}))
    states = folder.drive_states(dataset, drive)
    assert states == [DriveState(10.0, -10.0)] * 5 + [DriveState(None, -10.0)]
    assert folder.drive_states(dataset, frames['drive_night_2']) == [UNKNOWN_STATE] * 6
    run = evaluate_dataset(steered_model, dataset, 'test', WHOLE, None, 'iou', False, None)
    (note,) = run.notes
    assert note.startswith('Steered for the own speed in 5 of 12 windows and for the air in 6, ')
    by_name = {record.name: record for record in run.results[0].records}
    detector = Detector(steered_model, rig, FrontEnd(), threads=1)
    for which, frame, speed, air in ((0, 0, 10, -10), (0, 5, 0, -10), (1, 3, 0, 20)):
        its = list(frames.values())[which]
        sound = layout.read_sound(dataset, its[frame])
        expected = detector.detect(FrontEnd().compute(sound), False, speed, air)
        found = by_name[its[0].drive].detections['steered'][frame]
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_air_temperature_is_read_without_speed(dataset):
    path = dataset / 'drive_night_2' / 'parameters.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'temperature_c': 5.5}))
    frames = folder.frames_of(dataset)
    assert folder.drive_states(dataset, frames['drive_night_2']) == [DriveState(None, 5.5)] * 6


@pytest.mark.slow
def test_run_scores_against_every_truth(dataset, model):
    run = evaluate_dataset(model, dataset, 'test', WHOLE, None, 'iou', True, None)
    by_truth = {result.truth: result.scores for result in run.results}
    assert set(by_truth) == {folder.FUSED, folder.TRUE}
    assert list(by_truth[folder.TRUE]) == ['loudness', CONSTANT, STEERED]
    true, fused = (by_truth[kind]['loudness'] for kind in (folder.TRUE, folder.FUSED))
    assert (true['detection']['boxes'], fused['detection']['boxes']) == (18, 10)
    assert fused['detection']['recall50'] >= true['detection']['recall50']
    assert true['tracking']['boxes'] == 18
    assert np.isnan(fused['tracking']['mota'])
    families = {part['family'] for part in true['parts']}
    assert families == {'light', 'motion', 'vehicles', 'distance', 'view'}
    assert run.picture(run.results[0].records[1], 2).shape == (650, 1920, 3)
    night = evaluate_dataset(
        model, dataset, 'test', Subset(daytime='night'), None, 'iou', False, None
    )
    assert night.settings['drives'] == ['drive_night_2']
    standing = evaluate_dataset(
        model, dataset, 'test', Subset(motion='static'), None, 'iou', False, None
    )
    assert standing.settings['drives'] == ['drive_day_1']
    assert '6 test static frames of 1 drives' in standing.title


def test_broken_frames_are_reported_and_limited(dataset, model):
    drive = dataset / 'drive_day_1' / 'drive.flac'
    sound = drive.read_bytes()
    frames = folder.frames_of(dataset)
    late = frames['drive_day_1'][-1]
    import soundfile

    samples, rate = soundfile.read(drive, dtype='int16')
    soundfile.write(drive, samples[: int(3.2 * rate)], rate, subtype='PCM_16')
    run = evaluate_dataset(model, dataset, 'test', WHOLE, None, 'iou', False, None)
    assert run.notes[0].startswith('1 of 12 frames left out')
    assert str(late) in run.notes[0]
    assert len(run.results[0].records[0].truth) == 5
    drive.write_bytes(sound[:200])
    with pytest.raises(AvdetError, match='expected at most 5% of 12 frames to be unreadable'):
        evaluate_dataset(model, dataset, 'test', WHOLE, None, 'iou', False, None)


def test_unusable_folders_are_rejected(dataset, model, tmp_path):
    with pytest.raises(AvdetError, match='expected a folder with drives'):
        folder.frames_of(tmp_path / 'none')
    with pytest.raises(AvdetError, match=r'expected the split file val_all\.txt, found test_all'):
        folder.frames_of(dataset, 'val')
    (dataset / 'test_day_all.txt').write_text('')
    with pytest.raises(AvdetError, match=r'test frames of day, found none in test_day_all\.txt'):
        folder.frames_of(dataset, 'test', Subset(daytime='day'))
    for drive in ('drive_day_1', 'drive_night_2'):
        (dataset / 'labels' / f'{drive}.npz').unlink()
        (dataset / drive / 'truth' / 'frames.jsonl').unlink()
    with pytest.raises(AvdetError, match=r'expected labels from teachers in .* found neither'):
        evaluate_dataset(model, dataset, 'test', WHOLE, None, 'iou', False, None)
    rig = dataset / 'drive_day_1' / 'rig.yaml'
    rig.write_text('# our car\n' + rig.read_text())
    assert folder.dataset_rig(dataset, ['drive_day_1', 'drive_night_2'])
    rig.write_text(rig.read_text().replace('0.250000', '0.300000'))
    with pytest.raises(AvdetError, match='expected drives of one rig'):
        evaluate_dataset(model, dataset, 'test', WHOLE, None, 'iou', False, None)


def test_baselines_are_fitted_on_true_boxes_of_training_drives(dataset, rig):
    """Two vehicles in three of six frames, one in the others; third vehicles have no label."""
    statistics = folder.baseline_statistics(dataset)
    found = sorted(zip(statistics.boxes_px.tolist(), statistics.shares.tolist(), strict=True))
    assert found == [([100, 300, 140, 330], 0.5), ([768, 260, 960, 390], 1.0)]
    assert statistics.typical_distance_m == 12.5
    assert list(folder.baseline_detectors(statistics, rig)) == [CONSTANT, STEERED]


def test_steered_baseline_is_omitted_without_distances(dataset, rig):
    """Teachers' labels have no distances, so only the constant boxes remain."""
    (dataset / 'drive_day_3' / 'truth' / 'frames.jsonl').unlink()
    statistics = folder.baseline_statistics(dataset)
    assert statistics.boxes_px.tolist() == [[768, 260, 960, 390]]
    assert statistics.shares.tolist() == [pytest.approx(5 / 6)]
    assert list(folder.baseline_detectors(statistics, rig)) == [CONSTANT]
    moved = dataset / 'elsewhere'
    (dataset / 'labels').rename(moved)
    assert folder.baseline_statistics(dataset) is None
    assert folder.baseline_statistics(dataset, moved).shares == statistics.shares
    (dataset / 'train_all.txt').unlink()
    assert folder.baseline_statistics(dataset, moved) is None


def test_run_reports_model_data_and_tracker(dataset, model):
    run = evaluate_dataset(
        model, dataset, 'test', Subset(daytime='night'), None, 'iou', False, None
    )
    assert run.title == 'set: 6 test night frames of 1 drives, tracker iou'
    settings = run.settings
    assert settings['data'] == str(dataset)
    assert [settings[key] for key in ('split', 'daytime', 'motion', 'drives', 'frames')] == [
        'test',
        'night',
        'all',
        ['drive_night_2'],
        6,
    ]
    assert settings['tracker']['name'] == 'iou'
    assert settings['model']['file'] == str(model)
    assert (run.main, run.notes) == ('loudness', [])
    assert [result.truth for result in run.results] == ['fused labels', 'true boxes']
    # The drive's third picture: 60, and 20 more for each frame.
    assert abs(run.picture(run.results[0].records[0], 2).astype(int) - 100).max() <= 2
