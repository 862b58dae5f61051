"""Features computed from spectra equal those of the front end."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.simulation.spectral_features import spectral_features


@pytest.mark.parametrize('pairs', [12, 28])
def test_spectral_features_match_front_end_features(pairs):
    front_end = FrontEnd(pair_count=pairs)
    shared, own = np.random.default_rng(0).standard_normal((2, 8, front_end.samples))
    sound = (0.01 * (shared[:1] + own)).astype(np.float32)
    spectra = front_end._spectrum(sound).transpose(2, 1, 0)
    lanes = np.concatenate([spectra.real, spectra.imag], axis=1)
    found = spectral_features(np.ascontiguousarray(lanes), front_end)
    expected = pool_frames(front_end.compute(sound))
    assert found.shape == (8 + 2 * pairs, 80, 44)
    np.testing.assert_allclose(found[:8], expected[:8], atol=1e-3)
    np.testing.assert_allclose(found[8:], expected[8:], atol=1e-4)
