from __future__ import annotations

import math

import pytest
import torch

from avdet_ros.training.pretexts.swapped import Swapped, asymmetry, judged


def test_swapped_logit_needs_both_sound_and_boxes(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(Swapped, windows, windows)
    encoded = torch.randn(4, task.student.channels, 4, 24)
    seen = torch.rand(4, 48)
    logit = task.logits(encoded, seen)
    assert torch.allclose(task.logits(encoded, seen.flip(1)), -logit, atol=1e-5)
    assert task.logits(encoded, seen + seen.flip(1)).abs().max() < 1e-5
    even = torch.ones(4, task.student.channels, 4, 24)
    assert task.logits(even, seen).abs().max() < 1e-5, 'the sound is equal in all directions'


def test_both_swapped_labels_are_drawn_about_equally_often(
    make_windows, make_pretext, monkeypatch
):
    windows = make_windows(64, 0)
    task = make_pretext(Swapped, windows, windows).eval()
    labels = []
    monkeypatch.setattr(
        'avdet_ros.training.pretexts.swapped.judged',
        lambda logit, label, usable: labels.append(label) or {'loss': logit.mean()},
    )
    task.measure(windows.batch(range(64)))
    assert 0.3 < float(labels[0].mean()) < 0.7


def test_judged_counts_only_usable_windows():
    logit = torch.tensor([0.0, 2.0, 9.0])
    terms = judged(logit, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([True, True, False]))
    assert terms['loss'] == pytest.approx((math.log(2) + math.log1p(math.exp(2))) / 2)
    assert terms['usable'] == pytest.approx(2 / 3)
    assert terms['right'] == 0
    nothing = judged(logit, torch.zeros(3), torch.zeros(3, dtype=torch.bool))
    assert nothing['loss'] == 0


def test_asymmetry_counts_columns_that_differ_from_the_mirror():
    seen = torch.zeros(2, 48)
    seen[0, 3:6] = 1
    seen[1, 3], seen[1, 44] = 1, 1
    assert asymmetry(seen).tolist() == [3, 0]


def test_swapped_pretext_disables_mirror_augmentation(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(Swapped, windows, windows)
    assert task.recipe.augmentation.mirror
    assert not task.augmentation.mirror


@pytest.mark.slow
def test_swapped_pretext_learns_when_sound_comes_from_the_boxes(train_pretext):
    _, values = train_pretext(Swapped, 60)
    assert values['right'] / values['usable'] > 0.85
