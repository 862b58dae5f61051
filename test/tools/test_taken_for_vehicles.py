from __future__ import annotations

from helpers.found_windows import window
import numpy as np
import pytest
from taken_for_vehicles import share_above, thresholds


def test_thresholds_reach_the_given_shares_of_vehicles():
    found = [window([10, 2.0], [40, 1.5], [-5, 0.0]), window(), window([21, -1.0], [20, -2.0])]
    truth = [np.array([10.5, -6.0]), np.array([3.0]), np.array([20.0])]
    # The bearing at 40 matches no vehicle, the second one at 20 a vehicle already found.
    assert thresholds(found, truth, (0.25, 0.3, 0.5, 0.75)) == [2.0, 0.0, 0.0, -1.0]
    assert thresholds(found, truth, (1.0,)) == [-np.inf]


def test_share_above_counts_windows_with_a_likely_bearing():
    found = [window([1, 0.5], [2, 0.1]), window(), window([3, -1.0]), window([4, 0.2])]
    assert share_above(found, 0.2) == pytest.approx(0.5)
    assert share_above(found, -np.inf) == pytest.approx(0.75)
