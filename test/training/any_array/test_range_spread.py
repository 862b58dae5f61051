"""Range intervals are scaled until nine of ten true ranges lie inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.evaluation.bearings.metrics import FoundBearings, TrueBearings, match_bearings
from avdet_ros.training.any_array.range_spread import FEWEST, WANTED, RangeSpread, fit_spread


def matched(windows, width, seed=0, known=True):
    """Return matches of one vehicle per window, with a normal error of 0.2 in its log range."""
    rng = np.random.default_rng(seed)
    middle = np.exp(rng.normal(0, 0.2, windows)) * 20
    pairs = []
    for said in middle:
        ranges = np.array([[said * np.exp(-width), said, said * np.exp(2 * width)]])
        found = FoundBearings(np.zeros(1), np.array([rng.random()]), ranges)
        distance = np.array([20.0 if known else np.nan])
        true = TrueBearings(np.zeros(1), distance, np.zeros(1), np.ones(1))
        pairs.append((found, true))
    return match_bearings([pairs], 3.0)


@pytest.mark.parametrize('width', [0.1, 0.33, 1.0])
def test_fitted_intervals_contain_nine_in_ten_true_ranges(width):
    bearings = matched(2000, width)
    spread = RangeSpread()
    spread.set(fit_spread(bearings))
    low, middle, high = spread(torch.from_numpy(bearings.range_m)).numpy().T
    np.testing.assert_allclose(middle, bearings.range_m[:, 1], rtol=1e-6)
    assert ((low <= 20) & (high >= 20)).mean() == pytest.approx(WANTED, abs=0.002)


def test_initial_factor_changes_nothing():
    ranges = torch.tensor([[5.0, 10.0, 30.0], [1.0, 2.0, 3.0]])
    torch.testing.assert_close(RangeSpread()(ranges), ranges)


def test_factor_stays_1_for_few_or_unknown_ranges():
    assert fit_spread(matched(FEWEST - 1, 0.3)) == 1
    assert fit_spread(matched(200, 0.3, known=False)) == 1
    assert fit_spread(matched(FEWEST, 0.3)) != 1
