"""Each loss applies its formula to the right parts of a student's output and a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.training.data.batch import P5, Batch, StudentOutput
from avdet_ros.training.losses.attention_alignment import (
    MTA,
    AttentionAlignment,
    attention_map,
    mean_of_teachers,
)
from avdet_ros.training.losses.attentive_features import (
    AttentiveFeatureDistillation,
    AttentiveFeatures,
)
from avdet_ros.training.losses.pairwise import Pairwise, pairwise_loss
from avdet_ros.training.losses.ranking import Ranking, ranking_loss
from avdet_ros.training.recipes.parts import TransferRecipe

SIZES = np.array([[96, 90], [48, 45], [24, 23], [12, 11], [6, 5]])


def cells(rows, columns):
    """Return the cells of a picture that covers all but the last row and last two columns."""
    return rows - 1, columns - 2


@pytest.fixture
def output():
    torch.manual_seed(1)
    maps = [torch.randn(3, 4, *size) for size in ((8, 6), (5, 4), (3, 4))]
    return StudentOutput(None, maps, torch.randn(3, 4))


@pytest.fixture
def batch():
    torch.manual_seed(2)
    return Batch(
        torch.zeros(3, 1, 1, 1),
        [torch.zeros(0, 4)] * 3,
        [torch.rand(3, 2, *size) for size in ((9, 8), (6, 6), (4, 6))],
        torch.randn(3, 2, 4),
        torch.randn(3, 2, 4, 4, 6),
        [0, 1, 2],
        ['a', 'b', 'c'],
    )


@pytest.mark.parametrize('form', MTA)
@pytest.mark.parametrize('combine', ['product', 'average'])
def test_alignment_loss_covers_every_level_and_teacher(output, batch, form, combine):
    how = TransferRecipe(loss='mta', mta=form, combine=combine, beta=0.7, temperature=3.0)
    loss = AttentionAlignment(how, 4, 4)
    own = [level.square().mean(dim=1) for level in output.maps]
    theirs = [[level[:, i, :-1, :-2] for i in range(2)] for level in batch.attention]
    if combine == 'average':
        theirs = [mean_of_teachers(level) for level in theirs]
    extra = {} if form == 'as_printed' else {'temperature': 3.0}
    expected = MTA[form](own, theirs, beta=0.7, **extra)
    assert loss(output, batch, cells).item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss.levels(SIZES) == [(96, 90), (48, 45), (24, 23)]
    assert AttentionAlignment(TransferRecipe(levels=5), 4, 4).levels(SIZES)[-1] == (6, 5)
    assert (loss.needs, loss.compares_maps) == (('attention',), True)


def test_attention_map_averages_squares_by_default():
    features = torch.tensor([[[[1.0, 2.0]], [[-3.0, 0.0]]]])
    assert attention_map(features).tolist() == [[[5, 2]]]


def test_pairwise_loss_compares_p5_with_the_mean_of_the_teachers(output, batch):
    loss = Pairwise(TransferRecipe(loss='pairwise'), 4, 4)
    mean = batch.teacher_features.mean(dim=1)[..., :-1, :-2]
    expected = pairwise_loss(output.maps[P5], mean)
    assert loss(output, batch, cells).item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.levels(SIZES) == [(96, 90), (48, 45), (24, 23)]
    assert (loss.needs, loss.compares_maps) == (('features',), True)


def test_pairwise_loss_matches_hand_calculation():
    """Two positions: features at right angles in the student, at 60 degrees in the teacher."""
    student = torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]])
    teacher = torch.tensor([[[[2.0, 0.5]], [[0.0, 0.75**0.5]]]])
    assert pairwise_loss(student, teacher).item() == pytest.approx(2 * 0.25 / 4)


def test_ranking_loss_uses_embeddings_and_the_margin_of_the_recipe(output, batch):
    loss = Ranking(TransferRecipe(loss='ranking', margin=0.9), 4, 4)
    expected = ranking_loss(output.embedding, batch.embedding.mean(dim=1), 0.9)
    assert loss(output, batch, cells).item() == pytest.approx(expected.item(), rel=1e-6)
    assert expected.item() != pytest.approx(
        ranking_loss(output.embedding, batch.embedding.mean(dim=1)).item()
    )
    assert (loss.levels(SIZES), loss.needs, loss.compares_maps) == ([], ('embedding',), False)


def test_default_ranking_margin_is_a_fifth():
    """Each student embedding matches its own teacher by 0.9 and the other one by 0.8."""
    student = torch.eye(2)
    teacher = torch.tensor([[0.9, 0.8], [0.8, 0.9]])
    apart = 0.1 / np.hypot(0.9, 0.8)
    assert ranking_loss(student, teacher).item() == pytest.approx(0.2 - apart, rel=1e-5)


@pytest.mark.parametrize(('kind', 'layer'), [(Ranking, 'Linear'), (AttentiveFeatures, 'Conv2d')])
def test_different_channel_counts_get_an_adapter_layer(kind, layer):
    how = TransferRecipe(loss='ranking')
    same, other = kind(how, 4, 4), kind(how, 4, 7)
    assert type(same.adapt).__name__ == 'Identity'
    assert type(other.adapt).__name__ == layer
    assert other.adapt.weight.shape[:2] == (7, 4)


def test_attentive_features_compare_p5_with_the_mean_of_the_teachers(output, batch):
    torch.manual_seed(3)
    loss = AttentiveFeatures(TransferRecipe(loss='afd'), 4, 4)
    teacher = batch.teacher_features.mean(dim=1)[..., :-1, :-2]
    expected = loss.afd(output.maps[P5], teacher)
    assert loss(output, batch, cells).item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.levels(SIZES) == [(96, 90), (48, 45), (24, 23)]
    assert (loss.needs, loss.compares_maps) == (('features',), True)


def test_channel_attention_matches_hand_calculation():
    torch.manual_seed(4)
    module = AttentiveFeatureDistillation(5, hidden=3)
    student, teacher = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    first, _, last = module.attend
    total = 0.0
    for row in range(2):
        pooled = teacher[row].flatten(1).mean(dim=1)
        hidden = (first.weight @ pooled + first.bias).clamp(min=0)
        scores = last.weight @ hidden + last.bias
        rho = 5 * scores.exp() / scores.exp().sum()
        for channel in range(5):
            apart = (student[row, channel] - teacher[row, channel]).square().sum()
            total += (rho[channel] * apart).item() / (5 * 3 * 4) / 2
    assert module(student, teacher).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(('channels', 'hidden'), [(8, 4), (40, 5), (32, 4)])
def test_hidden_layer_has_an_eighth_of_the_channels_and_at_least_four(channels, hidden):
    assert AttentiveFeatureDistillation(channels).attend[0].weight.shape == (hidden, channels)
    assert AttentiveFeatureDistillation(channels, 7).attend[2].weight.shape == (channels, 7)


@pytest.mark.parametrize('form', MTA)
def test_larger_teacher_maps_are_averaged_over_areas(form):
    torch.manual_seed(5)
    student, fine = [torch.rand(2, 3, 4) + 0.1], torch.rand(2, 6, 8) + 0.1
    coarse = fine.reshape(2, 3, 2, 4, 2).mean(dim=(2, 4))
    found, expected = (MTA[form](student, [[other]]).item() for other in (fine, coarse))
    assert found == pytest.approx(expected, rel=1e-5)


def test_level_without_teacher_maps_is_rejected():
    level = torch.rand(1, 2, 2)
    with pytest.raises(ValueError, match=r'each of 2 levels, found \[1, 0\]'):
        MTA['corrected']([level, level], [[level], []])


def test_defaults_are_the_values_of_the_paper():
    torch.manual_seed(6)
    student, others = [torch.rand(1, 3, 4) + 0.1], [[torch.rand(1, 3, 4) + 0.1]]
    for form, mta in MTA.items():
        how = {'beta': 0.5} if form == 'as_printed' else {'beta': 0.5, 'temperature': 9.0}
        assert mta(student, others).item() == pytest.approx(mta(student, others, **how).item())


@pytest.mark.parametrize('form', MTA)
def test_partly_or_fully_zero_maps_give_finite_loss_and_gradient(form):
    student = torch.tensor([[[0.0, 1.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    other = torch.tensor([[[0.0, 3.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    student.requires_grad_()
    loss = MTA[form]([student], [[other]])
    assert torch.isfinite(loss)
    (gradient,) = torch.autograd.grad(loss, student)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize('form', MTA)
def test_loss_of_a_batch_is_the_mean_over_its_windows_at_any_scale(form):
    torch.manual_seed(7)
    scale = torch.tensor([1.0, 1e4]).reshape(2, 1, 1)
    student, others = torch.rand(2, 3, 4) + 0.1, [scale * (torch.rand(2, 3, 4) + 0.1)] * 2
    whole = MTA[form]([student], [others]).item()
    parts = [
        MTA[form]([student[i : i + 1]], [[other[i : i + 1] for other in others]]).item()
        for i in range(2)
    ]
    assert whole == pytest.approx(sum(parts) / 2, rel=1e-5)
