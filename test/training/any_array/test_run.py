"""Training a small network on windows with known labels, up to the model file."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
import json
import re
import shutil

from helpers.array_models import scattered_rig, wave_from
from helpers.array_windows import write_shard
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.main import app
from avdet_ros.cli.train_quantise import quantise
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.training.any_array.bearing_first import BEAMS, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.detector import BearingDetector
from avdet_ros.training.any_array.export import check_export
from avdet_ros.training.any_array.fitting.best_epoch import load_best
from avdet_ros.training.any_array.fitting.fit import fit
from avdet_ros.training.any_array.fitting.fit_state import FitPlan
from avdet_ros.training.any_array.fitting.run_file import LAST, LOG
from avdet_ros.training.any_array.fitting.start_weights import read_curve, read_start_weights
from avdet_ros.training.any_array.model_file_scores import topic_windows
from avdet_ros.training.any_array.run import AnyArrayRun, export_only, train_any_array
from avdet_ros.training.any_array.windows.augmentation import Augmentation

SMALL = BearingShape(width=12, deep=32, steps=4)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('sets')
    for seed in range(3):
        write_shard(root / 'train', seed)
    write_shard(root / 'val', 100_000)
    return root


def run_in(folders, out, steps=60, **changes) -> AnyArrayRun:
    plan = FitPlan(steps=steps, batch=16, epoch_windows=10_000, learning_rate=4e-3, average=0.9)
    return AnyArrayRun(
        folders / 'train', folders / 'val', folders / out, replace(plan, **changes), SMALL
    )


@pytest.fixture(scope='module')
def finished(folders):
    run = run_in(folders, 'run', steps=120, augmentation=Augmentation(masked=0.0))
    return run, train_any_array(run)


@pytest.mark.slow
def test_network_learns_to_detect_with_unseen_arrays(finished):
    run, path = finished
    scores = json.loads((run.out / 'scores.json').read_text())['validation']
    assert scores['bearing_ap'] > 0.8
    assert scores['azimuth_error_deg'] < 0.7
    assert scores['range_error'] < 0.4
    assert path.stat().st_size < 25e6
    with (run.out / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]['loss']) < float(rows[0]['loss'])
    assert int(rows[-1]['training_windows']) == run.store(run.train, None).refresh()


def middle_px(found) -> float:
    """Return the horizontal centre of the most probable box, pixels."""
    return float(found.boxes_px[0, [0, 2]].mean())


@pytest.mark.slow
def test_model_file_runs_on_any_rig_and_depends_on_its_geometry(finished):
    _, path = finished
    front_end, rig, other = FrontEnd(), scattered_rig(5), scattered_rig(6)
    detector = Detector(path, rig, front_end, providers=['cpu'])
    assert detector.contract.contract_version == 2
    features = front_end.compute(wave_from(other, 12.0))
    features[:8] = -35.0
    strangers = detector.detect(features)
    detector.use_rig(other, front_end)
    found = detector.detect(features)
    assert len(strangers.scores) == 0 or abs(middle_px(strangers) - middle_px(found)) > 100
    assert middle_px(found) == pytest.approx(960 - 1000 * np.tan(np.radians(12)), abs=40)
    assert np.all(np.diff(found.range_m, axis=1) >= 0)
    zoomed = replace(other, camera=replace(other.camera, fx=2000.0, fy=2000.0))
    detector.use_rig(zoomed, front_end)
    assert middle_px(detector.detect(features)) == pytest.approx(
        960 - 2000 * np.tan(np.radians(12)), abs=80
    )


@pytest.mark.slow
def test_export_check_rejects_a_model_file_of_another_network(finished):
    run, path = finished
    detector = BearingDetector(load_best(run.out))
    windows = list(islice(topic_windows(run.val, run.azimuths_deg()), 4))
    assert windows[0][0].shape == (32, 80, 173)
    with torch.no_grad():
        detector.network.box[-1].bias += 0.5
    with pytest.raises(AvdetError, match='expected torch and ONNX Runtime within'):
        check_export(detector, path, windows)


@pytest.mark.slow
def test_int8_model_file_keeps_the_bearing_ap(finished, tmp_path, capsys):
    run, path = finished
    whole = tmp_path / 'int8.onnx'
    write_shard(tmp_path / 'val', 100_001, windows=12)
    quantise(path, run.train, whole, tmp_path / 'val', count=6)
    told = capsys.readouterr().out.replace('\n', ' ')
    before, after = (float(ap) for ap in re.findall(r'bearing AP (\S+),', told))
    assert before > 0.7
    assert after == pytest.approx(before, abs=0.1)
    props = [{p.key: p.value for p in onnx.load(file).metadata_props} for file in (path, whole)]
    assert props[0] == props[1]
    kinds = [node.op_type for node in onnx.load(whole).graph.node]
    assert 'QuantizeLinear' in kinds
    # Batch normalisations after a sum cannot be folded into a convolution.
    assert kinds.count('BatchNormalization') == 2
    with pytest.raises(AvdetError, match='--rig: expected none'):
        quantise(path, run.train, whole, rig=tmp_path)


@pytest.mark.slow
def test_network_with_adaptive_beams_learns_and_matches_its_onnx_model(tmp_path):
    for folder, seed in (('train', 0), ('train', 1), ('val', 100_000)):
        write_shard(tmp_path / folder, seed, windows=32, pair_count=28)
    run = run_in(tmp_path, 'run', steps=40)
    run = replace(run, shape=replace(SMALL, **BEAMS['adaptive']))
    path = train_any_array(run)
    scores = json.loads((run.out / 'scores.json').read_text())
    assert scores['validation']['bearing_ap'] > 0.7
    assert scores['torch_against_onnx'] < 1e-3
    again = read_start_weights(path)
    assert again.shape.adaptive
    assert 'from_parts.weight' not in again.network().state_dict()


def test_adaptive_beams_require_all_pairs_of_microphones(folders):
    run = replace(run_in(folders, 'pairs'), shape=replace(SMALL, **BEAMS['adaptive']))
    with pytest.raises(AvdetError, match='expected coherences of all 28 pairs of microphones'):
        train_any_array(run)


@pytest.mark.slow
def test_model_file_is_exported_again_without_the_training_windows(finished, tmp_path):
    run, path = finished
    shutil.copy(run.out / 'best.pt', tmp_path)
    again = export_only(
        replace(run, out=tmp_path, train=tmp_path / run.train.name, shape=BearingShape())
    )
    assert again.read_bytes() == path.read_bytes()
    saved = torch.load(tmp_path / 'best.pt', weights_only=True)
    del saved['ranges']
    torch.save(saved, tmp_path / 'best.pt')
    with pytest.raises(AvdetError, match='from an older version; start a new run from it'):
        export_only(replace(run, out=tmp_path))


@pytest.mark.slow
def test_score_curve_of_another_model_file_is_kept(finished, tmp_path):
    run, path = finished
    logits, scores = read_curve(path)
    other = onnx.load(path)
    for value in other.graph.initializer:
        if value.name == 'calibration.scores':
            value.CopyFrom(onnx.numpy_helper.from_array(scores * 0.5, value.name))
    onnx.save(other, tmp_path / 'half.onnx')
    shutil.copytree(run.out, tmp_path / 'run')
    curve = read_curve(tmp_path / 'half.onnx')
    made = export_only(replace(run, out=tmp_path / 'run', curve=curve))
    kept = read_curve(made)
    np.testing.assert_array_equal(kept[0], logits)
    np.testing.assert_array_equal(kept[1], scores * 0.5)
    with pytest.raises(AvdetError, match='expected a curve of scores, found no calibration'):
        read_curve('models/octagon.onnx')


@pytest.mark.slow
def test_interrupted_run_ends_with_the_same_weights(folders):
    whole, parts = run_in(folders, 'whole', 18), run_in(folders, 'parts', 18)

    def fit_run(run, stop_after_s=1e9):
        train, val = (run.store(folder, None) for folder in (run.train, run.val))
        val.refresh()
        return fit(train, val, run.out, run.plan, run.shape, stop_after_s)

    once = fit_run(whole)
    # An epoch is 9 steps: there is no time for a second one.
    first = fit_run(parts, stop_after_s=0.5)
    assert (first.epoch, first.step) == (1, 9)
    assert (parts.out / LAST).exists()
    again = fit_run(parts)
    assert (once.epoch, once.step) == (again.epoch, again.step) == (2, 18)
    for one, other in zip(
        once.averaged.state_dict().values(), again.averaged.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    changed = replace(parts, plan=replace(parts.plan, learning_rate=1e-3))
    with pytest.raises(
        AvdetError, match=r'learning_rate: expected 0\.004 as at the start of the run'
    ):
        fit_run(changed)
    (parts.out / LAST).write_bytes(b'broken')
    with pytest.raises(AvdetError, match=r'last\.pt: expected a file of a run of any-array'):
        fit_run(parts)


@pytest.mark.slow
def test_run_starts_from_the_weights_of_another(folders, finished):
    first, _ = finished
    further = run_in(folders, 'further', 1, start_from=str(first.out), learning_rate=1e-6)
    train, val = (further.store(folder, None) for folder in (further.train, further.val))
    val.refresh()
    with pytest.raises(AvdetError, match='width: expected 24, found 12'):
        fit(train, val, further.out, further.plan, replace(SMALL, width=24))
    state = fit(train, val, further.out, further.plan, SMALL)
    before, after = load_best(first.out), load_best(further.out)
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert state.step == 1
    # A continued run does not need its start weights, which may be gone.
    moved = replace(further.plan, start_from='')
    with pytest.raises(AvdetError, match=r'start_from: expected .*run as at the start of the run'):
        fit(train, val, further.out, moved, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(('only', 'layers'), [('boxes', 'box'), ('presence', 'presence')])
def test_only_the_chosen_last_layers_are_trained(folders, finished, only, layers):
    """All other weights stay exactly equal."""
    first, _ = finished
    further = run_in(folders, only, 6, start_from=str(first.out), only=only)
    train, val = (further.store(folder, None) for folder in (further.train, further.val))
    val.refresh()
    fit(train, val, further.out, further.plan, SMALL)
    # A second call continues the run in the file.
    longer = replace(further.plan, steps=7)
    with pytest.raises(AvdetError, match='steps: expected 6'):
        fit(train, val, further.out, longer, SMALL)
    before, after = (load_best(run.out).state_dict() for run in (first, further))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split('.')[0] for name in changed} == {layers}
    assert {f'{layers}.{name}' for name in ('0.weight', '1.running_mean', '3.bias')} <= changed


@pytest.mark.slow
@pytest.mark.parametrize('only', ['', 'presence'])
def test_hold_limits_changes_outside_the_image(folders, finished, tmp_path, only):
    """Outside the image, `hold` keeps predictions closer to those of the start network."""
    first, _ = finished
    for seed in range(3):
        path = write_shard(tmp_path / 'train', seed)
        with np.load(path) as shard:
            arrays = dict(shard)
        # The camera's image has no vehicles, so the network learns that there are none.
        arrays['seen_deg'] = np.tile(np.float32([25, -25]), (len(arrays['count']), 1))
        arrays['count'] = np.zeros_like(arrays['count'])
        with path.open('wb') as file:
            np.savez(file, **arrays)
    before = load_best(first.out)
    beside = columns_deg(SMALL).abs() > 25
    moved = {}
    for hold in (0.0, 1.0):
        out = tmp_path / f'run-{hold}'
        run = run_in(folders, out, 36, start_from=str(first.out), only=only, hold=hold)
        store, val = run.store(tmp_path / 'train', None), run.store(run.val, None)
        val.refresh()
        state = fit(store, val, run.out, run.plan, SMALL)
        windows = val.batch(torch.arange(len(val)))
        with torch.no_grad():
            predicted = [
                network(windows.level_db, windows.coherence, windows.steering)[:, 0]
                for network in (before, state.averaged)
            ]
        change = torch.sigmoid(predicted[0]) - torch.sigmoid(predicted[1])
        moved[hold] = float(change[:, beside].abs().max())
    assert moved[1.0] < 0.6 * moved[0.0], moved


@pytest.mark.slow
def test_training_own_columns_changes_no_other_weights(folders, finished, tmp_path):
    first, _ = finished
    shape = replace(SMALL, own_columns=True)
    further = replace(
        run_in(folders, 'own', 6, start_from=str(first.out), only='boxes'), shape=shape
    )
    path = train_any_array(further)
    before = read_start_weights(first.out).with_own_columns().network().state_dict()
    after = load_best(further.out).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split('.')[0] for name in changed} == {'own'}
    layers = {name.split('.')[1] for name in changed}
    assert layers == {'to_columns', 'context', 'box'}
    # Another run can start from the exported file.
    start = read_start_weights(path)
    assert start.shape == shape
    assert torch.equal(start.weights['own.box.3.bias'], after['own.box.3.bias'])


@pytest.mark.slow
def test_last_layers_trained_in_one_or_two_calls_get_the_same_weights(folders, finished):
    first, _ = finished
    ends = []
    for out, calls in (('at once', 1), ('in two calls', 2)):
        run = run_in(folders, out, 18, start_from=str(first.out), only='presence')
        for _ in range(calls):
            train, val = (run.store(folder, None) for folder in (run.train, run.val))
            val.refresh()
            # An epoch is 9 steps; the first of two calls has no time for a second one.
            state = fit(train, val, run.out, run.plan, SMALL, 1e9 if calls == 1 else 1e-3)
        ends.append(state)
    assert [state.step for state in ends] == [18, 18]
    for one, other in zip(*(state.averaged.parameters() for state in ends), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_nan_loss_stops_the_run_and_writes_nothing(folders):
    wild = run_in(folders, 'wild', 9, learning_rate=1e30)
    train, val = (wild.store(folder, None) for folder in (wild.train, wild.val))
    val.refresh()
    with pytest.raises(AvdetError, match='epoch 1: expected a finite loss, found nan; nothing'):
        fit(train, val, wild.out, wild.plan, SMALL)
    assert not (wild.out / LAST).exists()
    tame = fit(train, val, wild.out, replace(wild.plan, learning_rate=1e-3), SMALL)
    assert tame.epoch == 1


def test_validation_windows_without_vehicles_are_rejected(folders, tmp_path):
    path = write_shard(tmp_path / 'val', 100_000, windows=12)
    with np.load(path) as shard:
        arrays = dict(shard) | {'count': np.zeros(12, np.int64)}
    with path.open('wb') as file:
        np.savez(file, **arrays)
    run = replace(run_in(folders, 'blind'), val=tmp_path / 'val')
    with pytest.raises(AvdetError, match='val: expected vehicles in validation windows, found no'):
        train_any_array(run)


def test_too_few_training_windows_are_rejected(folders, tmp_path):
    (tmp_path / 'none').mkdir()
    run = replace(run_in(folders, 'empty'), train=tmp_path / 'none')
    with pytest.raises(AvdetError, match='expected at least 16 windows for a batch, found 0'):
        train_any_array(run)


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        (['--doubts'], '--doubts: expected --start-from'),
        (['--hold', '1'], '--hold: expected --start-from'),
        (['--only', 'boxes'], '--only: expected --start-from'),
        (['--only', 'ears'], "--only: expected boxes or presence, found 'ears'"),
        (['--scores-of', 'models/octagon.onnx'], 'expected a curve of scores, found no calib'),
    ],
)
def test_invalid_training_options_are_rejected(tmp_path, options, error):
    words = ['train', 'any-array', tmp_path, tmp_path, '--out', tmp_path / 'run', *options]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(done.exception, AvdetError)
    assert error in str(done.exception)
