"""A selector finds the sounding one of two boxes without labels, but not without sound."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.evaluation.sounding.ranking import rank
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.sounding.learning import (
    SelectorPlan,
    fit_selector,
    free_of,
    joined,
    labelled_frames,
    lopsided,
    other_moments,
    predict,
)

QUICK = SelectorPlan(('sound',), steps=30, batch=24, rounds=1)


def roc_auc_of(network, boxes, maps, sums=None):
    logits = predict(network, boxes, maps, sums)[boxes.valid]
    return rank(logits.numpy(), boxes.sounds[boxes.valid].numpy() > 0.5).roc_auc


@pytest.fixture(scope='module')
def fitted(some_frames, direction_maps, rig):
    return fit_selector(some_frames(4), QUICK, direction_maps, find_mirror(rig))


def test_selector_finds_sounding_boxes_without_labels(fitted, some_frames, direction_maps):
    others = some_frames(4, seed=5)
    assert roc_auc_of(fitted, others, direction_maps) > 0.95
    swapped = others.sums.roll(3, dims=0)
    assert 0.2 < roc_auc_of(fitted, others, direction_maps, swapped) < 0.8, (
        'wrong sound gives chance level'
    )


def test_selector_without_sound_performs_at_chance(some_frames, direction_maps):
    plan = replace(QUICK, kinds=('sight', 'motion'))
    network = fit_selector(some_frames(4), plan, direction_maps)
    assert 0.2 < roc_auc_of(network, some_frames(4, seed=5), direction_maps) < 0.8


def test_selector_learns_from_labels_alone(some_frames, direction_maps):
    plan = replace(QUICK, labelled=1000, unlabelled=False)
    network = fit_selector(some_frames(4), plan, direction_maps)
    assert roc_auc_of(network, some_frames(4, seed=5), direction_maps) > 0.95


def test_selector_is_repeatable_for_the_same_seed(some_frames, direction_maps, rig):
    plan = replace(QUICK, steps=5)
    one, same, other = (
        fit_selector(some_frames(2), replace(plan, seed=seed), direction_maps, find_mirror(rig))
        for seed in (3, 3, 4)
    )
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_other_moments_are_far_in_time_or_from_another_drive(some_frames):
    boxes = some_frames(2, 4)
    for place, others in enumerate(other_moments(boxes)):
        same = others[boxes.drive[others] == boxes.drive[place]]
        apart_s = (boxes.time_s[same] - boxes.time_s[place]).abs()
        assert (apart_s >= 4).all()
        assert 0 < len(same) == len(others) - len(same)
    alone = some_frames(1, 1)
    assert other_moments(alone)[0].tolist() == [0]


def test_labelled_frames_are_spread_evenly(some_frames):
    boxes = some_frames(2, 5)
    assert labelled_frames(boxes, 3).tolist() == [0, 4, 9]
    assert len(labelled_frames(boxes, 0)) == 0
    assert len(labelled_frames(boxes, 99)) == 10
    unknown = replace(boxes, sounds=torch.full_like(boxes.sounds, torch.nan))
    assert len(labelled_frames(unknown, 5)) == 0


def test_boxes_near_the_sound_of_another_moment_are_not_free(some_frames, direction_maps):
    boxes = some_frames(1, 4)
    one = boxes.select(torch.tensor([0]))
    heard = direction_maps(one.sums)
    assert not free_of(one, one, heard).any(), 'each box is near itself'
    away = replace(one, sides_deg=one.sides_deg + 90)
    free = free_of(one, away, heard)
    assert free[one.valid & (one.sounds == 0)].all()
    assert not free[one.valid & (one.sounds == 1)].any(), 'it is in the loudest direction'
    both = joined(one, away)
    assert both.valid.sum() == 4
    torch.testing.assert_close(both.sums, 2 * one.sums)


def test_lopsided_marks_pictures_that_differ_from_their_mirror_image(some_frames):
    boxes = some_frames(1, 1)
    sides = torch.zeros_like(boxes.sides_deg)
    sides[0, 0], sides[0, 1] = torch.tensor([32.0, 28.0]), torch.tensor([-10.0, -12.0])
    assert lopsided(replace(boxes, sides_deg=sides)).tolist() == [True]
    sides[0, 1] = torch.tensor([-29.0, -33.0])
    assert lopsided(replace(boxes, sides_deg=sides)).tolist() == [False]


def test_fit_selector_accepts_frames_without_boxes(some_frames, direction_maps):
    boxes = some_frames(1, 2)
    empty = replace(boxes, valid=torch.zeros_like(boxes.valid))
    network = fit_selector(empty, QUICK, direction_maps)
    assert predict(network, empty, direction_maps).shape == empty.valid.shape
