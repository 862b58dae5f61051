from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.training.pretexts.contrastive import info_nce
from avdet_ros.training.pretexts.instance import (
    LEAST_WEIGHT,
    Instance,
    RobustInstance,
    pair_weights,
    side_counts,
    soft_nce,
    soft_targets,
)


def test_soft_targets_give_the_pair_half_and_disallowed_pairs_zero():
    vectors = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    vectors[1] = vectors[0]
    allowed = ~torch.eye(4, dtype=torch.bool)
    allowed[2, 3] = False
    made = soft_targets(vectors, vectors, allowed)
    assert torch.allclose(made.sum(dim=1), torch.ones(4))
    assert made[2, 3] == 0
    assert made[0, 1] == pytest.approx(0.25, abs=0.01), 'picture and sound equal those of window 0'
    assert (made.diagonal() >= 0.5).all()


def test_soft_nce_matches_cross_entropy():
    similarity = torch.randn(5, 5)
    allowed = ~torch.eye(5, dtype=torch.bool)
    weight = torch.rand(5)
    targets = torch.rand(5, 5).softmax(dim=1)
    expected = -(targets * similarity.log_softmax(dim=1)).sum(dim=1)
    found = soft_nce(similarity, targets, allowed, weight)
    assert found == pytest.approx(float((weight * expected).sum() / weight.sum()), rel=1e-5)
    hard = soft_nce(similarity, torch.eye(5), allowed, weight)
    assert hard == pytest.approx(float(info_nce(similarity, allowed, weight)))


def test_disagreeing_pairs_and_frames_without_boxes_weigh_less(make_windows):
    batch = make_windows(8, 0).batch(range(8))  # the first and fifth have no box
    agreeing = torch.linspace(-1, 1, 8)
    weight = pair_weights(agreeing, batch)
    assert weight[[0, 4]].tolist() == [LEAST_WEIGHT] * 2
    others = weight[[1, 2, 3, 5, 6, 7]]
    assert (others.diff() >= 0).all()
    assert others[-1] > 0.9
    assert torch.isfinite(pair_weights(torch.ones(8), batch)).all()


def test_retrieval_score_rewards_equal_box_counts_per_side(make_windows, make_pretext):
    boxes = [np.float32([[0, 0, 0.2, 1], [0.1, 0, 0.3, 1], [0.7, 0, 0.8, 1]]), np.zeros((0, 4))]
    assert side_counts(boxes).tolist() == [[2, 1], [0, 0]]
    windows = make_windows(16, 0)
    task = make_pretext(Instance, windows, windows)
    counts = torch.nn.functional.normalize(
        torch.from_numpy(side_counts(windows.boxes)) + 0.1, dim=1
    )
    task.vectors = lambda batch: (counts[batch.indices], counts[batch.indices])
    task.on_validation_epoch_start()
    task.validation_step(windows.batch(range(16)), 0)
    found = task.result(windows)
    assert found['retrieval'] == found['retrieval_back'] > found['retrieval_chance'] + 0.05
    assert 'nDCG of pictures by sound' in task.describe(found)


def test_instance_loss_trains_the_sound_encoder(make_windows, make_pretext):
    windows = make_windows(16, 0)
    for kind in (Instance, RobustInstance):
        task = make_pretext(kind, windows, windows)
        assert task.augmentation.mix == 0
        terms = task.measure(windows.batch(range(16)))
        terms['loss'].backward()
        gradient = task.student.student.from_response.weight.grad
        assert gradient is not None, kind.name
        assert gradient.abs().max() > 0
    assert LEAST_WEIGHT <= terms['weight'] <= 1
