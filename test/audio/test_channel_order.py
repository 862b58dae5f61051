"""Channel order without usable sound."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.array_sources import ArrayGuess
from avdet_ros.audio.channel_order import find_order
from avdet_ros.audio.wave_fronts import WaveFronts


@pytest.mark.parametrize('segments', [0, 2])
def test_silence_keeps_the_channel_order(segments):
    places = np.random.default_rng(4).uniform(-0.3, 0.3, (8, 3)) * [1, 1, 0]
    silence = WaveFronts(
        time_s=np.arange(segments) * 0.2,
        frequencies_hz=np.array([500.0, 700.0]),
        vectors=np.full((segments, 2, 8), 8**-0.5, np.complex64),
        weights=np.zeros((segments, 2), np.float32),
        level_db=np.zeros((segments, 8)),
        power_db=np.full((segments, 8), -200.0),
        seconds=60.0,
    )
    nominal = ArrayGuess(places, np.zeros(8), np.ones(8, bool), 1.5)
    assert find_order(silence, nominal).tolist() == list(range(8))
