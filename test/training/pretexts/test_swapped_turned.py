from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from avdet_ros.training.boxes.columns import COLUMNS
from avdet_ros.training.pretexts.swapped import TURNS, Turned, changes, turned


def test_turns_are_evenly_spaced_around_the_image():
    gaps = {(after - before) % COLUMNS for before, after in pairwise((*TURNS, TURNS[0]))}
    assert gaps == {COLUMNS // len(TURNS)}
    seen = torch.zeros(1, COLUMNS)
    seen[0, 46] = 1
    assert turned(seen)[0].argmax(dim=1).tolist() == [(46 + turn) % COLUMNS for turn in TURNS]


def test_turned_logits_need_both_sound_and_boxes(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(Turned, windows, windows)
    seen = torch.rand(4, COLUMNS)
    same = torch.randn(1, task.student.channels, 4, 24).expand(4, -1, -1, -1)
    assert task.logits(same, seen).abs().max() < 1e-5, 'all windows have the same sound'
    encoded = torch.randn(4, task.student.channels, 4, 24)
    logits = task.logits(encoded, torch.ones(4, COLUMNS))
    assert torch.allclose(logits, logits[:, :1].expand_as(logits), atol=1e-5), (
        'all columns have boxes'
    )
    moved = task.logits(encoded, seen.roll(6, dims=1))
    assert torch.allclose(moved.roll(-1, dims=1), task.logits(encoded, seen), atol=1e-5)


def test_only_windows_whose_boxes_change_are_usable(make_windows, make_pretext):
    seen = torch.zeros(3, COLUMNS)
    seen[0, 3:6], seen[1] = 1, 1
    assert changes(seen).tolist() == [3, 0, 0]
    windows = make_windows(16, 0)
    values = make_pretext(Turned, windows, windows).eval().measure(windows.batch(range(16)))
    assert values['usable'] == pytest.approx(12 / 16), 'every fourth window has no box'
    assert values['right'] <= values['usable']


def test_turned_pretext_disables_mirror_augmentation(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(Turned, windows, windows)
    assert task.recipe.augmentation.mirror
    assert not task.augmentation.mirror


@pytest.mark.slow
def test_turned_pretext_learns_when_sound_comes_from_the_boxes(train_pretext):
    task, values = train_pretext(Turned, 40)
    assert values['right'] / values['usable'] > 0.6
    assert task.describe(values).startswith('turned: ')
