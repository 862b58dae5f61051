from __future__ import annotations

from contextlib import contextmanager
import math
import resource

from lightning.pytorch import LightningModule
import pytest
import torch
from torch.utils.data import DataLoader

from avdet_ros.errors import AvdetError
from avdet_ros.training.fitting.fit import load_best, run_fit, translate_errors, validation_values


class Task(LightningModule):
    """A training task with a checkpoint of 800 kB."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
        self.weights = torch.nn.Parameter(torch.rand(200_000))

    def training_step(self, batch, index):
        return self.layer(batch).square().mean() + self.weights.square().mean()

    def validation_step(self, batch, index):
        self.log('val/loss', self.layer(batch).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@contextmanager
def file_size_limit(size: int):
    """Limit the size of files: writing beyond it fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_raises_a_clear_error_and_keeps_the_last_checkpoint(tmp_path):
    def run(epochs: int) -> None:
        loader = DataLoader(torch.rand(8, 4), 4)
        run_fit(
            Task(),
            loader,
            loader,
            tmp_path,
            epochs=epochs,
            seed=0,
            watch='val/loss',
            largest=False,
        )

    run(1)
    last = tmp_path / 'checkpoints' / 'last.ckpt'
    good = last.read_bytes()
    with file_size_limit(300_000), pytest.raises(AvdetError, match='the disk is full: make room'):
        run(3)
    assert last.read_bytes() == good
    run(3)
    assert torch.load(last, weights_only=True)['epoch'] == 2


def test_unusable_checkpoints_are_rejected_with_the_reason(tmp_path):
    (tmp_path / 'best.ckpt').write_bytes(b'PK damaged')
    with pytest.raises(AvdetError, match=r'best\.ckpt: expected a checkpoint'):
        load_best(torch.nn.Linear(2, 2), tmp_path / 'best.ckpt', 'layer.')
    with pytest.raises(AvdetError, match=r'cannot read .*nowhere\.ckpt'):
        load_best(torch.nn.Linear(2, 2), tmp_path / 'nowhere.ckpt', 'layer.')
    torch.save({'state_dict': {'layer.weight': torch.zeros(3, 2)}}, tmp_path / 'other.ckpt')
    with pytest.raises(AvdetError, match=r'expected the weights of a Linear, found others'):
        load_best(torch.nn.Linear(2, 2), tmp_path / 'other.ckpt', 'layer.')


def test_translate_errors_does_not_hide_other_errors(tmp_path):
    with pytest.raises(RuntimeError, match='a bug'), translate_errors(tmp_path):
        raise RuntimeError('a bug')
    nowhere = tmp_path / 'nowhere' / 'at all'
    with pytest.raises(AvdetError, match='cannot read or write'), translate_errors(tmp_path):
        nowhere.write_text('')


def test_validation_without_vehicles_still_ranks_epochs_by_loss():
    nothing = [math.nan] * 3
    first, second = (validation_values(nothing, [loss, loss]) for loss in (3.0, 2.0))
    assert first['map'] == second['map50'] == 0
    assert second['score'] > first['score']
    assert validation_values([0.01, 0.1, 0.0], [9.0])['score'] > second['score']
