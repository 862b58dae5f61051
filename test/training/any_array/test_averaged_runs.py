"""The mean of runs that began alike."""

from __future__ import annotations

from dataclasses import replace
import json

from helpers.array_windows import write_shard
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.any_array.averaged_runs import average_runs, mean_of
from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.fitting.best_epoch import read_best
from avdet_ros.training.any_array.fitting.fit import fit
from avdet_ros.training.any_array.fitting.fit_state import FitPlan
from avdet_ros.training.any_array.fitting.run_file import BEST
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.run import AnyArrayRun

SMALL = BearingShape(width=12, deep=32, steps=4)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Two runs of a step from the same weights, and windows to score them with."""
    root = tmp_path_factory.mktemp('runs')
    write_shard(root / 'train', 0)
    write_shard(root / 'val', 100_000, windows=16)
    plan = FitPlan(steps=1, batch=8, epoch_windows=8, learning_rate=4e-3, average=0.0)
    first = AnyArrayRun(root / 'train', root / 'val', root / 'first', plan, SMALL)
    train, val = (first.store(folder, None) for folder in (first.train, first.val))
    val.refresh()
    fit(train, val, first.out, plan, SMALL)
    for seed in (1, 2):
        again = replace(plan, seed=seed, start_from=str(root / 'first'), learning_rate=1e-4)
        fit(train, val, root / f'seed{seed}', again, SMALL)
    return root, first


def test_weights_and_statistics_are_the_means_and_counts_the_firsts(runs):
    root, _ = runs
    parts = [read_best(root / name) for name in ('seed1', 'seed2')]
    parts[1].start.weights['norms.0.num_batches_tracked'] += 5
    mean = mean_of(parts)
    ours, theirs = (part.start.weights for part in parts)
    for name in ('shorten.0.weight', 'norms.0.running_var', 'presence.1.bias'):
        assert not torch.equal(ours[name], theirs[name])
        torch.testing.assert_close(mean.weights[name], (ours[name] + theirs[name]) / 2)
    count = 'norms.0.num_batches_tracked'
    assert mean.weights[count] == ours[count] != theirs[count]
    assert mean.ranges == parts[0].start.ranges


def test_the_mean_is_a_run_and_a_model_file_that_names_its_parts(runs):
    root, run = runs
    path = average_runs([root / 'seed1', root / 'seed2'], replace(run, out=root / 'mean'))
    assert path == root / 'mean' / 'student.onnx'
    saved = json.loads((root / 'mean' / 'scores.json').read_text())
    assert saved['plan']['averaged'] == ['seed1', 'seed2']
    assert saved['plan']['start_from'] == 'first'
    assert saved['data'] == '48 windows of each of seed1, seed2, labels at the centre'
    of_file, of_run = read_start_weights(path), read_start_weights(root / 'mean')
    torch.testing.assert_close(of_file.weights['box.3.bias'], of_run.weights['box.3.bias'])


def test_one_run_others_labels_and_other_beginnings_are_refused(runs, tmp_path, monkeypatch):
    root, run = runs
    run = replace(run, out=tmp_path / 'mean')
    with pytest.raises(AvdetError, match='expected at least two to average, found 1'):
        average_runs([root / 'seed1'], run)
    saved = torch.load(root / 'seed2' / BEST, weights_only=True)
    (tmp_path / 'end').mkdir()
    torch.save({**saved, 'labels_at': 'end'}, tmp_path / 'end' / BEST)
    with pytest.raises(AvdetError, match=r'expected labels at the centre .* found end'):
        average_runs([root / 'seed1', tmp_path / 'end'], run)
    module = 'avdet_ros.training.any_array.averaged_runs.validation_score'
    scores = iter([0.4, 0.5, 0.39])
    monkeypatch.setattr(module, lambda row: next(scores))
    with pytest.raises(AvdetError, match=r'began with the same weights, found .* 0\.390 .* 0\.4'):
        average_runs([root / 'seed1', root / 'seed2'], run)
    assert not run.out.exists()
