"""End-to-end runs on simulated drives: sound, features, model, baselines, scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs import on_simulation
from avdet_ros.evaluation.runs.baselines import LabelStatistics


@pytest.fixture(scope='module')
def statistics():
    return LabelStatistics(
        np.array([[800, 300, 1000, 400]], np.float32),
        np.array([0.1], np.float32),
        np.array([-60.0, 300, 60, 400]),
        20.0,
    )


def plan_of(model, statistics, seeds=(100_000, 100_003)):
    return on_simulation.Plan(seeds, 2.0, 5, -0.5, {'loudness': model}, statistics)


@pytest.mark.slow
def test_one_and_two_processes_find_the_same(model, statistics, counted):
    plan = plan_of(model, statistics)
    alone = on_simulation.run_on_drives(plan, progress=counted)
    shared = on_simulation.run_on_drives(plan, jobs=2)
    assert counted.done == counted.totals == {'drives': 2}
    assert [record.name for record in alone] == ['seed 100000', 'seed 100003']
    for a, b in zip(alone, shared, strict=True):
        assert set(a.detections) == {'loudness', on_simulation.CONSTANT, on_simulation.STEERED}
        assert a.stamps_s == b.stamps_s == pytest.approx([0.5, 0.7, 0.9, 1.1, 1.3, 1.5])
        assert len(a.truth) == len(a.milliseconds['loudness']) == 6
        for name, frames in a.detections.items():
            for one, other in zip(frames, b.detections[name], strict=True):
                np.testing.assert_array_equal(one.boxes_px, other.boxes_px)
                np.testing.assert_array_equal(one.scores, other.scores)
        scores = [frame.scores[0] for frame in a.detections['loudness']]
        assert len(set(scores)) > 1, 'scores follow the sound'


@pytest.mark.slow
def test_baselines_are_fitted_on_training_drives(rig, monkeypatch):
    seen = []
    import avdet_ros.simulation.traffic as traffic

    real = traffic.random_scene
    monkeypatch.setattr(
        traffic, 'random_scene', lambda seed, *rest: seen.append(seed) or real(seed, *rest)
    )
    statistics = on_simulation.training_statistics(rig, drives=10)
    assert seen == list(range(10))
    assert len(statistics.boxes_px) == len(statistics.shares) > 1
    assert np.all(np.diff(statistics.shares) <= 0)
    assert 3 < statistics.typical_distance_m < 70


def test_models_of_another_label_offset_are_rejected(model, rig):
    plan = on_simulation.Plan((100_000,), 2.0, 5, -0.25, {'loudness': model}, None)
    with pytest.raises(AvdetError, match=r'label_offset_s: expected -0\.25 .*, found -0\.5'):
        on_simulation.run_on_drives(plan)


@pytest.mark.slow
def test_evaluate_command_writes_scores(model, tmp_path, avdet):
    out = tmp_path / 'scores.json'
    code, printed, _ = avdet(
        'eval',
        'model',
        '--model',
        model,
        '--drives',
        2,
        '--seconds',
        2,
        '--seed-from',
        100_000,
        '--no-baselines',
        '--out',
        out,
    )
    assert code == 0
    assert 'mAP@0.5' in printed
    content = json.loads(out.read_text())
    assert content['settings']['split'] == 'validation'
    assert content['detectors']['loudness']['detection']['frames'] == 22


@pytest.mark.slow
def test_compare_command_writes_comparison(model, tmp_path, avdet):
    code, printed, _ = avdet(
        'eval',
        'compare',
        model,
        model,
        '--drives',
        2,
        '--seconds',
        2,
        '--resamples',
        10,
        '--out',
        tmp_path / 'compare',
    )
    assert code == 0
    assert 'Not enough drives to tell' in printed
    content = json.loads((tmp_path / 'compare' / 'compare.json').read_text())
    assert content['models'][0]['sha256'] == content['models'][1]['sha256']
    assert content['metrics']['map']['difference'] in (0, None)


def test_inspect_model_command_checks_the_rig(model, tmp_path, avdet):
    code, printed, _ = avdet('eval', 'inspect-model', model)
    assert code == 0
    assert '32 channels' in printed
    assert 'fits the rig' in printed
    other = tmp_path / 'rig.yaml'
    from avdet_ros.rig import default_rig_path

    other.write_text(default_rig_path().read_text().replace('0.250000', '0.300000'))
    code, printed, complaint = avdet('eval', 'inspect-model', model, '--rig', other)
    assert code == 1
    assert 'avdet.microphones' in complaint
    assert '50 mm away' in complaint
    assert 'student.onnx' in complaint
    turned = default_rig_path().read_text().replace('[1000.0, 1000.0]', '[2000.0, 2000.0]')
    other.write_text(turned)
    code, printed, complaint = avdet('eval', 'inspect-model', model, '--rig', other)
    assert code == 1
    line = next(line for line in printed.splitlines() if 'avdet.focal_px' in line)
    assert 'no: the rig has' in line
    assert 'expected (1000, 1000) as the model was taught, found (2000, 2000)' in complaint


def test_inspect_model_reports_untrained_rig_properties(tmp_path, avdet, monkeypatch):
    from avdet_ros.rig import default_rig_path

    wide = tmp_path / 'rig.yaml'
    wide.write_text(default_rig_path().read_text().replace('0.250000', '2.50'))
    command = ('eval', 'inspect-model', 'models/student.onnx', '--rig', wide)
    monkeypatch.chdir(tmp_path)  # the shipped model is still found
    code, printed, _ = avdet(*command)
    assert code == 0
    rows = {line.split()[1]: line for line in printed.splitlines() if 'the rig has' in line}
    assert 'not taught: the rig has' in rows['avdet.aperture_m']
    assert 'yes: the rig has 8' in rows['avdet.live_microphones']


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('eval', 'model', '--model', 'none.onnx'), 'none.onnx: No such file'),
        (('eval', 'model', '--drives', 0), 'drives: expected at least 1'),
        (('eval', 'model', '--tracker', 'sort'), "one of ground, iou, motion, found 'sort'"),
        (('eval', 'model', '--rate', 0), 'rate: expected'),
        (('eval', 'compare', 'a.onnx', 'b.onnx'), 'a.onnx: No such file'),
        (('eval', 'compare', 'a.onnx', 'b.onnx', '--resamples', 1), 'resamples: expected'),
        (('eval', 'trackers', '--model', 'none.onnx'), 'none.onnx: No such file'),
        (('eval', 'inspect-model', 'none.onnx'), 'none.onnx: No such file'),
        (('bench', 'steps', '--runs', 1), 'runs: expected'),
        (('bench', 'steps', '--model', 'none.onnx'), 'none.onnx: No such file'),
    ],
)
def test_user_errors_are_reported_in_one_line(arguments, sentence, avdet):
    code, _, complaint = avdet(*arguments)
    assert code == 1
    assert sentence in ' '.join(complaint.split())
    assert 'Traceback' not in complaint
    assert complaint.count('\n') == 1


@pytest.mark.slow
def test_evaluate_command_scores_a_dataset_folder(dataset, model, tmp_path, avdet):
    out, report = tmp_path / 'scores.json', tmp_path / 'report.html'
    code, printed, _ = avdet(
        'eval',
        'model',
        '--model',
        model,
        '--data',
        dataset,
        '--out',
        out,
        '--report',
        report,
        '--pictures',
        2,
    )
    assert code == 0
    assert 'against fused labels' in ' '.join(printed.split())
    assert set(json.loads(out.read_text())['by_truth']) == {'fused labels', 'true boxes'}
    assert 'drive_night_2' in report.read_text()


@pytest.mark.slow
def test_report_of_simulated_drives_contains_pictures(model, tmp_path, avdet):
    report = tmp_path / 'report.html'
    code, _, _ = avdet(
        'eval',
        'model',
        '--model',
        model,
        '--drives',
        1,
        '--seconds',
        2,
        '--seed-from',
        100_003,
        '--no-baselines',
        '--report',
        report,
        '--pictures',
        1,
    )
    assert code == 0
    assert report.stat().st_size > 100_000
