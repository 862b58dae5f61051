from __future__ import annotations

import csv
from dataclasses import replace
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.fitting.fit import load_best
from avdet_ros.training.networks.base import make_student
from avdet_ros.training.networks.calibrated import predict
from avdet_ros.training.networks.image_grid import ImageGridNet
from avdet_ros.training.networks.steered import Steered, SteeredResponseNet
from avdet_ros.training.recipes.parts import (
    Augmentation,
    FitRecipe,
    NetworkRecipe,
    TeachersRecipe,
    TransferRecipe,
)
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.results.scores import average_precisions, constant_metrics
from avdet_ros.training.run.task import fit_student

AREA = picture_area((128, 256), 1920, 650, crop=False)
NO_AUGMENTATION = Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)


def recipe(transfer: TransferRecipe | None = None, **fitting) -> StudentRecipe:
    fitting = {'epochs': 2, 'batch': 16, 'average': 0.0, **fitting}
    return StudentRecipe(
        labels='teachers',
        teachers=TeachersRecipe(modalities=('rgb', 'thermal')),
        transfer=transfer or TransferRecipe(loss='mta'),
        fit=FitRecipe(**fitting),
        augmentation=NO_AUGMENTATION,
    )


def small_student() -> Steered:
    torch.manual_seed(0)
    network = SteeredResponseNet(
        load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
    )
    return Steered(network, AREA)


def rows(folder) -> list[dict[str, str]]:
    (log,) = (folder / 'log').glob('version_*/metrics.csv')
    return list(csv.DictReader(log.open()))


@pytest.mark.slow
@pytest.mark.parametrize('loss', ['none', 'mta'])
def test_student_learns_to_locate_vehicles(taught, tmp_path, loss):
    train, val = taught(128, 0), taught(64, 1)
    fitting = {'epochs': 12, 'batch': 8, 'learning_rate': 5e-3, 'average': 0.9}
    how = recipe(TransferRecipe(loss=loss), **fitting)
    how = replace(how, augmentation=Augmentation())
    student = small_student()
    fit_student(student, how, train, val, tmp_path, find_mirror(load_rig()))
    _, at_50, _ = average_precisions(predict(student, val), val)
    assert at_50 > 0.8
    assert constant_metrics(train, val).map50 < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    'transfer',
    [
        TransferRecipe(loss='mta', mta='corrected'),
        TransferRecipe(loss='mta', mta='as_printed', combine='average'),
        TransferRecipe(loss='mta', mta='as_released', levels=2),
        TransferRecipe(loss='ranking'),
        TransferRecipe(loss='pairwise'),
        TransferRecipe(loss='afd'),
        TransferRecipe(loss='none'),
    ],
    ids=lambda how: f'{how.loss}-{how.mta}-{how.combine}',
)
def test_every_transfer_loss_is_fitted_and_its_gradient_logged(taught, tmp_path, transfer):
    student = small_student()
    how = recipe(transfer, epochs=1)
    fit_student(student, how, taught(32, 0), taught(16, 1), tmp_path, None)
    logged = {key for row in rows(tmp_path) for key, value in row.items() if value}
    assert {'gradient/focal', 'gradient/huber', 'gradient/giou', 'val/map', 'val/loss'} <= logged
    assert ('gradient/transfer' in logged) == (transfer.loss != 'none')
    assert list((tmp_path / 'log').glob('events.out.tfevents*'))


@pytest.mark.slow
def test_released_mta_loss_has_almost_no_gradient(taught, tmp_path):
    """The version of the equation in the authors' released code has almost no effect."""
    norms = {}
    for name in ('corrected', 'as_released'):
        folder = tmp_path / name
        how = recipe(TransferRecipe(loss='mta', mta=name), epochs=1)
        fit_student(small_student(), how, taught(32, 0), taught(16, 1), folder, None)
        norms[name] = max(float(row.get('gradient/transfer') or 0) for row in rows(folder))
    assert norms['as_released'] < 0.02 * norms['corrected']


