from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.pretexts.synchronisation import (
    Synchronisation,
    contrast,
    draw_negatives,
    movements,
)


def test_contrast_loss_matches_hand_calculation():
    near, far = torch.tensor([0.5, 1.0]), torch.tensor([0.49, 2.0])
    known = torch.tensor([True, True])
    assert contrast(near, far, known) == pytest.approx((0.25 + 0.25 + 1.0 + 0.0) / 4)
    assert contrast(near, far, torch.tensor([False, True])) == pytest.approx(0.5)


def test_movements_use_only_close_neighbours_of_the_same_drive(make_windows):
    windows = make_windows(16, 0)
    known, moved = movements(windows)
    assert known.tolist() == ([False] + [True] * 6 + [False]) * 2
    assert moved.shape == (16, 3, 48)
    assert moved[~known].sum() == 0
    slow = replace(windows, times_s=[3 * time for time in windows.times_s])
    assert not movements(slow)[0].any()
    shuffled = [5, 2, 9, 0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15]
    again, moves = movements(windows.select(shuffled))
    assert again[0]
    assert (moves[0] == moved[5]).all(), 'neighbours are found by time, not by position'


def test_hard_negatives_are_two_seconds_apart_in_the_same_drive(make_windows):
    batch = make_windows(16, 0).batch([1, 2, 3, 5, 9, 10])
    known = torch.ones(6, dtype=torch.bool)
    chance = torch.Generator().manual_seed(0)
    drives = torch.tensor([0, 0, 0, 0, 1, 1])
    for _ in range(20):
        easy = draw_negatives(batch, known, 0.0, chance)
        assert (drives[easy] != drives).all()
        hard = draw_negatives(batch, known, 1.0, chance)
        assert set(hard[:1].tolist()) <= {2, 3}
        assert hard[1] == 3
        assert hard[4] < 4, 'no candidate in its drive: falls back to another drive'


def test_single_drive_draws_only_hard_negatives_or_none(make_windows):
    batch = make_windows(8, 0).batch([1, 2, 3])
    drawn = draw_negatives(batch, torch.ones(3, dtype=torch.bool), 0.0, torch.Generator())
    assert drawn.tolist() == [2, -1, 0]


def test_windows_without_close_neighbours_in_time_are_rejected(make_windows, make_pretext):
    windows = make_windows(16, 0)
    rare = replace(windows, times_s=[3 * time for time in windows.times_s])
    for bad in (rare, replace(windows, drives=(), times_s=())):
        with pytest.raises(AvdetError, match=r'expected training windows at most 1\.25 s apart'):
            make_pretext(Synchronisation, bad, windows)


def test_hard_negatives_start_in_the_second_half_of_training(
    make_windows, make_pretext, monkeypatch
):
    windows = make_windows(16, 0)
    task = make_pretext(Synchronisation, windows, windows).train()
    shares = []
    for epoch in range(4):
        monkeypatch.setattr(type(task), 'current_epoch', epoch)
        shares.append(task._hard_share())
    assert shares == [0, 0, 0.25, 0.25]
    assert task.eval()._hard_share() == 1
