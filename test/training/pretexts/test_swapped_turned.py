from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from avdet_ros.training.boxes.columns import COLUMNS
from avdet_ros.training.pretexts.swapped import TURNS, Turned, changes, turned


def test_turns_lie_evenly_round_the_image():
    gaps = {(after - before) % COLUMNS for before, after in pairwise((*TURNS, TURNS[0]))}
    assert gaps == {COLUMNS // len(TURNS)}
    seen = torch.zeros(1, COLUMNS)
    seen[0, 46] = 1
    assert turned(seen)[0].argmax(dim=1).tolist() == [(46 + turn) % COLUMNS for turn in TURNS]


def test_neither_sound_nor_boxes_alone_carry_the_label(of_drives, make_pretext):
    windows = of_drives(16, 0)
    task = make_pretext(Turned, windows, windows)
    seen = torch.rand(4, COLUMNS)
    same = torch.randn(1, task.student.channels, 4, 24).expand(4, -1, -1, -1)
    assert task.logits(same, seen).abs().max() < 1e-5, 'what is heard in every window alike'
    encoded = torch.randn(4, task.student.channels, 4, 24)
    logits = task.logits(encoded, torch.ones(4, COLUMNS))
    assert torch.allclose(logits, logits[:, :1].expand_as(logits), atol=1e-5), 'boxes everywhere'
    moved = task.logits(encoded, seen.roll(6, dims=1))
    assert torch.allclose(moved.roll(-1, dims=1), task.logits(encoded, seen), atol=1e-5)


def test_only_windows_whose_boxes_turn_are_judged(of_drives, make_pretext):
    seen = torch.zeros(3, COLUMNS)
    seen[0, 3:6], seen[1] = 1, 1
    assert changes(seen).tolist() == [3, 0, 0]
    windows = of_drives(16, 0)
    values = make_pretext(Turned, windows, windows).eval().measure(windows.batch(range(16)))
    assert values['usable'] == pytest.approx(12 / 16), 'every fourth window has no box'
    assert values['right'] <= values['usable']


def test_mirroring_is_no_augmentation_here(of_drives, make_pretext):
    windows = of_drives(16, 0)
    task = make_pretext(Turned, windows, windows)
    assert task.recipe.augmentation.mirror
    assert not task.augmentation.mirror


@pytest.mark.slow
def test_it_is_learned_where_sound_comes_from_the_boxes(learned):
    task, values = learned(Turned, 40)
    assert values['right'] / values['usable'] > 0.6
    assert task.describe(values).startswith('turned: ')
