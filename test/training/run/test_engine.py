from __future__ import annotations

import csv
import dataclasses
import itertools

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import find_mirror
from avdet_ros.training.data.window_set import batches
from avdet_ros.training.networks.compact import ImageGrid, Steered
from avdet_ros.training.recipes.read import Augmentation, FitRecipe, StudentRecipe
from avdet_ros.training.run.engine import fit, load_best, predict
from avdet_ros.training.run.scores import average_precisions, constant_metrics, metrics

QUIET = Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)


def recipe(**fitting) -> StudentRecipe:
    fitting = {'epochs': 2, 'batch': 16, 'average': 0.9, **fitting}
    return StudentRecipe(fit=FitRecipe(**fitting), augmentation=QUIET)


def small() -> Steered:
    torch.manual_seed(0)
    return Steered(
        load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
    )


def test_a_student_learns_to_hear_where_things_are(heard_boxes, tmp_path):
    train, val = heard_boxes(256, 0), heard_boxes(64, 1)
    how = dataclasses.replace(recipe(epochs=12, learning_rate=5e-3), augmentation=Augmentation())
    student = fit(small(), how, train, val, tmp_path, find_mirror(load_rig()), progress=False)
    _, at_50, _ = average_precisions(predict(student, val), val)
    assert at_50 > 0.8
    assert constant_metrics(train, val).map50 < 0.5


def test_a_killed_run_goes_on_and_ends_where_an_unbroken_one_ends(heard_boxes, tmp_path):
    train, val = heard_boxes(64, 0), heard_boxes(32, 1)

    def weights(folder, epochs, total):
        from lightning.pytorch.callbacks import Callback

        class Kill(Callback):
            def on_train_epoch_end(self, trainer, module):
                if trainer.current_epoch + 1 == epochs < total:
                    trainer.should_stop = True

        fit(small(), recipe(epochs=total), train, val, folder, None, False, [Kill()])
        found = torch.load(folder / 'checkpoints' / 'last.ckpt', weights_only=True)
        return found['state_dict'], found['epoch']

    _, stopped = weights(tmp_path / 'broken', 1, 3)
    assert stopped == 0
    resumed, epoch = weights(tmp_path / 'broken', 3, 3)
    assert epoch == 2
    whole, _ = weights(tmp_path / 'whole', 3, 3)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name, rtol=0, atol=0)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(heard_boxes, tmp_path):
    train, val = heard_boxes(64, 0), heard_boxes(32, 1)
    fit(small(), recipe(epochs=1), train, val, tmp_path, None, progress=False)
    train.features[40, 10, 3, 5] = np.nan
    with pytest.raises(
        AvdetError, match=r'epoch 1, batch \d \(training windows \d+ to \d+\): expected'
    ):
        fit(small(), recipe(epochs=2), train, val, tmp_path, None, progress=False)
    assert all(
        torch.isfinite(value).all() for value in load_best(small(), tmp_path).state_dict().values()
    )


def test_what_is_logged(heard_boxes, tmp_path):
    fit(small(), recipe(), heard_boxes(64, 0), heard_boxes(32, 1), tmp_path, None, progress=False)
    (log,) = (tmp_path / 'log').glob('version_*/metrics.csv')
    rows = list(csv.DictReader(log.open()))
    assert {'train/focal', 'train/giou', 'train/huber', 'train/loss', 'val/map'} <= set(rows[0])
    assert list((tmp_path / 'log').glob('events.out.tfevents*'))


def test_a_checkpoint_of_another_network_is_refused(heard_boxes, tmp_path):
    fit(small(), recipe(), heard_boxes(32, 0), heard_boxes(32, 1), tmp_path, None, progress=False)
    with pytest.raises(AvdetError, match='expected the weights of a ImageGrid, found others'):
        load_best(ImageGrid(load_rig(), FrontEnd()), tmp_path)
    with pytest.raises(AvdetError, match='cannot read the checkpoint'):
        load_best(small(), tmp_path / 'nowhere')


def test_batches_are_the_same_for_a_seed_and_other_in_the_next_epoch(heard_boxes):
    windows = heard_boxes(32, 0)

    def order(epoch):
        loader = batches(windows, 8, shuffle_seed=3)
        loader.sampler.set_epoch(epoch)
        return [batch.indices for batch in loader]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert sorted(itertools.chain(*order(0))) == list(range(32))
    plain = list(batches(windows, 5))
    assert [len(batch.boxes) for batch in plain] == [5] * 6 + [2]
    assert plain[1].indices == [5, 6, 7, 8, 9]


def test_metrics_of_the_truth_are_perfect(heard_boxes):
    windows = heard_boxes(32, 0)
    found = [(boxes, np.full(len(boxes), 0.9)) for boxes in windows.boxes]
    result = metrics(found, windows)
    assert result.map == pytest.approx(1)
    assert result.cdx == pytest.approx(0, abs=1e-6)
