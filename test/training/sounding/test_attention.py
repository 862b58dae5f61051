"""Attention over pictures with a bright patch in the direction of the sound."""

from __future__ import annotations

from helpers.plane_waves import column_px, plane_wave
import numpy as np
import pytest
import torch

from avdet_ros.training.sounding.attention import (
    COLUMNS,
    PICTURE_PX,
    ROWS,
    column_places,
    labelled_loss,
    triplet,
)
from avdet_ros.training.sounding.attention_fitting import AttentionPlan, attend, fit_attention
from avdet_ros.training.sounding.attention_run import warmth
from avdet_ros.training.sounding.best_cell import BestCell
from avdet_ros.training.sounding.sound_sums import sound_sums


def scenes(rig, direction_maps, many, seed):
    """Return pictures with two bright patches, direction maps, and masks of the sounding patch."""
    rng = np.random.default_rng(seed)
    pictures = torch.full((many, 3, *PICTURE_PX), 60, dtype=torch.uint8)
    masks, waves = torch.zeros(many, ROWS, COLUMNS), []
    for number in range(many):
        loud = rng.uniform(-38, 38)
        quiet = loud + rng.uniform(25, 38) * (-1 if loud > 0 else 1)
        for azimuth, sounds in ((loud, 1.0), (quiet, 0.0)):
            column = int(column_px(rig, azimuth) / 1920 * COLUMNS)
            pictures[number, :, 32:48, 8 * column : 8 * column + 8] = 240
            masks[number, 4:6, column] = sounds
        waves.append(plane_wave(rig, loud))
    return pictures, direction_maps(sound_sums(waves)), masks


def test_column_places_increase_and_are_symmetric(rig):
    places = column_places(rig)
    assert (places.diff() > 0).all()
    assert places[0] - 56 == pytest.approx(-(places[-1] - 56), abs=1)


@pytest.mark.slow
@pytest.mark.parametrize(('way', 'finds'), [('map', True), ('literal', False)])
def test_labelled_map_attention_locates_sound_and_literal_does_not(
    rig, direction_maps, way, finds
):
    pictures, maps, masks = scenes(rig, direction_maps, 48, 0)
    plan = AttentionPlan(
        way, unsupervised=False, labelled=48, steps=60, batch=16, learning_rate=5e-3
    )
    network = fit_attention(pictures, maps, [], masks, plan, column_places(rig))
    pictures, maps, masks = scenes(rig, direction_maps, 24, 1)
    heat = attend(network, pictures, maps)
    assert heat.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-4)
    peak = heat.reshape(24, -1).argmax(axis=1)
    right = masks.flatten(1).numpy()[np.arange(24), peak].mean()
    assert (right > 0.8) == finds


def test_attention_uses_thermal_pictures_only_if_enabled(rig, direction_maps):
    pictures, maps, masks = scenes(rig, direction_maps, 8, 0)
    four = torch.cat([pictures, torch.full((8, 1, *PICTURE_PX), 128, dtype=torch.uint8)], dim=1)
    other = four.clone()
    other[:, 3, :, :40] = 250
    for thermal in (False, True):
        plan = AttentionPlan('map', False, 8, thermal=thermal, steps=2, batch=4)
        network = fit_attention(four, maps, [], masks, plan, column_places(rig))
        same = np.array_equal(attend(network, four, maps), attend(network, other, maps))
        assert same != thermal


def test_warmth_is_relative_to_the_picture_median():
    picture = np.full((650, 1920), 22000, np.uint16)
    picture[:, :480] += 800
    found = warmth(picture)
    assert found.shape == PICTURE_PX
    assert (found[0, 0], found[0, -1]) == (128 + 40, 128), 'ten kelvin'
    picture[:, :480] = 30000
    assert warmth(picture)[0, 0] == 255
    grey = (picture >> 8).astype(np.uint8)
    assert warmth(np.repeat(grey[..., None], 3, axis=2))[0, -1] == grey[0, -1]


@pytest.mark.parametrize('best_cell', [False, True])
def test_unsupervised_attention_fit_is_repeatable(rig, direction_maps, best_cell):
    pictures, maps, masks = scenes(rig, direction_maps, 8, 0)
    others = [torch.tensor([(i + 3) % 8]) for i in range(8)]
    plan = AttentionPlan(steps=2, batch=4, best_cell=best_cell)
    one, same = (
        fit_attention(pictures, maps, others, masks, plan, column_places(rig)) for _ in range(2)
    )
    np.testing.assert_array_equal(attend(one, pictures, maps), attend(same, pictures, maps))


@pytest.mark.slow
def test_labelled_best_cell_separates_sounding_cells(rig, direction_maps):
    pictures, maps, masks = scenes(rig, direction_maps, 48, 0)
    plan = AttentionPlan('map', False, 48, True, steps=60, batch=16, learning_rate=5e-3)
    network = fit_attention(pictures, maps, [], masks, plan, column_places(rig))
    pictures, maps, masks = scenes(rig, direction_maps, 24, 1)
    heat = attend(network, pictures, maps)
    there = masks.numpy() > 0
    assert np.median(heat[there]) > 0.5 > 0.1 > np.median(heat[~there])


def test_best_cell_losses_match_hand_calculation(rig):
    network = BestCell('literal', column_places(rig))
    logits = torch.full((2, ROWS, COLUMNS), -30.0)
    logits[0, 3, 4], logits[1, 0, 0] = 30.0, 0.0
    network.logits = lambda pictures, maps: logits + maps
    assert network(None, 0).amax(dim=(1, 2)).tolist() == pytest.approx([1, 0.5])
    assert network.unlabelled_loss(None, 0, -60).item() == pytest.approx(np.log(2) / 2, abs=1e-6)
    assert network.unlabelled_loss(None, -60, 0).item() == pytest.approx(
        (30 + 60 + 30 + np.log(2)) / 2, abs=1e-4
    )
    masks = torch.zeros(2, ROWS, COLUMNS)
    masks[0, 3, 4] = masks[1, 0, 0] = 1
    assert network.labelled_loss(None, 0, masks).item() == pytest.approx(np.log(2) / 2, abs=1e-6)


def test_triplet_and_labelled_losses_match_hand_calculation():
    zero, far = torch.zeros(1, 2), torch.tensor([[20.0, 0.0]])
    assert triplet(zero, zero, far).item() == pytest.approx(0, abs=1e-6)
    assert triplet(zero, far, zero).item() == pytest.approx(2, abs=1e-6)
    assert triplet(zero, far, far).item() == pytest.approx(0.5)
    attention = torch.tensor([[[0.5, 0.25], [0.25, 0.0]]])
    masks = torch.tensor([[[2.0, 2.0], [0.0, 0.0]]])
    assert labelled_loss(attention, masks).item() == pytest.approx(-0.5 * np.log(0.5 * 0.25))
    assert torch.isfinite(labelled_loss(attention, masks.flip(1, 2)))
