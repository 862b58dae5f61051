"""Channel sums of a sound do not depend on how it is split."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.channel_sums import ChannelSums


@pytest.fixture
def sound():
    rng = np.random.default_rng(2)
    return (rng.normal(size=(3000, 8)) * np.geomspace(3, 9000, 8)).clip(-32768, 32767).astype('i2')


def test_sums_match_the_samples(sound):
    sums, values = ChannelSums.of(sound), sound / 32768
    assert sums.count == 3000
    assert np.allclose(sums.mean, values.mean(axis=0))
    assert np.allclose(sums.power, values.var(axis=0))
    assert np.array_equal(sums.low, values.min(axis=0))
    assert np.array_equal(sums.high, values.max(axis=0))
    assert np.array_equal(sums.clipped, (np.abs(values) >= 0.999).sum(axis=0))
    assert sums.clipped[7] > 0
    rough = np.diff(sound.astype(float), 2, axis=0)
    assert np.allclose(sums.products / sums.count, rough.T @ rough / len(rough))


def test_sums_of_pieces_add_up(sound):
    whole = ChannelSums.of(sound[:2000]) + ChannelSums.of(sound[2000:])
    expected = ChannelSums.of(sound)
    for name in ('total', 'squares', 'low', 'high', 'clipped', 'bad'):
        assert np.allclose(getattr(whole, name), getattr(expected, name))
    # Second differences across the cut are left out and compensated for.
    assert np.allclose(whole.products.diagonal(), expected.products.diagonal(), rtol=0.01)
    assert (ChannelSums.empty(8) + expected).count == 3000


def test_non_finite_samples_are_counted_and_treated_as_silence(sound):
    broken = (sound / 32768).astype(np.float32)
    broken[5, 2], broken[7, 2], broken[9, 3] = np.nan, np.inf, -np.inf
    cleaned = np.where(np.isfinite(broken), broken, 0)
    sums, expected = ChannelSums.of(broken), ChannelSums.of(cleaned)
    assert sums.bad.tolist() == [0, 0, 2, 1, 0, 0, 0, 0]
    assert np.array_equal(sums.total, expected.total)
    assert np.array_equal(sums.high, expected.high)
    assert np.array_equal(sums.products, expected.products)


def test_constant_channel_is_detected(sound):
    sound[:, 4] = -17
    assert np.flatnonzero(ChannelSums.of(sound).constant).tolist() == [4]
