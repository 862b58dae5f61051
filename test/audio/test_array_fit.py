"""Weights of sound segments in the fit of an array, and the effect of near vehicles on it."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio import array_fit
from avdet_ros.audio.array_fit import ArrayFit, _segment_weights, fit_array
from avdet_ros.audio.array_sources import ArrayGuess, Sources
from avdet_ros.audio.wave_fronts import WaveFronts

FREQUENCIES_HZ = np.arange(260.0, 4500.0, 344.0)
SPEED_MPS = 10.0
AXLES_M = 2.7


def fronts_of(strength):
    """Segments of two bands whose weights add up to the given strengths."""
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


def sources_at(azimuths, distance_m=1e6):
    """Sources around a stationary array, by default too far away for distance to matter."""
    count = len(azimuths)
    return Sources(azimuths, np.full(count, np.log(distance_m)), np.zeros(count))


def test_segments_of_a_crowded_sector_share_their_weight():
    """In a sector of 15 degrees 40 segments weigh as much as 20; the 3 others weigh fully."""
    sources = sources_at(np.radians([*np.linspace(16, 29, 40), 14, 31, -1]))
    weights = _segment_weights(fronts_of(np.full(43, 3.0)), sources, np.ones(43, bool))
    assert weights[:40] == pytest.approx(0.5)
    assert weights[40:] == pytest.approx(1)


def test_segment_weight_follows_its_strength_within_bounds():
    """Relative to the median of the counted segments, limited to 0.1 to 2."""
    azimuths = np.radians([0.0, 60, 120, 180, 240, 300])
    counts = np.array([True, True, True, True, True, False])
    strength = [0.01, 3.0, 4.0, 6.0, 90.0, 90.0]
    weights = _segment_weights(fronts_of(strength), sources_at(azimuths), counts)
    assert weights == pytest.approx([0.1, 0.75, 1.0, 1.5, 2.0, 0.0])
    two = sources_at(azimuths[:2])
    assert not _segment_weights(fronts_of([1.0, 2.0]), two, counts[5:].repeat(2)).any()


@pytest.mark.parametrize(('distance_m', 'expected'), [(16, 16 / 17), (8, 1 / 2), (4, 1 / 17)])
def test_near_segment_has_less_weight(distance_m, expected):
    sources = sources_at(np.radians([0.0, 90, 180]), distance_m)
    weights = _segment_weights(fronts_of(np.ones(3)), sources, np.ones(3, bool))
    assert weights == pytest.approx(expected)


@pytest.fixture(scope='module')
def octagon() -> ArrayGuess:
    turn = np.arange(8) * np.pi / 4
    places = 0.25 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    return ArrayGuess(places, np.zeros(8), np.ones(8, bool), height_m=1.5)


def passed_on_the_left(array: ArrayGuess, noise: float = 0.1) -> WaveFronts:
    """Two-axle vehicles pass 4 m to the left, one every five seconds for two minutes."""
    time_s = np.arange(0, 120, 0.186)
    along = np.where(time_s % 10 < 5, 1, -1) * (25 - 10 * (time_s % 5))
    vectors = np.zeros((len(time_s), len(FREQUENCIES_HZ), 8), complex)
    for axle in (-AXLES_M / 2, AXLES_M / 2):
        azimuths, away = np.arctan2(4, along + axle), np.hypot(4, along + axle)
        sources = Sources(azimuths, np.log(away), np.full(len(time_s), SPEED_MPS))
        leads_s = array.leads_s(sources)[:, None]
        # The strongest wave front of two incoherent sources has the mean of their phases.
        vectors += 0.5j * 2 * np.pi * FREQUENCIES_HZ[:, None] * leads_s
    vectors = np.exp(vectors + 1j * np.random.default_rng(0).normal(0, noise, vectors.shape))
    return WaveFronts(
        time_s,
        FREQUENCIES_HZ,
        (vectors / np.sqrt(8)).astype(np.complex64),
        np.full(vectors.shape[:2], 5, np.float32),
        np.zeros((len(time_s), 8), np.float32),
        np.full((len(time_s), 8), -40, np.float32),
        120.0,
    )


def ahead_error_s(fit: ArrayFit, array: ArrayGuess) -> float:
    """RMS error of the leads from ahead and the left, except for a rotation of the array."""
    azimuths = np.radians(np.arange(0, 57, 4.0))
    towards = np.stack([np.cos(azimuths), np.sin(azimuths)])
    turned = np.stack([-np.sin(azimuths), np.cos(azimuths)])
    off = (fit.array.positions_m - array.positions_m)[:, :2] @ towards / 343
    off -= (fit.array.delay_s - array.delay_s)[:, None]
    turn = array.positions_m[:, :2] @ turned / 343
    off -= off.mean(axis=0)
    off -= (off * turn).sum() / (turn**2).sum() * turn
    return float(np.sqrt((off**2).mean()))


def test_near_vehicles_do_not_shrink_the_array(octagon, monkeypatch):
    """Two near axles together make the array appear smaller; from afar they are one source."""
    fronts = passed_on_the_left(octagon)
    speeds_mps = np.full(len(fronts.time_s), SPEED_MPS)
    weighted = ahead_error_s(fit_array(fronts, octagon, speeds_mps=speeds_mps), octagon)
    monkeypatch.setattr(array_fit, 'NEAR_M', 0.01)
    unweighted = ahead_error_s(fit_array(fronts, octagon, speeds_mps=speeds_mps), octagon)
    assert weighted < 6e-6
    assert unweighted > 8e-6


def test_fitted_speeds_stay_close_to_known_speeds(octagon):
    fronts = passed_on_the_left(octagon, noise=0.5)
    speeds_mps = np.full(len(fronts.time_s), SPEED_MPS)
    off = []
    for known in (speeds_mps, np.where(fronts.time_s < 6, speeds_mps, np.nan)):
        fit = fit_array(fronts, octagon, speeds_mps=known)
        off.append(np.sqrt(np.mean((fit.sources.speeds_mps - SPEED_MPS)[fit.counts] ** 2)))
    assert off[0] < 2
    assert off[1] > 1.5 * off[0]
