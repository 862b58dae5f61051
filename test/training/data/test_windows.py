from __future__ import annotations

from dataclasses import replace
import itertools

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.data.windows import loader


def with_drives(windows, each):
    """Return the same windows, with ``each`` per drive."""
    return replace(windows, drives=[f'drive {place // each}' for place in range(len(windows))])


def test_share_of_drives_keeps_the_epoch_length(located):
    windows = with_drives(located(20, 0), 2)
    assert windows.share_of_drives(1.0, 0) is windows
    tenth = windows.share_of_drives(0.1, 0)
    assert len(tenth) == 20
    assert len(set(tenth.drives)) == 1
    assert len(set(tenth.names)) == 2, 'both windows of the drive'
    assert {windows.share_of_drives(0.1, seed).drives[0] for seed in range(9)} > {tenth.drives[0]}
    assert windows.share_of_drives(0.001, 0).names == tenth.names, 'at least one drive'
    assert len(set(windows.share_of_drives(0.5, 3).drives)) == 5
    with pytest.raises(AvdetError, match=r'fit\.drives: expected windows that name their drives'):
        located(20, 0).share_of_drives(0.5, 0)


def test_grouped_loader_fills_half_a_batch_from_one_drive(located):
    windows = with_drives(located(32, 0), 8)
    batches = loader(windows, 8, shuffle_seed=3, group=4)
    orders = []
    for epoch in (0, 0, 1):
        batches.sampler.set_epoch(epoch)
        made = list(batches)
        orders.append([batch.indices for batch in made])
        assert sorted(itertools.chain(*orders[-1])) == list(range(32))
        for batch in made:
            assert len(set(batch.drives[:4])) == len(set(batch.drives[4:])) == 1
    assert orders[0] == orders[1] != orders[2]
    unknown = loader(replace(windows, drives=()), 8, 3, group=4)
    assert sorted(unknown.sampler) == list(range(32))


def test_batch_order_repeats_for_a_seed_and_changes_with_the_epoch(located):
    windows = located(32, 0)

    def order(epoch):
        batches = loader(windows, 8, shuffle_seed=3)
        batches.sampler.set_epoch(epoch)
        return [batch.indices for batch in batches]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert sorted(itertools.chain(*order(0))) == list(range(32))
    plain = list(loader(windows, 5))
    assert [len(batch.boxes) for batch in plain] == [5] * 6 + [2]
    assert plain[1].indices == [5, 6, 7, 8, 9]


def test_at_most_selects_windows_spread_evenly_over_the_set(taught):
    """The first windows of a set may all be of one drive, or of one kind of drive."""
    windows = taught(40, 0)
    part = windows.at_most(5)
    assert part.names == ['window 0', 'window 9', 'window 19', 'window 29', 'window 39']
    assert [len(box) for box in part.boxes] == [len(windows.boxes[i]) for i in (0, 9, 19, 29, 39)]
    np.testing.assert_array_equal(part.attention[1], windows.attention[9])
    assert windows.at_most(0) is windows
    assert windows.at_most(41) is windows


def test_fewer_windows_than_a_batch_make_one_batch(located):
    (batch,) = loader(located(3, 0), 8, shuffle_seed=0)
    assert len(batch) == 3


def test_batch_has_the_requested_attention_levels(taught):
    windows = taught(4, 0)
    batch = windows.batch([2, 0], levels=2)
    assert [tuple(level.shape) for level in batch.attention] == [(2, 2, 16, 32), (2, 2, 8, 16)]
    assert batch.embedding.shape == (2, 2, 12)
    assert batch.teacher_features.shape == (2, 2, 12, 4, 8)
    assert batch.described() == 'window 2, window 0'
    assert windows.batch(range(4)).described() == 'window 0, window 1, window 2 and 1 more'
    assert windows.batch([1]).spectrogram[0].numpy() == pytest.approx(windows.spectrogram[1])
