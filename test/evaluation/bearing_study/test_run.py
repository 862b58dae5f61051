"""From a model's file to the scores of its bearings, on real simulated drives."""

from __future__ import annotations

from dataclasses import replace
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from avdet_ros.cli import main as cli
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study import on_windows
from avdet_ros.evaluation.bearing_study.on_windows import (
    ModelRow,
    WindowPlan,
    rig_file,
    run_windows,
    true_geometry,
    without_microphone,
)
from avdet_ros.evaluation.bearing_study.run import Request, measure
from avdet_ros.evaluation.bearing_study.tables import estimate, main_table, parts_table
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord, bearings_of, box_azimuth_deg
from avdet_ros.evaluation.bearings.quiet_drives import quiet_drives, quiet_scores
from avdet_ros.evaluation.runs.baselines import LabelStatistics
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting
from avdet_ros.evaluation.runs.windows import DriveWindows
from avdet_ros.simulation.conditions import Condition, TrueArray
from avdet_ros.tracking import IouTracker

STATISTICS = LabelStatistics(
    np.array([[800, 300, 1000, 400]], np.float32),
    np.array([0.1], np.float32),
    np.array([-60.0, 300, 60, 400]),
    20.0,
)


def test_a_box_has_the_azimuth_of_its_middle(rig):
    camera = rig.camera
    point = camera.position_m + np.array([20.0, 5.0, 0.0])
    (x, y), _ = camera.project(point)
    (azimuth,) = box_azimuth_deg(np.array([[x - 30, y - 10, x + 30, y + 10]]), rig)
    assert azimuth == pytest.approx(np.degrees(np.arctan2(5, 20)))


def test_bearings_carry_what_the_truth_knows(rig):
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
def test_rows_are_the_same_in_one_process_and_in_two(model, tmp_path, counted):
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


def test_a_model_of_another_instant_is_refused(model, rig):
    plan = WindowPlan(WindowSetting(Condition(), Cut()), (1,), {'loudness': model}, 0.0)
    with pytest.raises(AvdetError, match=r'label_offset_s: expected 0 as in .*, found -0\.5'):
        on_windows.make_rows(plan, rig)


def test_false_vehicles_are_counted_a_minute():
    """A box that stays for 3 s is one vehicle, one that flashes is none."""
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


def wave_at(array, azimuth_deg):
    """A second of noise from far away as an array with all its errors records it, int16."""
    rng = np.random.default_rng(5)
    azimuth = np.radians(azimuth_deg)
    towards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    ahead_s = array.microphones_m @ towards / 343.0 - array.delay_s
    turns = np.fft.rfftfreq(44100, 1 / 44100) * ahead_s[:, None]
    spectrum = np.fft.rfft(rng.normal(size=44100)) * np.exp(2j * np.pi * turns)
    wave = np.fft.irfft(spectrum, 44100) * 10 ** (array.gain_db[:, None] / 20)
    return np.round(800 * wave).astype(np.int16)


def test_a_model_told_the_true_geometry_hears_where_the_sound_is(steered_model, rig):
    """The rig file's geometry is wrong by what goes wrong on a neglected vehicle."""
    rng = np.random.default_rng(2)
    array = TrueArray(
        microphones_m=rig.microphones_m[[0, 1, 5, 3, 4, 2, 6, 7]] + rng.normal(0, 0.01, (8, 3)),
        yaw_deg=0.0,
        gain_db=rng.normal(0, 3, 8),
        delay_s=rng.uniform(-60e-6, 60e-6, 8),
        alive=np.ones(8, bool),
    )
    azimuths = (-31.0, 4.0, 22.0)
    drive = DriveWindows(
        seed=1,
        rig=rig,
        setting='city',
        static=True,
        sound=np.stack([wave_at(array, azimuth) for azimuth in azimuths]),
        piece=np.arange(3),
        first=np.zeros(3, int),
        end_s=np.ones(3),
        truth={},
        array=array,
    )
    errors, scores = {}, {}
    for rig_of in (rig_file, true_geometry):
        row = ModelRow(steered_model, rig, rig_of)
        found, times = row.detect(drive)
        assert len(times) == 3
        best = [its.boxes_px[:1] for its in found]
        # The box's middle is given for a range of 15 m, seen from the array.
        heard = [box_azimuth_deg(box, rig)[0] for box in best]
        errors[rig_of] = np.abs(np.array(heard) - azimuths)
        scores[rig_of] = min(its.scores[0] for its in found)
    # A direction's column is 1.75 degrees wide. The score is 1 where all pairs agree.
    assert errors[true_geometry].max() < 0.9 < errors[rig_file].max()
    assert scores[rig_file] < 0.5 < 0.9 < scores[true_geometry]