@pytest.mark.slow
def test_resumed_run_ends_with_the_weights_of_an_uninterrupted_run(taught, tmp_path):
    from lightning.pytorch.callbacks import Callback

    from avdet_ros.training.run import task

    train, val = taught(64, 0), taught(32, 1)
    how = replace(
        recipe(epochs=3, average=0.9),
        augmentation=Augmentation(mix=0.3, mask_frames=0.2, drop_channel=0.2),
    )

    class Kill(Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            if trainer.current_epoch == 1 and index == 2:
                raise KeyboardInterrupt

    def weights(folder, kill: bool):
        real = task.run_fit

        def run(*arguments, **options):
            options['callbacks'] = [*options['callbacks'], *([Kill()] if kill else [])]
            return real(*arguments, **options)

        task.run_fit = run
        try:
            mirror = find_mirror(load_rig())
            fit_student(small_student(), how, train, val, folder, mirror)
        finally:
            task.run_fit = real
        found = torch.load(folder / 'checkpoints' / 'last.ckpt', weights_only=True)
        return found['state_dict'], found['epoch']

    # Lightning handles the interrupt by a graceful shutdown and then exits the process.
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        weights(tmp_path / 'broken', kill=True)
    resumed, epoch = weights(tmp_path / 'broken', kill=False)
    assert epoch == 2
    whole, _ = weights(tmp_path / 'whole', kill=False)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name, rtol=0, atol=0)


def test_non_finite_loss_stops_training_and_names_the_windows(taught, tmp_path):
    train, val = taught(64, 0), taught(32, 1)
    fit_student(small_student(), recipe(epochs=1), train, val, tmp_path, None)
    good = (tmp_path / 'checkpoints' / 'best.ckpt').read_bytes()
    train.spectrogram[40] = np.full_like(train.spectrogram[40], np.nan)
    with pytest.raises(
        AvdetError, match=r'epoch 1, batch \d \(window \d+, .*expected a finite loss'
    ):
        fit_student(small_student(), recipe(epochs=2), train, val, tmp_path, None)
    assert (tmp_path / 'checkpoints' / 'best.ckpt').read_bytes() == good


def test_checkpoint_of_another_student_is_rejected(taught, tmp_path):
    train, val = taught(32, 0), taught(16, 1)
    fit_student(small_student(), recipe(epochs=1), train, val, tmp_path, None)
    other = make_student(
        StudentRecipe(student=NetworkRecipe('image_grid')), load_rig(), AREA, (128, 256)
    )
    with pytest.raises(AvdetError, match=r'last\.ckpt: expected the weights of this recipe'):
        fit_student(other, recipe(epochs=2), train, val, tmp_path, None)
    best = tmp_path / 'checkpoints' / 'best.ckpt'
    with pytest.raises(AvdetError, match='expected the weights of a ImageGridNet, found others'):
        load_best(ImageGridNet(load_rig(), FrontEnd()), best, 'student.student.')
    with pytest.raises(AvdetError, match=r'cannot read .*nowhere'):
        load_best(small_student(), tmp_path / 'nowhere', 'student.')


@pytest.mark.slow
def test_last_epoch_is_kept_even_if_not_the_best(taught, tmp_path):
    train, val = taught(32, 0), taught(16, 1)
    how = recipe(epochs=4, learning_rate=1.0)
    fit_student(small_student(), how, train, val, tmp_path, None)
    found = {
        name: torch.load(tmp_path / 'checkpoints' / f'{name}.ckpt', weights_only=True)['epoch']
        for name in ('best', 'last')
    }
    assert found['last'] == 3
    assert found['best'] < 3


FIT_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {folder!r})
from shared_data import student, windows
from avdet_ros.training.fitting.distributed import process_group
from avdet_ros.training.recipes.parts import *
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.task import fit_student

