from __future__ import annotations

import pytest
import torch

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.training.pretexts.masked_channels import (
    MaskedChannels,
    block_means,
    channels_of,
    draw_hidden,
    hide,
    rebuilding_terms,
)


def test_hidden_microphone_hides_all_its_pairs():
    dead = channels_of(torch.tensor([2]), 32)[0]
    pairs = [index for index, pair in enumerate(PAIRS) if 2 in pair]
    assert len(pairs) == 3
    expected = {2, *(8 + 2 * index + part for index in pairs for part in (0, 1))}
    assert set(torch.nonzero(dead).flatten().tolist()) == expected
    assert channels_of(torch.tensor([2]), 8).sum() == 1


def test_hide_removes_all_hidden_values():
    torch.manual_seed(0)
    features = torch.rand(8, 32, 80, 44)
    hidden = draw_hidden(features, torch.Generator().manual_seed(1))
    assert hidden.shape == (8, 32, 10, 11)
    changed = features + 50 * hidden.repeat_interleave(8, 2).repeat_interleave(4, 3)
    assert torch.allclose(hide(features, hidden), hide(changed, hidden), atol=1e-5)
    kinds = hidden.float().mean(dim=(1, 2, 3))
    by_microphone = kinds < 0.5
    assert 0 < by_microphone.sum() < 8, 'both kinds are drawn'
    assert kinds[by_microphone].unique().tolist() == [7 / 32]
    assert kinds[~by_microphone].mean() == pytest.approx(0.75, abs=0.06)


def test_rebuilding_loss_matches_hand_calculation():
    whole = torch.zeros(1, 32, 8, 4)  # one block
    whole[0, 0] = 20.0  # 17.5 dB above the mean of eight levels
    whole[0, 8], whole[0, 9] = 0.6, 0.8  # modulus 1
    whole[0, 10] = 0.5
    hidden = torch.zeros(1, 32, 1, 1, dtype=torch.bool)
    hidden[0, [0, 8, 9, 10, 11]] = True
    terms = rebuilding_terms(torch.zeros(1, 32, 1, 1), whole, hidden)
    assert terms['levels'] == pytest.approx(1.75)
    # (1 * (0.6 + 0.8) + 0.5 * (0.5 + 0)) / (2 * 1 + 2 * 0.5)
    assert terms['coherence'] == pytest.approx(1.65 / 3)
    assert terms['silence'] == terms['coherence'], 'the prediction is zero'
    assert terms['loss'] == pytest.approx(1.75 + 0.55)
    seen = rebuilding_terms(torch.full((1, 32, 1, 1), 9.0), whole, torch.zeros_like(hidden))
    assert seen['loss'] == 0, 'visible blocks are not in the loss'


def test_rebuilding_loss_ignores_overall_loudness():
    features = torch.rand(2, 32, 80, 44)
    louder = torch.cat([features[:, :8] + 30, features[:, 8:]], dim=1)
    hidden = draw_hidden(features, torch.Generator().manual_seed(1))
    rebuilt = torch.zeros_like(block_means(features))
    terms = [rebuilding_terms(rebuilt, each, hidden)['loss'] for each in (features, louder)]
    assert terms[0] == pytest.approx(float(terms[1]), abs=1e-4)


def test_rebuilding_loss_supports_windows_of_levels_only(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(MaskedChannels, windows, windows)
    assert task.blocks == (32, 10, 11)
    levels = torch.rand(4, 8, 80, 44)
    hidden = draw_hidden(levels, torch.Generator().manual_seed(1))
    terms = rebuilding_terms(torch.zeros(4, 8, 10, 11), levels, hidden)
    assert terms['coherence'] == 0
    assert terms['levels'] > 0