def test_a_microphone_known_as_dead_is_not_listened_to(steered_model, rig):
    """What is on its channel then changes nothing, and the others still hear the direction."""
    row = ModelRow(steered_model, rig, without_microphone(2))
    true = TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))
    sound = wave_at(true, 4.0)[None]
    noisy = sound.copy()
    noisy[:, 2] = np.random.default_rng(1).integers(-9000, 9000, sound.shape[2])
    found = []
    for heard in (sound, noisy):
        drive = DriveWindows(
            seed=1,
            rig=rig,
            setting='city',
            static=True,
            sound=heard,
            piece=np.arange(1),
            first=np.zeros(1, int),
            end_s=np.ones(1),
            truth={},
            array=true,
        )
        found.append(row.detect(drive)[0][0])
    np.testing.assert_array_equal(found[0].boxes_px, found[1].boxes_px)
    assert abs(box_azimuth_deg(found[0].boxes_px[:1], rig)[0] - 4.0) < 0.9


@pytest.mark.slow
def test_there_is_a_row_with_the_true_geometry(steered_model):
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
def test_each_drive_of_a_family_has_a_rig_of_its_own(steered_model, model):
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
    assert list(result.rows) == ['steered'], 'ideal arrays are as their rig files say'
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
def test_a_measurement_has_every_row_and_number(result):
    assert list(result.rows) == ['loudness', 'SRP-PHAT', 'constant boxes']
    assert result.settings['condition']['array'] == 'ideal'
    for scores in result.rows.values():
        assert scores['bearings']['windows'] == 8
        assert 0 <= scores['bearings']['ap']['value'] <= 1
        assert scores['quiet'] is None
    assert result.title.startswith('plain, ideal array: 8 windows of 4 validation drives')
    # One constant box whatever the loudness: SRP-PHAT finds more directions.
    recall = {name: its['bearings']['ap']['value'] for name, its in result.rows.items()}
    assert recall['SRP-PHAT'] > recall['loudness']


@pytest.mark.slow
def test_roads_without_vehicles_are_listened_to(model):
    request = Request(model, Condition(), drives=1, windows=1, quiet_minutes=0.3, baselines=False)
    quiet = measure(request).rows['loudness']['quiet']
    assert quiet['minutes'] == pytest.approx(191 / 600)


@pytest.mark.slow
def test_roads_with_another_sound_are_listened_to_at_each_level(model, tmp_path):
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
def test_the_command_prints_and_writes(model, tmp_path, capsys, monkeypatch):
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


def heard_at(passing_mps, steered_model, rig, motion_of):
    """Scores of a wave from ahead that passes the array so fast."""
    true = TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))
    azimuth = float(azimuth_grid()[31])
    scaled = replace(true, microphones_m=true.microphones_m * 343.0 / passing_mps)
    drive = DriveWindows(
        seed=1,
        rig=rig,
        setting='city',
        static=True,
        sound=wave_at(scaled, azimuth)[None],
        piece=np.arange(1),
        first=np.zeros(1, int),
        end_s=np.array([1.5]),
        truth={},
        array=true,
    )
    (found,), _ = ModelRow(steered_model, rig, rig_file, motion_of).detect(drive)
    return float(found.scores[0])


def test_a_model_told_speed_and_air_hears_more_of_what_is_ahead(steered_model, rig):
    def told(*motion):
        return heard_at(373.0, steered_model, rig, lambda _: [motion])

    assert told(30.0, 20.0) > told(0.0, 20.0) + 0.02
    # Air of 15 degrees and 3 m/s more are much the same to what is ahead.
    assert told(33.0, 15.0) == pytest.approx(told(30.0, 20.0), abs=0.01)
    standing = heard_at(373.0, steered_model, rig, on_windows.standing)
    assert standing == told(0.0, 20.0)


def test_the_true_motion_is_the_drives_own(rig):
    """Against the simulator's own speed, of a moving and a standing ego vehicle."""
    condition = Condition('plain', 'ideal')
    setting = WindowSetting(condition, Cut(windows=2))
    seeds = range(200_000, 200_012)
    speeds = []
    for seed in seeds:
        scene = condition.scene(seed, rig, setting.cut.duration_s)
        drive = SimpleNamespace(seed=seed, rig=rig, end_s=np.array([1.0, 4.25]))
        found = on_windows.true_motion(setting, rig, 'speed and air')(drive)
        speed = np.abs(scene.ego.speed_mps(np.array([0.5, 3.75])))
        np.testing.assert_allclose([ahead for ahead, _ in found], speed, atol=0.3)
        assert {air for _, air in found} == {scene.temperature_c}
        (usual,) = {air for _, air in on_windows.true_motion(setting, rig, 'speed')(drive)}
        assert usual == 20.0
        speeds += [ahead for ahead, _ in found]
    assert min(speeds) == pytest.approx(0, abs=0.1)
    assert max(speeds) > 10


@pytest.mark.slow
def test_rows_that_know_the_speed_are_named_so(steered_model, model):
    request = Request(
        steered_model, Condition('plain', 'ideal'), drives=3, known='speed', baselines=False
    )
    result = measure(replace(request, quiet_minutes=0.0))
    assert list(result.rows) == ['steered, speed known']
    assert result.settings['known'] == 'speed'
    with pytest.raises(AvdetError, match='expected a model for any array, which can be told'):
        measure(replace(request, model=model, quiet_minutes=0.0))
    with pytest.raises(AvdetError, match="expected one of speed, speed and air, found 'wind'"):
        on_windows.check_known('wind')
    assert [on_windows.check_known(known) for known in ('', 'speed')] == ['', 'speed']
