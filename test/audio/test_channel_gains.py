"""Channel gains are recovered from levels composed of gains and shading."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.channel_gains import channel_gains

GAINS_DB = np.array([1.5, -2.0, 0.5, 0.0, 3.0, -1.0, -1.5, -0.5])
ALIVE = np.ones(8, bool)


@pytest.fixture
def places():
    """A bent row of eight microphones, all at different positions."""
    return np.stack(
        [np.linspace(-0.4, 0.5, 8), 0.1 + np.linspace(-0.3, 0.4, 8) ** 2, np.ones(8)], 1
    )


def levels(places, azimuths, seed=0, noise_db=0.0, gains_db=GAINS_DB):
    rng = np.random.default_rng(seed)
    angle = azimuths[:, None] - np.arctan2(places[:, 1], places[:, 0])
    out = np.minimum(np.hypot(places[:, 0], places[:, 1]) / 0.05, 1)
    shading = out * (3 * np.cos(angle) - 1.2 * np.cos(2 * angle))
    loud = rng.uniform(-60, -20, (len(azimuths), 1))
    return loud + shading + gains_db + rng.normal(0, noise_db, shading.shape)


def test_gains_are_found_despite_body_shading(places):
    azimuths = np.random.default_rng(1).uniform(-np.pi, np.pi, 300)
    found = channel_gains(levels(places, azimuths), np.ones(300), azimuths, places, ALIVE)
    np.testing.assert_allclose(found, GAINS_DB - GAINS_DB.mean(), atol=1e-3)


def test_dead_channels_and_zero_weight_segments_are_ignored(places):
    azimuths = np.random.default_rng(1).uniform(-np.pi, np.pi, 300)
    level_db, weights = levels(places, azimuths), np.ones(300)
    alive = np.arange(8) != 4
    level_db[:, 4] = 99.0
    level_db[::3] = np.random.default_rng(3).normal(0, 30, (100, 8))
    weights[::3] = 0
    found = channel_gains(level_db, weights, azimuths, places, alive)
    expected = np.where(alive, GAINS_DB - GAINS_DB[alive].mean(), 0)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_outlier_segments_hardly_affect_gains(places):
    azimuths = np.random.default_rng(1).uniform(-np.pi, np.pi, 400)
    level_db = levels(places, azimuths, noise_db=0.3)
    level_db[:40, 2] += 25
    found = channel_gains(level_db, np.ones(400), azimuths, places, ALIVE)
    np.testing.assert_allclose(found, GAINS_DB - GAINS_DB.mean(), atol=0.15)


def test_crowded_direction_does_not_dominate_gains(places):
    """A thousand segments from ahead, louder at one microphone, and 400 from all directions."""
    rng = np.random.default_rng(1)
    azimuths = np.concatenate([rng.uniform(0.01, 0.4, 1000), rng.uniform(-np.pi, np.pi, 400)])
    level_db = levels(places, azimuths, noise_db=0.5)
    level_db[:1000, 5] += 1.0
    found = channel_gains(level_db, np.ones(1400), azimuths, places, ALIVE)
    off = found - (GAINS_DB - GAINS_DB.mean())
    assert 0.02 < off[5] < 0.35


def test_too_few_segments_give_no_gains(places):
    azimuths = np.linspace(-3, 3, 16)
    level_db = levels(places, azimuths)
    weights = np.ones(16)
    assert channel_gains(level_db, weights, azimuths, places, ALIVE).any()
    weights[3] = 0
    assert not channel_gains(level_db, weights, azimuths, places, ALIVE).any()
