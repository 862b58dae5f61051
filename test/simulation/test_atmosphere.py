"""Air absorption and speed of sound match tables of standards and physics."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.cnossos import BANDS_HZ

# ISO 9613-2:1996, table 2: dB per kilometre in octave bands, computed with ISO 9613-1
TABLE = {
    (10, 70): (0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117),
    (20, 70): (0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6),
    (30, 70): (0.1, 0.3, 1.0, 3.1, 7.4, 12.7, 23.1, 59.3),
    (15, 20): (0.3, 0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202),
    (15, 50): (0.1, 0.5, 1.2, 2.2, 4.2, 10.8, 36.2, 129),
    (15, 80): (0.1, 0.3, 1.1, 2.4, 4.1, 8.3, 23.7, 82.8),
}


@pytest.mark.parametrize('air', TABLE)
def test_air_absorption_matches_standard(air):
    # the standard's exact midbands are 1000 times powers of 10^0.3
    frequency = 1000 * 10.0 ** (0.3 * np.arange(-4, 4))
    ours = 1000 * air_absorption_db_per_m(frequency, *air)
    np.testing.assert_allclose(ours, TABLE[air], rtol=0.015, atol=0.06)


def test_speed_of_sound_matches_reference_values():
    assert speed_of_sound_mps(0) == pytest.approx(331.3, abs=0.1)
    assert speed_of_sound_mps(20) == pytest.approx(343.2, abs=0.01)
    change = speed_of_sound_mps(35) / speed_of_sound_mps(-10) - 1
    assert 0.07 < change < 0.09


def test_air_absorption_increases_with_frequency():
    assert np.all(np.diff(air_absorption_db_per_m(BANDS_HZ)) > 0)
