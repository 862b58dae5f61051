from __future__ import annotations

from helpers.array_models import scattered_rig
import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import steering
from avdet_ros.training.any_array.beams.deconvolution import (
    deconvolve,
    gram,
    grouped_bands,
    pooled_by_power,
)


def scaled_steering(seed: int) -> torch.Tensor:
    """Return (80, 80, 24) weights; a single wave's response in its direction is 1."""
    weights = torch.from_numpy(steering(scattered_rig(seed), FrontEnd()))
    return weights * 12**0.5


@pytest.mark.parametrize('seed', range(3))
def test_deconvolution_separates_two_blurred_sources(seed):
    """Two waves 16 degrees apart: most of the output lies in their directions."""
    expected = scaled_steering(seed)[20:40]
    true = torch.zeros(80)
    true[[28, 37]] = torch.tensor([0.6, 0.4])
    measured = torch.einsum('bac,a->bc', expected, true)[:, None]
    response = torch.matmul(measured, expected.transpose(1, 2))
    parts = deconvolve(response, gram(expected), 200)
    assert parts.min() >= 0
    shares = parts.mean(dim=(0, 1))
    near = shares[27:30].sum() + shares[36:39].sum()
    assert near / shares.sum() > 0.7
    assert shares[27:30].sum() > shares[36:39].sum()
    blurred = response.clamp(min=0).mean(dim=(0, 1))
    assert near / shares.sum() > 2 * (blurred[27:30].sum() + blurred[36:39].sum()) / blurred.sum()


def test_misfit_is_finite_and_decreases_with_more_steps():
    expected = scaled_steering(0)
    rng = torch.Generator().manual_seed(0)
    measured = torch.randn(80, 3, 24, generator=rng) * 0.2
    response, alike = torch.matmul(measured, expected.transpose(1, 2)), gram(expected)

    def misfit(steps: int) -> float:
        parts = deconvolve(response, alike, steps)
        return float((measured - torch.matmul(parts, expected)).square().sum())

    fits = [misfit(steps) for steps in (0, 4, 12, 60)]
    assert np.isfinite(fits).all()
    assert fits == sorted(fits, reverse=True)


def test_silence_gives_zero_in_every_direction():
    expected = scaled_steering(0)
    assert deconvolve(torch.zeros(80, 4, 80), gram(expected), 5).abs().max() == 0
    assert torch.isfinite(deconvolve(torch.zeros(2, 4, 8), torch.zeros(2, 8, 8), 5)).all()


def test_frames_are_pooled_as_cross_spectra_not_as_coherences():
    rng = np.random.default_rng(0)
    cross = rng.normal(size=(1, 2, 24, 4))
    power = 10 ** rng.uniform(-8, 0, (1, 2, 4))
    level_db = torch.from_numpy(10 * np.log10(power))
    coherence = torch.from_numpy(cross / power[:, :, None])
    found = pooled_by_power(coherence, level_db, 2).numpy()
    summed = cross.reshape(1, 2, 24, 2, 2).sum(-1)
    np.testing.assert_allclose(
        found, summed / power.reshape(1, 2, 2, 2).sum(-1)[:, :, None], rtol=1e-9
    )


def test_grouped_bands_are_concatenated_on_the_last_axis():
    values = torch.arange(2 * 4 * 3 * 5.0).view(2, 4, 3, 5)
    grouped = grouped_bands(values, 2)
    assert grouped.shape == (2, 2, 3, 10)
    assert torch.equal(grouped[1, 1, 2, :5], values[1, 2, 2])
    assert torch.equal(grouped[1, 1, 2, 5:], values[1, 3, 2])
