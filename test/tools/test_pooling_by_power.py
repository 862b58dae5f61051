from __future__ import annotations

import numpy as np
from pooling_by_power import pooled_by_power
import pytest

from avdet_ros.audio.features import pool_frames


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    levels_db = rng.uniform(-80, -30, (8, 3, 10))
    return np.concatenate([levels_db, rng.uniform(-1, 1, (4, 3, 10))]).astype(np.float32)


def test_equal_powers_give_plain_means(features):
    features[:8] = -50.0
    pooled = pooled_by_power(features)
    assert pooled.shape == (12, 3, 3)
    np.testing.assert_allclose(pooled, pool_frames(features), atol=1e-6)


def test_coherences_follow_the_loudest_frame_and_levels_are_means(features):
    features[:8] = -90.0
    features[:8, :, [2, 5, 9]] = -20.0
    pooled = pooled_by_power(features)
    np.testing.assert_allclose(pooled[8:], features[8:, :, [2, 5, 9]], atol=1e-5)
    np.testing.assert_allclose(pooled[:8], pool_frames(features[:8]), atol=1e-5)


def test_pooled_coherence_is_summed_cross_spectra_over_summed_powers(features):
    power = (10 ** (features[:8, 1, 4:8] / 10)).mean(axis=0)
    expected = (features[8:, 1, 4:8] * power).sum(axis=1) / power.sum()
    np.testing.assert_allclose(pooled_by_power(features)[8:, 1, 1], expected, rtol=1e-4)
