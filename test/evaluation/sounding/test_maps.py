"""Scores of small maps, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.evaluation.sounding import maps


def test_consensus_weighs_cells_by_number_of_annotators():
    masks = np.zeros((3, 1, 4), bool)
    masks[0, 0, :2] = masks[1, 0, 1:3] = masks[2, 0, 1] = True
    assert maps.consensus(masks, 2).tolist() == [[0.5, 1.0, 0.5, 0.0]]
    assert maps.consensus(masks[:1], 1).tolist() == [[1, 1, 0, 0]]


def test_consensus_iou_matches_hand_calculation():
    truth = np.array([[0.5, 1.0, 0.5, 0.0]])
    heat = np.array([[0.1, 0.9, 0.8, 0.7]])
    # Three cells are lit: 1 + 0.5 of 2 inside, and one outside.
    assert maps.consensus_iou(heat, truth, 0.5) == pytest.approx(1.5 / 3)
    assert maps.consensus_iou(heat, truth, 0.75) == pytest.approx(1.5 / 2)
    assert maps.consensus_iou(heat, truth, 1.0) == 0
    whole = maps.consensus_iou(np.ones((1, 4)), truth, 0.5)
    assert whole == pytest.approx(2 / 3), 'the whole picture is a good answer for a big object'


def test_success_rate_and_its_area_match_hand_calculation():
    share, area = maps.success([0.0, 1.0])
    assert share == 0.5
    # Both at threshold 0, one of two from 0.05 on: a triangle above a half.
    assert area == pytest.approx(0.5 + 0.05 * 0.25)
    assert maps.success([0.52])[1] == pytest.approx(0.525)
    assert np.isnan(maps.success([])).all()


def test_peak_lit_share_and_best_heat_match_hand_calculation():
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    assert maps.peak_inside(heat, [[0.5, 0.25, 0.75, 0.5]])
    assert not maps.peak_inside(heat, [[0, 0, 0.5, 1]])
    assert maps.lit_share(heat, 0.5) == 1 / 16
    assert maps.box_mask([[0.5, 0.25, 0.75, 0.5]], 4, 4).sum() == 1
    truth = maps.box_mask([[0.5, 0.25, 0.75, 0.5]], 4, 4).astype(float)
    threshold = maps.best_heat([heat + 0.2], [truth])
    assert maps.consensus_iou(heat + 0.2, truth, threshold) == 1