how = StudentRecipe(
    labels='teachers',
    teachers=TeachersRecipe(modalities=('rgb', 'thermal')),
    transfer=TransferRecipe(loss='mta', weight=1.0),
    fit=FitRecipe(epochs=2, batch=8, average=0.0, learning_rate=1e-3),
    augmentation=Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0),
)
out, train, val = Path({out!r}), windows(32, 0), windows(16, 1)
with process_group():
    fit_student(student(), how, train, val, out / 'mta', None)
    alone = replace(how, transfer=TransferRecipe())
    fit_student(student(), alone, train, val, out / 'none', None)
"""

SHARED_MODULE = """
import numpy as np, torch
from torch import nn
from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.steered import Steered, SteeredResponseNet


def with_group_norm(module):
    # On CPUs each process has its own batch statistics, so group norm replaces batch norm.
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(module, name, nn.GroupNorm(1, child.num_features))
        else:
            with_group_norm(child)
    return module


def student():
    torch.manual_seed(0)
    network = SteeredResponseNet(
        load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
    )
    return Steered(with_group_norm(network), picture_area((128, 256), 1920, 650, False))


def windows(count, seed):
    rng = np.random.default_rng(seed)
    sizes = np.array([[16, 32], [8, 16], [4, 8]])
    boxes = []
    for index in range(count):
        many = int(rng.integers(0, 4))
        corner = rng.random((many, 2)) * 0.7
        boxes.append(np.hstack([corner, corner + 0.05 + 0.2 * rng.random((many, 2))]).astype('f4'))
    sound = rng.normal(size=(count, 32, 80, 44))
    sound[:, :8] = 10 * sound[:, :8] - 50
    sound[:, 8:] *= 0.2
    maps = list(rng.random((count, 2, int(sizes.prod(axis=1).sum()))).astype('f2'))
    names = [f'window {index}' for index in range(count)]
    return WindowDataset(
        names, list(sound.astype('f2')), boxes, attention=maps, level_sizes=sizes
    )
"""


@pytest.mark.slow
def test_two_processes_reach_the_same_weights_as_one(tmp_path, monkeypatch):
    """DDP over gloo: the same batches, split, give the same weights within rounding."""
    (tmp_path / 'shared_data.py').write_text(SHARED_MODULE)
    monkeypatch.setattr(sys, 'path', sys.path[:])  # the script modifies it
    states = {'mta': [], 'none': []}
    for count in (1, 2):
        out, script = tmp_path / f'run_{count}', tmp_path / f'fit_{count}.py'
        script.write_text(FIT_SCRIPT.format(folder=str(tmp_path), out=str(out)))
        if count == 1:
            runpy.run_path(str(script))
        else:
            launch = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={count}']
            done = subprocess.run(
                [sys.executable, *launch, str(script)],
                env={**os.environ, 'OMP_NUM_THREADS': '1'},
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
        for kind, weights in states.items():
            last = out / kind / 'checkpoints' / 'last.ckpt'
            found = torch.load(last, weights_only=True)
            assert found['global_step'] == 2 * 32 // 8
            weights.append(found['state_dict'])
    names = [f'student.{name}' for name in initial_weights(tmp_path)]
    fresh = torch.cat([item.flatten() for item in initial_weights(tmp_path).values()])
    for kind, weights in states.items():
        one, two = (torch.cat([state[name].flatten() for name in names]) for state in weights)
        # Adam takes full steps even on rounding errors, so the weights agree only in norm.
        assert (one - two).norm() < 0.01 * (one - fresh).norm(), kind
        assert (one - two).abs().max() < 0.05 * (one - fresh).abs().max(), kind


def initial_weights(folder) -> dict[str, torch.Tensor]:
    """Return the initial weights of both runs."""
    import importlib.util

    spec = importlib.util.spec_from_file_location('shared_data', folder / 'shared_data.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: item.detach() for name, item in module.student().named_parameters()}
