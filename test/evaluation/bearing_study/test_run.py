"""From a model file to the scores of its bearings, on simulated drives."""

from __future__ import annotations

from dataclasses import asdict, replace
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avdet_ros.cli import main as cli
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study.on_windows import WindowPlan, make_rows, run_windows
from avdet_ros.evaluation.bearing_study.run import Request, measure
from avdet_ros.evaluation.bearing_study.tables import estimate, main_table, parts_table
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord, bearings_of, box_azimuth_deg
from avdet_ros.evaluation.bearings.quiet_drives import quiet_drives, quiet_scores
from avdet_ros.evaluation.bearings.score_thresholds import threshold_scores
from avdet_ros.evaluation.bearings.scores import bearing_scores
from avdet_ros.evaluation.boxes.metrics import detection_metrics, drive_hits
from avdet_ros.evaluation.runs.baselines import LabelStatistics
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting
from avdet_ros.simulation.conditions import Condition
from avdet_ros.tracking import IouTracker

STATISTICS = LabelStatistics(
    np.array([[800, 300, 1000, 400]], np.float32),
    np.array([0.1], np.float32),
    np.array([-60.0, 300, 60, 400]),
    20.0,
)


def test_box_azimuth_is_of_its_centre(rig):
    camera = rig.camera
    point = camera.position_m + np.array([20.0, 5.0, 0.0])
    (x, y), _ = camera.project(point)
    (azimuth,) = box_azimuth_deg(np.array([[x - 30, y - 10, x + 30, y + 10]]), rig)
    assert azimuth == pytest.approx(np.degrees(np.arctan2(5, 20)))


def test_bearings_keep_truth_attributes_and_ranges(rig):
    truth = TruthFrame(
        np.array([[900.0, 300, 1000, 400]]),
        np.array([1]),
        np.array([12.0]),
        np.array([0.2]),
        np.array([-3.0]),
    )
    ranges = np.float32([[8, 11, 20]])
    found = Detections(np.float32([[900, 300, 1000, 400]]), np.float32([0.7]), ranges)
    record = DriveRecord('one', [0.5], [truth], {'it': [found]}, {'it': [1.0]})
    ((its, true),) = bearings_of([WindowRecord(record, rig)], 'it')[0]
    assert its.azimuth_deg == pytest.approx(true.azimuth_deg)
    assert (true.distance_m[0], true.level_db[0], true.visible[0]) == (12, -3, 0.2)
    assert its.scores[0] == pytest.approx(0.7)
    np.testing.assert_array_equal(its.range_m, ranges)


@pytest.mark.slow
def test_rows_are_equal_with_one_and_two_processes(model, tmp_path, counted):
    plan = WindowPlan(
        setting=WindowSetting(Condition('plain', 'kept'), Cut(windows=2)),
        seeds=(100_000, 100_003),
        models={'loudness': model},
        label_offset_s=-0.5,
        statistics=STATISTICS,
        cache=tmp_path,
        kept=1,
    )
    alone = run_windows(plan, progress=counted)
    assert counted.done == counted.totals == {'drives': 2}
    assert [path.stem for path in tmp_path.rglob('*.npz')] == ['100000'], 'no more than allowed'
    shared = run_windows(plan, jobs=2)
    for a, b in zip((its.record for its in alone), (its.record for its in shared), strict=True):
        assert a.name == b.name
        assert list(a.detections) == ['loudness', 'SRP-PHAT', 'constant boxes']
        assert len(a.truth) == 2
        for name, frames in a.detections.items():
            for one, other in zip(frames, b.detections[name], strict=True):
                np.testing.assert_array_equal(one.boxes_px, other.boxes_px)
                np.testing.assert_array_equal(one.scores, other.scores)


def test_model_of_another_label_offset_is_rejected(model, rig):
    plan = WindowPlan(WindowSetting(Condition(), Cut()), (1,), {'loudness': model}, 0.0)
    with pytest.raises(AvdetError, match=r'label_offset_s: expected 0 as in .*, found -0\.5'):
        make_rows(plan, rig)


def test_false_vehicles_are_counted_per_minute():
    """A box that stays for 3 s counts as one vehicle."""
    box = Detections(np.float32([[800, 300, 1000, 400]]), np.float32([0.9]))
    nothing = Detections()
    frames = [nothing] * 20 + [box] * 30 + [nothing] * 550
    record = DriveRecord(
        'quiet',
        [index / 10 for index in range(600)],
        [TruthFrame.of([], [])] * 600,
        {'it': frames},
        {'it': [1.0] * 600},
    )
    scores = quiet_scores([record, record], 'it', IouTracker(), 10.0)
    assert scores['minutes'] == 2
    assert (scores['vehicles'], scores['a_minute']) == (2, 1.0)
    assert 0.04 < scores['shown'] < 0.06
    assert quiet_drives(1.0) == 3


