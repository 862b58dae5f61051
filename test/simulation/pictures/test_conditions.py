"""Light and weather drawn from a seed."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures import random_conditions


def test_night_and_rain_occur_at_expected_rates() -> None:
    drawn = [random_conditions(seed, 20.0) for seed in range(300)]
    night = np.mean([c.night for c in drawn])
    assert 0.35 < night < 0.65
    assert 0.1 < np.mean([c.rain > 0 for c in drawn]) < 0.4
    assert all(c.night for c in (random_conditions(s, 20.0, night=True) for s in range(50)))
    assert not any(c.night for c in (random_conditions(s, 20.0, night=False) for s in range(50)))
