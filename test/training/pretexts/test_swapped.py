from __future__ import annotations

import math

import pytest
import torch

from avdet_ros.training.pretexts.swapped import Swapped, asymmetry, judged


def test_neither_sound_nor_boxes_alone_carry_the_label(of_drives, make_pretext):
    windows = of_drives(16, 0)
    task = make_pretext(Swapped, windows, windows)
    encoded = torch.randn(4, task.student.channels, 4, 24)
    seen = torch.rand(4, 48)
    logit = task.logits(encoded, seen)
    assert torch.allclose(task.logits(encoded, seen.flip(1)), -logit, atol=1e-5)
    assert task.logits(encoded, seen + seen.flip(1)).abs().max() < 1e-5
    even = torch.ones(4, task.student.channels, 4, 24)
    assert task.logits(even, seen).abs().max() < 1e-5, 'sound from everywhere'


def test_both_labels_and_both_ways_of_making_them_occur(of_drives, make_pretext, monkeypatch):
    windows = of_drives(64, 0)
    task = make_pretext(Swapped, windows, windows).eval()
    labels = []
    monkeypatch.setattr(
        'avdet_ros.training.pretexts.swapped.judged',
        lambda logit, label, usable: labels.append(label) or {'loss': logit.mean()},
    )
    task.measure(windows.batch(range(64)))
    assert 0.3 < float(labels[0].mean()) < 0.7


def test_only_windows_that_are_not_symmetric_are_judged():
    logit = torch.tensor([0.0, 2.0, 9.0])
    terms = judged(logit, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([True, True, False]))
    assert terms['loss'] == pytest.approx((math.log(2) + math.log1p(math.exp(2))) / 2)
    assert terms['usable'] == pytest.approx(2 / 3)
    assert terms['right'] == 0
    nothing = judged(logit, torch.zeros(3), torch.zeros(3, dtype=torch.bool))
    assert nothing['loss'] == 0


def test_asymmetry_counts_columns():
    seen = torch.zeros(2, 48)
    seen[0, 3:6] = 1
    seen[1, 3], seen[1, 44] = 1, 1
    assert asymmetry(seen).tolist() == [3, 0]


def test_mirroring_is_no_augmentation_here(of_drives, make_pretext):
    windows = of_drives(16, 0)
    task = make_pretext(Swapped, windows, windows)
    assert task.recipe.augmentation.mirror
    assert not task.augmentation.mirror


@pytest.mark.slow
def test_it_is_learned_where_sound_comes_from_the_boxes(learned):
    _, values = learned(Swapped, 60)
    assert values['right'] / values['usable'] > 0.85
