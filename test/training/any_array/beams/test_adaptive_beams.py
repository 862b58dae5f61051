from __future__ import annotations

import math

from helpers.array_models import scattered_rig
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import EVERY_PAIR
from avdet_ros.detection.steering import azimuth_grid, expected_coherences
from avdet_ros.training.any_array.beams.adaptive_beams import LOADS, adaptive_beams, inverse

FIRST, SECOND = torch.tensor(EVERY_PAIR).T
AHEAD = range(64)


def waves(seed: int, band: int = 22) -> Tensor:
    """Return (80, 8) complex64 waves from each direction at the microphones of a rig."""
    places_m = scattered_rig(seed).microphones_m
    azimuths = np.radians(azimuth_grid())
    directions = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=-1)
    hz = 1000.0 * band / 22
    lead_s = directions @ places_m[:, :2].T / 343.0
    return torch.from_numpy(np.exp(2j * np.pi * hz * lead_s).astype(np.complex64))


def pair_values(matrices: Tensor) -> Tensor:
    """Return (..., 56) real and imaginary parts of (..., 8, 8) matrices."""
    return torch.view_as_real(matrices[..., FIRST, SECOND]).flatten(-2)


def beam_maps(matrix: Tensor, waves: Tensor, alive: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return both (A,) maps of one band and frame from (8, 8) coherences."""
    alive = torch.ones(1, 8) if alive is None else alive
    live = (alive[0, :, None] * alive[0]).to(matrix.dtype)
    expected = pair_values(waves[:, :, None] * waves[:, None].conj() * live)[None, None]
    coherence = pair_values(matrix * live)[None, None, :, None]
    both = adaptive_beams(coherence, expected, alive)
    assert both.shape == (1, 2, len(waves), 1)
    return both[0, 0, :, 0], both[0, 1, :, 0]


def mixture(waves: Tensor, parts: dict[int, float], noise: float) -> Tensor:
    """Return (8, 8) coherences of waves from some columns plus independent microphone noise."""
    powers = torch.tensor(list(parts.values()), dtype=torch.complex64)
    steered = waves[list(parts)]
    matrix = (steered.T * powers) @ steered.conj() + noise * torch.eye(8)
    return matrix / (sum(parts.values()) + noise)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_inverses_match_torch_linalg_inv(seed, samples):
    rng = torch.Generator().manual_seed(seed)
    signals = torch.randn(5, 8, samples, dtype=torch.complex64, generator=rng)
    matrices = signals @ signals.mH / samples + 0.1 * torch.eye(8)
    real, imaginary = inverse(*(part.permute(1, 2, 0) for part in (matrices.real, matrices.imag)))
    found = torch.complex(real, imaginary).permute(2, 0, 1)
    torch.testing.assert_close(found, torch.linalg.inv(matrices), atol=1e-4, rtol=1e-4)


def test_both_maps_are_smallest_at_the_direction_of_a_single_wave():
    """(L + a a^H)^-1 a = a / (L + n): Sherman and Morrison."""
    steered = waves(0)
    quiet, amplified = beam_maps(mixture(steered, {40: 1.0}, 0.0), steered)
    little, much = LOADS
    assert float(quiet[40]) == pytest.approx(-math.log(8 + little), abs=1e-4)
    assert float(amplified[40]) == pytest.approx(-math.log(8 + much), abs=1e-3)
    assert int(quiet[AHEAD].argmin()) == int(amplified[AHEAD].argmin()) == 40


@pytest.mark.parametrize('seed', range(4))
def test_faint_wave_has_a_separate_peak_next_to_a_loud_one(seed):
    """12 dB below and 26 degrees away: it has a peak that the steered response lacks."""
    steered = waves(seed, band=35)
    matrix = mixture(steered, {25: 1.0, 40: 0.06}, 0.01)
    quiet, amplified = beam_maps(matrix, steered)
    for found in (-quiet, -amplified):
        peaks = found[1:-1] > torch.maximum(found[:-2], found[2:])
        others = [column for column in AHEAD if peaks[column - 1] and abs(column - 25) > 3]
        best = max(others, key=lambda column: float(found[column]))
        assert abs(best - 40) <= 1
    response = torch.einsum('ai,ij,aj->a', steered.conj(), matrix, steered).real[AHEAD]
    aside = torch.tensor([abs(column - 25) > 3 for column in AHEAD])
    assert abs(int(torch.where(aside, response, 0.0).argmax()) - 40) > 1


def test_dead_microphones_are_ignored():
    """The other seven microphones act as an array of seven."""
    steered = waves(1)
    alive = torch.ones(1, 8)
    alive[0, 3] = 0
    quiet, _ = beam_maps(mixture(steered, {30: 1.0}, 0.05), steered, alive)
    assert float(quiet[30]) == pytest.approx(-math.log((7 + 0.05) / 1.05 + LOADS[0]), abs=1e-3)
    assert int(quiet[AHEAD].argmin()) == 30


def test_silence_and_impossible_geometry_give_finite_maps():
    nothing = torch.zeros(2, 3, 56, 5)
    wild = 1e3 * torch.randn(2, 3, 80, 56, generator=torch.Generator().manual_seed(0))
    alive = torch.zeros(2, 8)
    for expected in (torch.zeros(1, 3, 80, 56), wild):
        assert adaptive_beams(nothing, expected, alive[:1]).isfinite().all()
        full = torch.ones(2, 3, 56, 5)
        assert adaptive_beams(full, expected, alive[:1] + 1).isfinite().all()


def test_expected_coherences_of_a_rig_are_found_in_their_direction():
    """Coherences from `detection.steering` give minima in their direction."""
    front_end = FrontEnd(pair_count=28)
    rig = scattered_rig(2)
    azimuths = np.radians(azimuth_grid())
    directions = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=-1)
    expected = 28 * expected_coherences(front_end, rig.microphones_m, directions)[20:50]
    expected = torch.from_numpy(expected)[None]
    coherence = expected[:, :, 17, :, None]
    both = adaptive_beams(coherence, expected, torch.ones(1, 8))
    for kind in both[0, :, AHEAD, 0].reshape(2, 30, 64):
        assert int(kind.mean(dim=0).argmin()) == 17
