"""What a segment of sound counts in the fit of an array, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.array_fit import _segment_weights
from avdet_ros.audio.wave_fronts import WaveFronts


def fronts_of(strength):
    """Segments whose two bands weigh so much together."""
    count = len(strength)
    return WaveFronts(
        time_s=np.arange(count) * 0.2,
        frequencies_hz=np.array([500.0, 700.0]),
        vectors=np.full((count, 2, 8), 8**-0.5, np.complex64),
        weights=np.outer(strength, [0.25, 0.75]),
        level_db=np.zeros((count, 8)),
        power_db=np.zeros((count, 8)),
        seconds=60.0,
    )


def test_segments_of_a_crowded_sector_share_their_weight():
    """A sector is 15 degrees: 40 segments from 16 to 29 of them count as 20 do, 3 others fully."""
    azimuths = np.radians([*np.linspace(16, 29, 40), 14, 31, -1])
    weights = _segment_weights(fronts_of(np.full(43, 3.0)), azimuths, np.ones(43, bool))
    assert weights[:40] == pytest.approx(0.5)
    assert weights[40:] == pytest.approx(1)


def test_a_segment_counts_as_strong_as_it_is_within_bounds():
    """Against the middle one of those that count, from a tenth to twice."""
    azimuths = np.radians([0.0, 60, 120, 180, 240, 300])
    counts = np.array([True, True, True, True, True, False])
    weights = _segment_weights(fronts_of([0.01, 3.0, 4.0, 6.0, 90.0, 90.0]), azimuths, counts)
    assert weights == pytest.approx([0.1, 0.75, 1.0, 1.5, 2.0, 0.0])
    assert not _segment_weights(fronts_of([1.0, 2.0]), azimuths[:2], counts[5:].repeat(2)).any()
