"""Plane waves across the array against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.geometry import (
    ALL_PAIRS,
    SPEED_OF_SOUND_MPS,
    cross_phases,
    directions_around,
    phase_spectra,
    speed_of_sound_mps,
    steered_power,
)
from avdet_ros.audio.samples import to_float, to_int16

RATE_HZ = 16000


@pytest.mark.parametrize(('celsius', 'mps'), [(20, 343.2), (0, 331.3), (-20, 318.9), (40, 354.7)])
def test_speed_of_sound_matches_table_values(celsius, mps):
    assert speed_of_sound_mps(celsius) == pytest.approx(mps, abs=0.1)


def test_directions_go_counterclockwise_from_ahead():
    azimuths, directions = directions_around(4)
    assert azimuths == pytest.approx([0, np.pi / 2, np.pi, 3 * np.pi / 2])
    expected = [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]
    np.testing.assert_allclose(directions, expected, atol=1e-12)


@pytest.fixture
def places():
    rng = np.random.default_rng(2)
    return rng.uniform(-0.3, 0.3, (8, 3))


def wave(places, azimuth, tones_hz=(500.0, 1250.0), seconds=0.5):
    """Tones from an azimuth, which reach microphones on that side earlier."""
    ahead_s = places[:, :2] @ [np.cos(azimuth), np.sin(azimuth)] / SPEED_OF_SOUND_MPS
    t = np.arange(round(seconds * RATE_HZ))[:, None] / RATE_HZ + ahead_s
    return sum(np.sin(2 * np.pi * f * t) for f in tones_hz)


def test_phase_spectra_have_unit_magnitude_in_their_band():
    sound = np.random.default_rng(0).normal(size=(2560, 8))
    sound[:, 3] = 0
    spectra, frequencies_hz = phase_spectra(sound, RATE_HZ, 1024, (500.0, 2000.0))
    # Half-overlapping frames of 64 ms; bins of 15.625 Hz.
    assert spectra.shape == (4, 8, 97)
    assert (frequencies_hz[0], frequencies_hz[-1]) == (500, 2000)
    sizes = np.abs(spectra)
    np.testing.assert_allclose(sizes[:, np.arange(8) != 3], 1, rtol=1e-5)
    assert not sizes[:, 3].any()
    assert len(phase_spectra(sound[:1023], RATE_HZ, 1024, (500, 2000))[0]) == 0
    assert len(phase_spectra(sound[:1024], RATE_HZ, 1024, (500, 2000))[0]) == 1
    second = np.fft.rfft(sound[512:1536, 5] * np.hanning(1024))[32]
    assert np.angle(spectra[1, 5, 0]) == pytest.approx(np.angle(second), abs=1e-4)


def test_cross_phase_is_first_times_conjugate_of_second():
    assert len(ALL_PAIRS) == 28
    assert ALL_PAIRS[[0, 6, 7, 27]].tolist() == [[0, 1], [0, 7], [1, 2], [6, 7]]
    spectra = np.exp(1j * np.arange(8))[:, None]
    assert np.angle(cross_phases(spectra)[0, 0]) == pytest.approx(-1)
    assert cross_phases(np.ones((3, 8, 5))).shape == (3, 28, 5)


@pytest.mark.parametrize('azimuth_deg', [10, 100, 215])
def test_steered_power_peaks_at_one_in_the_wave_direction(places, azimuth_deg):
    spectra, frequencies_hz = phase_spectra(
        wave(places, np.radians(azimuth_deg)), RATE_HZ, 1024, (480.0, 520.0)
    )
    azimuths, directions = directions_around(72)
    lead_s = directions @ places.T / SPEED_OF_SOUND_MPS
    at = int(np.abs(frequencies_hz - 500).argmin())
    cross = cross_phases(spectra)[..., at : at + 1]
    power = steered_power(cross, frequencies_hz[at : at + 1], lead_s).mean(axis=0)
    assert power.shape == (72,)
    assert np.degrees(azimuths[power.argmax()]) == pytest.approx(azimuth_deg)
    assert power.max() == pytest.approx(1, abs=0.01)
    assert power.min() < 0.9


def test_samples_convert_to_float_and_back():
    whole = np.array([[-32768, -1, 0, 16384, 32767]], np.int16)
    parts = to_float(whole)
    assert parts.dtype == np.float32
    assert parts.tolist() == [[-1, -1 / 32768, 0, 0.5, 32767 / 32768]]
    assert to_int16(parts).tolist() == whole.tolist()
    assert to_int16(np.array([-1.5, 1.0, 1.5, 0.4 / 32768, 0.6 / 32768])).tolist() == [
        -32768,
        32767,
        32767,
        0,
        1,
    ]
    odd = to_float(np.array([np.nan, np.inf, -np.inf, 2.5]))
    assert odd.tolist() == [0, 0, 0, 2.5]
    assert odd.dtype == np.float32
