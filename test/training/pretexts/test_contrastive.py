from __future__ import annotations

import math

import pytest
import torch

from avdet_ros.training.pretexts.contrastive import Contrastive, agreement, info_nce, view


def test_info_nce_matches_hand_calculation():
    similarity = torch.tensor([[2.0, 1.0, 5.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    allowed = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=torch.bool)
    each = [math.log1p(math.exp(-1)), math.log(3), 0.0]
    assert info_nce(similarity, allowed) == pytest.approx(sum(each) / 3)
    weighted = info_nce(similarity, allowed, torch.tensor([1.0, 3.0, 0.0]))
    assert weighted == pytest.approx((each[0] + 3 * each[1]) / 4)


def test_disallowed_negatives_get_no_gradient():
    similarity = torch.rand(4, 4, requires_grad=True)
    allowed = torch.ones(4, 4, dtype=torch.bool).triu(1)
    info_nce(similarity, allowed).backward()
    assert similarity.grad.tril(-1).abs().max() == 0
    assert similarity.grad.triu(1)[0, 1:].min() > 0
    assert torch.isfinite(similarity.grad).all()


def test_agreement_reports_collapse():
    same = torch.nn.functional.normalize(torch.ones(8, 16), dim=1)
    others = ~torch.eye(8, dtype=torch.bool)
    collapsed = agreement(same, same, others, 0.1)
    assert collapsed['spread'] < 1e-3
    assert collapsed['found'] == 0
    assert collapsed['loss'] == pytest.approx(math.log(8), rel=1e-5)
    apart = agreement(torch.eye(8), torch.eye(8), others, 0.1)
    assert apart['spread'] > 0.9
    assert apart['found'] == 1


def test_view_keeps_directions_and_changes_all_microphones_alike():
    torch.manual_seed(0)
    features = torch.randn(1, 32, 80, 44)
    steady = features[..., :1].expand_as(features)
    seen = view(steady, torch.Generator().manual_seed(3))
    kept = seen[:, 8:].abs().sum(dim=(0, 1, 3)) > 0
    assert 0.8 < kept.float().mean() <= 1, 'some bands are hidden completely'
    assert torch.equal(seen[:, 8:, kept], steady[:, 8:, kept])
    louder = (seen - steady)[:, :8, kept]
    assert torch.allclose(louder, louder[:, :1].expand_as(louder), atol=1e-4), (
        'all microphones get the same gain'
    )
    assert not torch.equal(louder, torch.zeros_like(louder))


def test_view_sometimes_mixes_in_another_window():
    features = torch.zeros(64, 32, 8, 8)
    features[:, 8:] = torch.linspace(-0.9, 0.9, 64)[:, None, None, None]
    coherences = view(features, torch.Generator().manual_seed(3))[:, 8:]
    # Masked bands are 0, all others have the coherence of the window, unless it is mixed.
    strongest = coherences.flatten(1).gather(1, coherences.flatten(1).abs().argmax(1)[:, None])
    unmixed = ((strongest[:, 0] - features[:, 8, 0, 0]).abs() < 1e-5).float().mean()
    assert 0.25 < unmixed < 0.75


def test_contrastive_pretext_disables_gain_mix_and_channel_augmentation(
    make_windows, make_pretext
):
    windows = make_windows(16, 0)
    task = make_pretext(Contrastive, windows, windows)
    how = task.augmentation
    assert (how.channel_gain_db, how.drop_channel, how.mix, how.gain_db) == (0, 0, 0, 0)
    assert how.mirror, 'applied equally to both views'
