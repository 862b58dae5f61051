"""Random recording errors."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.corruption import random_corruption, severe_corruption


def test_severe_errors_stay_in_their_ranges():
    drawn = [severe_corruption(np.random.default_rng(seed), 60.0) for seed in range(300)]
    assert all(1 <= abs(c.array_yaw_deg) <= 3 for c in drawn)
    assert all(c.dead.sum() <= 1 for c in drawn)
    assert 0.08 < np.mean([c.dead.any() for c in drawn]) < 0.3
    assert 0.03 < np.mean([np.any(c.order != np.arange(8)) for c in drawn]) < 0.2
    assert all(sorted(c.order) == list(range(8)) for c in drawn)
    assert 0.2 < np.mean([len(c.gaps_s) > 0 for c in drawn]) < 0.5
    assert all(np.all((c.delay_samples >= 0) & (c.delay_samples <= 3)) for c in drawn)


def test_moderate_errors_reach_but_do_not_exceed_their_limits():
    """A thousand draws reach both limits of each clipped error and never exceed them."""
    rng = np.random.default_rng(5)
    drawn = [random_corruption(rng) for _ in range(1000)]
    for name, end, sigma in (('array_yaw_deg', 1.0, 0.4), ('clock_ppm', 50.0, 20.0)):
        values = np.array([getattr(each, name) for each in drawn])
        assert (values.min(), values.max()) == (-end, end)
        assert np.median(np.abs(values)) == pytest.approx(0.674 * sigma, rel=0.1)
    shading = [each.shading_db for each in drawn]
    assert 0 <= min(shading) < 0.05 < 5.95 < max(shading) <= 6
    assert np.std([each.gain_db for each in drawn]) == pytest.approx(1.5 / 3**0.5, rel=0.05)
    assert np.std([each.position_error_m for each in drawn]) == pytest.approx(
        0.004 / 3**0.5, rel=0.05
    )
    assert np.std([each.delay_samples for each in drawn]) == pytest.approx(0.1 / 3**0.5, rel=0.05)
