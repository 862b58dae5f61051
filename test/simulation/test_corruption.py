"""Errors of the recording."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.corruption import severe_corruption


def test_severe_errors_stay_in_their_ranges():
    drawn = [severe_corruption(np.random.default_rng(seed), 60.0) for seed in range(300)]
    assert all(1 <= abs(c.array_yaw_deg) <= 3 for c in drawn)
    assert all(c.dead.sum() <= 1 for c in drawn)
    assert 0.08 < np.mean([c.dead.any() for c in drawn]) < 0.3
    assert 0.03 < np.mean([np.any(c.order != np.arange(8)) for c in drawn]) < 0.2
    assert all(sorted(c.order) == list(range(8)) for c in drawn)
    assert 0.2 < np.mean([len(c.gaps_s) > 0 for c in drawn]) < 0.5
    assert all(np.all((c.delay_samples >= 0) & (c.delay_samples <= 3)) for c in drawn)