@pytest.mark.slow
def test_array_model_gets_a_row_with_true_geometry(steered_model):
    request = Request(
        steered_model,
        Condition('plain', 'neglected'),
        drives=4,
        windows=1,
        seed_from=100_000,
        quiet_minutes=0,
        baselines=False,
    )
    rows = measure(request).rows
    assert list(rows) == ['steered', 'steered, true geometry']
    told, true = (rows[name]['bearings'] for name in rows)
    assert true['ap']['value'] != told['ap']['value']


@pytest.mark.slow
def test_array_family_runs_only_models_for_any_array(steered_model, model):
    request = Request(
        steered_model,
        Condition('plain', 'ideal', family='cross'),
        drives=3,
        windows=1,
        seed_from=100_000,
        quiet_minutes=0,
        baselines=False,
    )
    result = measure(request)
    assert list(result.rows) == ['steered'], (
        'ideal arrays match their rig files, so there is no row with true geometry'
    )
    assert 'ideal cross array' in result.title
    with pytest.raises(AvdetError, match='does not fit'):
        measure(replace(request, model=model))


@pytest.fixture(scope='module')
def result(model):
    return measure(
        Request(
            model,
            Condition('plain', 'ideal'),
            drives=4,
            windows=2,
            seed_from=100_000,
            quiet_minutes=0,
        ),
        statistics=STATISTICS,
    )


@pytest.mark.slow
def test_measurement_has_all_rows_and_settings(result):
    assert list(result.rows) == ['loudness', 'SRP-PHAT', 'constant boxes']
    assert result.settings['condition']['array'] == 'ideal'
    for scores in result.rows.values():
        assert scores['bearings']['windows'] == 8
        assert 0 <= scores['bearings']['ap']['value'] <= 1
        assert scores['quiet'] is None
    assert result.title == (
        'plain, ideal array: 8 windows of 4 validation drives, seeds 100000 to 100003'
    )
    assert (result.settings['split'], result.settings['calibration']) == ('validation', [])
    about = result.settings['model']
    assert about['file'].endswith('loudness.onnx')
    assert about['bytes'] == Path(about['file']).stat().st_size
    assert about['sha256'] == hashlib.sha256(Path(about['file']).read_bytes()).hexdigest()
    # The model predicts one constant box: SRP-PHAT finds more directions.
    recall = {name: its['bearings']['ap']['value'] for name, its in result.rows.items()}
    assert recall['SRP-PHAT'] > recall['loudness']


@pytest.mark.slow
def test_measured_scores_match_scores_of_the_windows(result, model, rig):
    """Compared with the same windows run directly: every score belongs to its detector."""
    plan = WindowPlan(
        setting=WindowSetting(Condition('plain', 'ideal'), Cut(windows=2)),
        seeds=(100_000, 100_001, 100_002, 100_003),
        models={'loudness': model},
        label_offset_s=-0.5,
        statistics=STATISTICS,
    )
    windows = run_windows(plan)
    assert [its.record.name for its in windows] == [f'seed {seed}' for seed in plan.seeds]
    for its in windows:
        assert its.record.conditions['motion'] in ('static', 'drive')
        scene = Condition('plain', 'ideal').scene(int(its.record.name[5:]), rig, 6.0)
        assert its.record.conditions['setting'] == scene.setting
        standing = np.ptp(scene.ego_pose(np.linspace(0, 6, 7))[0], axis=0).max() < 0.5
        assert (its.record.conditions['motion'] == 'static') == standing
    truth = [frame for its in windows for frame in its.record.truth]
    for name in ('loudness', 'constant boxes'):
        found = [frame for its in windows for frame in its.record.detections[name]]
        row = result.rows[name]
        detection = asdict(detection_metrics(truth, found, (1920, 650)))
        assert row['detection'] == pytest.approx(detection, nan_ok=True)
        drives = bearings_of(windows, name)
        bearings = bearing_scores(drives, 1)
        for key in ('threshold', 'false_a_window', 'f20', 'drives', 'windows', 'labels'):
            assert row['bearings'][key] == pytest.approx(bearings[key], nan_ok=True), key
        assert row['bearings']['ap']['low'] <= bearings['ap']['value'] <= 1
        assert row['bearings']['ap']['value'] == bearings['ap']['value']
        hits = [drive_hits(its.record.truth, its.record.detections[name]) for its in windows]
        assert str(row['thresholds']) == str(threshold_scores(drives, hits))
        assert 0 < row['milliseconds']['p50'] <= row['milliseconds']['p99'] < 5000
        assert (row['quiet'], row['other'], row['early']) == (None, {}, None)


