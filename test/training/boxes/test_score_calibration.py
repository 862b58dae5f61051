from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.training.boxes.score_calibration import KNOTS, Calibration, fit_curve, matches


def test_each_true_box_matches_only_the_best_detection():
    truth = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], float)
    found = np.array([[0, 0, 1, 0.9], [0, 0, 1, 1], [2, 2, 3, 3], [5, 5, 6, 6]], float)
    (right,) = matches([found], [truth])
    assert right.tolist() == [True, False, True, False]
    assert matches([found], [np.zeros((0, 4))])[0].tolist() == [False] * 4


@pytest.mark.parametrize('seed', range(5))
def test_calibration_curve_recovers_a_known_probability(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 2, 20000)
    truth = 0.95 / (1 + np.exp(-1.3 * logits))
    calibration = Calibration()
    calibration.set(*fit_curve(logits, rng.random(20000) < truth))
    scores = calibration(torch.from_numpy(logits).float()).numpy()
    assert np.abs(scores - truth).mean() < 0.02
    sure = scores > 0.8
    assert truth[sure].mean() == pytest.approx(scores[sure].mean(), abs=0.05)


def test_calibration_curve_is_strictly_increasing():
    rng = np.random.default_rng(0)
    logits, scores = fit_curve(rng.normal(size=500), rng.random(500) < 0.3)
    assert len(logits) == len(scores) == KNOTS
    assert np.all(np.diff(logits) > 0)
    assert np.all(np.diff(scores) > 0)
    assert scores[0] > 0
    assert scores[-1] < 1


@pytest.mark.parametrize('right', [np.zeros(0, bool), np.zeros(300, bool), np.ones(300, bool)])
def test_calibration_curve_is_valid_for_empty_or_one_sided_data(right):
    logits, scores = fit_curve(np.linspace(-3, 3, len(right)), right)
    assert np.all(np.diff(scores) > 0)
    assert np.all(np.isfinite(logits))
    assert 0 < scores[0] < scores[-1] < 1


def test_calibration_module_matches_numpy_interpolation():
    calibration = Calibration()
    knots, values = (
        np.sort(np.random.default_rng(1).normal(size=KNOTS)),
        np.linspace(0.1, 0.9, KNOTS),
    )
    calibration.set(knots, values)
    x = np.linspace(-4, 4, 101)
    found = calibration(torch.from_numpy(x).float()).numpy()
    np.testing.assert_allclose(found, np.interp(x, knots, values), atol=1e-5)


def test_few_confident_detections_keep_high_scores():
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.normal(-3, 1, 20000), rng.uniform(1, 2, 40)])
    right = np.concatenate([rng.random(20000) < 0.05, np.ones(40, bool)])
    calibration = Calibration()
    calibration.set(*fit_curve(logits, right))
    scores = calibration(torch.from_numpy(logits).float()).numpy()
    assert np.sort(scores)[-20:].mean() > 0.85
    assert scores[:-40].mean() == pytest.approx(0.05, abs=0.01)
