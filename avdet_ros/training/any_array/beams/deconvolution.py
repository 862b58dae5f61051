"""Deconvolution: sound by direction with the array's blur removed; no parameters.

The coherences of a band are a mixture C = sum over directions of q_a E_a, with the expected
coherences E of the array and the shares q >= 0 of the sound from each direction. The steered
response E^T C is q seen through the array's beam; q itself is the non-negative least squares
solution, approximated here by a fixed number of steps of accelerated projected gradient (Y.
Nesterov 1983; for beamforming maps: T. Brooks and W. Humphreys, "DAMAS", Journal of Sound and
Vibration 294, 2006, and R. Dougherty, "Extensions of DAMAS", AIAA 2005-2961).
"""

from __future__ import annotations

import torch
from torch import Tensor


def pooled_by_power(coherence: Tensor, level_db: Tensor, frames: int) -> Tensor:
    """Combine coherences into longer frames: add cross-spectra and powers, then divide.

    Args:
        coherence: (B, n_mels, C, T) real and imaginary parts.
        level_db: (B, n_mels, T) level of the band.
        frames: how many become one; T is a multiple of it.

    Returns:
        (B, n_mels, C, T // frames).
    """
    # Relative to the loudest frame, as powers of quiet bands underflow in half precision.
    level_db = level_db.unflatten(-1, (-1, frames))
    power = torch.exp((level_db - level_db.amax(dim=-1, keepdim=True)) * (2.302585093 / 10))
    share = power / power.sum(dim=-1, keepdim=True)
    return (coherence.unflatten(-1, (-1, frames)) * share[:, :, None]).sum(dim=-1)


def grouped_bands(values: Tensor, bands: int) -> Tensor:
    """Combine neighbouring bands into one with several times the measurements.

    Args:
        values: (..., n_mels, N, C), a multiple of ``bands`` mel bands.
        bands: how many become one.

    Returns:
        (..., n_mels // bands, N, bands * C).
    """
    values = values.unflatten(-3, (-1, bands))
    return values.transpose(-3, -2).flatten(-2)


def gram(expected: Tensor) -> Tensor:
    """Compute how similar every two directions are to the array: (..., A, C) to (..., A, A)."""
    return torch.matmul(expected, expected.transpose(-1, -2))


def deconvolve(response: Tensor, alike: Tensor, steps: int) -> Tensor:
    """Solve non-negative least squares by accelerated projected gradient.

    Args:
        response: (..., T, A) measured E^T C.
        alike: (..., A, A) E^T E, see `gram`.
        steps: number of steps; fixed, so that the loop unrolls.

    Returns:
        (..., T, A) q >= 0, shares of the sound.
    """
    # The largest row sum is at least the largest eigenvalue: with this step nothing diverges.
    largest = alike.abs().sum(dim=-1).amax(dim=-1)[..., None, None].clamp(min=1e-6)
    size = alike.shape[-1]
    keep = torch.eye(size, dtype=alike.dtype, device=alike.device) - alike / largest
    pull = response / largest
    before = parts = torch.relu(pull)
    for step in range(steps):
        momentum, ahead = 1.0, parts
        if step > 1:
            # Look ahead to parts + m (parts - before); m enters in the product, where a factor
            # costs nothing.
            momentum = (step - 1) / (step + 2.0)
            ahead = parts * (1 + 1 / momentum) - before
        before, parts = parts, torch.relu(momentum * torch.matmul(ahead, keep) + pull)
    return parts