def test_settings_contain_the_whole_request():
    """Every option has a key, so that measurements with different options differ."""
    condition = Condition('furnished', 'kept')
    asked = Request(
        Path('some', 'model.onnx'),
        condition,
        drives=7,
        windows=2,
        seed_from=200_100,
        calibrate_minutes=3.5,
        one_dead=True,
        known='speed and air',
        quiet_minutes=1.5,
        other_minutes=2.5,
        early_drives=9,
        recordings=Path('engines'),
        sounds=Path('fans'),
        tracker='iou',
    )
    assert asked.settings() == {
        'condition': asdict(condition),
        'drives': 7,
        'windows_a_drive': 2,
        'seeds': [200_100, 200_106],
        'calibrate_minutes': 3.5,
        'one_dead': True,
        'known': 'speed and air',
        'quiet_minutes': 1.5,
        'other_minutes': 2.5,
        'early_drives': 9,
        'recordings': 'engines',
        'sounds': 'fans',
        'tracker': 'iou',
        'resamples': 500,
    }
    assert asked.seeds == tuple(range(200_100, 200_107))
    assert asked.label == 'model, speed and air known'
    assert replace(asked, name='mine', known='').label == 'mine'
    plain = Request(Path('model.onnx'), condition).settings()
    assert (plain['recordings'], plain['sounds'], plain['known']) == (None, None, '')


@pytest.mark.slow
def test_quiet_roads_are_measured(model, counted):
    request = Request(model, Condition(), drives=1, windows=1, quiet_minutes=0.3, baselines=False)
    result = measure(request, counted)
    quiet = result.rows['loudness']['quiet']
    assert quiet['minutes'] == pytest.approx(191 / 600)
    # The model's one box is found in all windows or in none: at most one false vehicle.
    assert quiet['a_minute'] == pytest.approx(quiet['vehicles'] / quiet['minutes'])
    assert quiet['vehicles'] in (0, 1)
    name, (note,) = str(request.condition), result.notes
    assert note.endswith('has no steering input to give it to.')
    assert counted.totals[name] == 1
    assert counted.totals[str(replace(request.condition, empty=True))] == 1


@pytest.mark.slow
def test_roads_with_other_sounds_are_measured_at_each_level(model, tmp_path):
    soundfile.write(
        tmp_path / 'fan.wav', 0.01 * np.random.default_rng(1).normal(size=88200), 44100
    )
    request = Request(
        model,
        Condition('plain', 'ideal'),
        drives=1,
        windows=1,
        quiet_minutes=0,
        baselines=False,
        other_minutes=0.1,
        sounds=tmp_path,
        cache=tmp_path / 'cache',
    )
    result = measure(request)
    other = result.rows['loudness']['other']
    assert list(other) == ['0', '10']
    assert other['0']['minutes'] == other['10']['minutes'] == pytest.approx(91 / 600)
    kept = [json.loads(path.read_text()) for path in (tmp_path / 'cache').rglob('set.json')]
    assert [key['condition'].get('other_db') for key in kept].count(10.0) == 1
    assert sum('sounds' in key for key in kept) == 2


@pytest.mark.slow
def test_tables_show_every_row(result):
    table = main_table(result.rows, result.title)
    assert [column.header for column in table.columns[1:]] == list(result.rows)
    assert table.row_count == 16
    assert parts_table(result.rows).row_count == 9
    assert estimate({'value': 0.5984, 'low': 0.56, 'high': None}) == '.598'
    assert estimate({'value': 0.5984, 'low': 0.56, 'high': 0.63}) == '.598 (.560 to .630)'


@pytest.mark.slow
def test_evaluate_command_prints_and_writes_scores(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        'avdet_ros.evaluation.bearing_study.run.training_statistics', lambda _: STATISTICS
    )
    monkeypatch.chdir(tmp_path)
    arguments = (
        f'evaluate --model {model} --array kept --drives 2 --windows 1 --seed-from 100000 '
        '--quiet-minutes 0'
    )
    with pytest.raises(SystemExit) as ended:
        cli.app(arguments.split())
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert 'plain, kept array: 2 windows of 2 validation drives' in printed
    content = json.loads((tmp_path / 'scores.json').read_text())
    assert content['rows']['loudness']['bearings']['windows'] == 2
    assert content['settings']['condition']['world'] == 'plain'
    assert list((tmp_path / 'out' / 'windows').rglob('*.npz'))


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ('--world moon', "world: expected one of plain, furnished, found 'moon'"),
        ('--array bent', "array: expected one of ideal, kept, neglected, found 'bent'"),
        ('--world plain --data x', '--data: expected no --data with --world or --array'),
        ('--world plain --windows 0', '--windows: expected 1 to 100, found 0'),
        ('--world plain --drives 0', 'drives: expected at least 1, found 0'),
    ],
)
def test_bad_requests_are_reported(arguments, sentence):
    with pytest.raises(AvdetError) as error:
        cli.app(['evaluate', *arguments.split()], standalone_mode=False)
    assert sentence in str(error.value)


@pytest.mark.slow
def test_rows_with_known_speed_are_labelled(steered_model, model):
    request = Request(
        steered_model, Condition('plain', 'ideal'), drives=3, known='speed', baselines=False
    )
    result = measure(replace(request, quiet_minutes=0.0))
    assert list(result.rows) == ['steered, speed known']
    assert result.settings['known'] == 'speed'
    with pytest.raises(AvdetError, match='expected a model for any array, which can receive'):
        measure(replace(request, model=model, quiet_minutes=0.0))
