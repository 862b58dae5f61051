"""Sound from each direction with all other directions nulled; nothing here is learned.

Next to a loud vehicle, a faint one is lost in the side lobes of the steered response. Let C be the
cross-spectral matrix of the live microphones, normalised to power 1 each, with a load L added to
the diagonal, P its inverse, and `a` a wave from some direction. The weights that pass this wave,
and as little else as possible, have the output power 1 / (a^H P a) (J. Capon, "High-resolution
frequency-wavenumber spectrum analysis", Proceedings of the IEEE 57, 1969). The noise gain of such
a beam, a^H P P a / a^H P a, is smallest where a wave really comes from (G. Borgiotti and L.
Kaplan, "Superresolution of uncorrelated interference sources by using adaptive array techniques",
IEEE Transactions on Antennas and Propagation 27, 1979). With two loads L < M, the product of their
inverses is a difference, P_L P_M = (P_L - P_M) / (M - L), which replaces P P here.

Both are linear in P and in the expected coherences a_i conj(a_j), the steering of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avdet_ros.audio.microphone_pairs import EVERY_PAIR
from avdet_ros.rig import MICROPHONES

LOADS = (0.1, 0.3)
"""Diagonal loads relative to a microphone's power. A tenth of a second holds too few independent
samples of a band to tell fainter parts of it from chance, and positions are known only to some
millimetres."""

LEAST_BEAM, LEAST_DIFFERENCE = 1e-3, 1e-4
"""Lower bounds. Both are positive; rounding or wrong data about an array may push them lower."""

_AT_A_TIME = 2048
"""Matrices inverted at once, so that they fit a core's cache."""

ALL_PAIRS = len(EVERY_PAIR)


def _entries() -> tuple[Tensor, Tensor]:
    """Pair (`ALL_PAIRS` on the diagonal) and imaginary sign of each entry of C, row by row."""
    pair_of = torch.full((MICROPHONES, MICROPHONES), ALL_PAIRS)
    sign = torch.zeros(MICROPHONES, MICROPHONES)
    for pair, (first, second) in enumerate(EVERY_PAIR):
        pair_of[first, second] = pair_of[second, first] = pair
        sign[first, second], sign[second, first] = 1.0, -1.0
    return pair_of.flatten(), sign.flatten()


_PAIR_OF, _SIGN = _entries()
_FIRST, _SECOND = torch.tensor(EVERY_PAIR).T


def adaptive_beams(coherence: Tensor, expected: Tensor, alive: Tensor) -> Tensor:
    """Compute how much adaptive beams keep out, and how much they amplify noise.

    Args:
        coherence: (B, M, 56, T) real and imaginary parts of all 28 pairs of microphones, in M
            bands and T frames; 0 for pairs with a dead microphone.
        expected: (B or 1, M, A, 56) coherences of a single wave from each direction, of magnitude
            1 or less; 0 for pairs with a dead microphone.
        alive: (B or 1, 8) float32, 1 for each live microphone.

    Returns:
        (B, 2 M, A, T) float32: log(a^H P a / n) of n live microphones, from about -log(n) in the
        direction that all sound comes from, up to 2; then log(a^H P P a / a^H P a).
    """
    batch, bands, _, frames = coherence.shape
    size = (batch, bands, frames)
    # Matrices on the last axis: each step of the inversion is then one long, even loop.
    entries = coherence.permute(2, 0, 1, 3).reshape(2 * ALL_PAIRS, -1)
    low_load, high_load = LOADS
    beam = _along(*_inverses(entries, low_load), expected, alive, size).clamp(min=LEAST_BEAM)
    other = _along(*_inverses(entries, high_load), expected, alive, size)
    amplified = (beam - other).clamp(min=LEAST_DIFFERENCE) / (beam * (high_load - low_load))
    live = alive.sum(dim=1).clamp(min=1.0)[:, None, None, None]
    logarithms = [torch.log(beam / live), torch.log(amplified)]
    return torch.cat(logarithms, dim=1).transpose(2, 3)


def _inverses(entries: Tensor, load: float) -> tuple[Tensor, Tensor]:
    """(8, 8, N) real and imaginary parts of the inverses of C + load from (56, N) coherences."""
    parts = [inverse(*_matrices(some, load)) for some in entries.split(_AT_A_TIME, dim=1)]
    real, imaginary = zip(*parts, strict=True)
    return torch.cat(real, dim=-1), torch.cat(imaginary, dim=-1)


def _matrices(entries: Tensor, load: float) -> tuple[Tensor, Tensor]:
    """(8, 8, N) real and imaginary parts of C + load."""
    own = torch.full_like(entries[:1], 1 + load)
    pair_of, sign = _PAIR_OF.to(entries.device), _SIGN.to(entries)[:, None]
    real = torch.cat([entries[::2], own])[pair_of]
    imaginary = torch.cat([entries[1::2], own])[pair_of] * sign
    size = (MICROPHONES, MICROPHONES, -1)
    return real.reshape(size), imaginary.reshape(size)


def inverse(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Invert Hermitian, positive definite matrices with operators that any runtime has.

    Every row and column is swept in turn (J. Goodnight, "A tutorial on the SWEEP operator", The
    American Statistician 33, 1979). With c the column k, less 1 at k, A - c c^H / A_kk is A swept,
    except for a 2 at k, k that no later step reads.

    Args:
        real: (8, 8, N).
        imaginary: (8, 8, N).

    Returns:
        real and imaginary parts of the inverses, (8, 8, N) each.
    """
    one = torch.eye(MICROPHONES, dtype=real.dtype, device=real.device)[..., None]
    for k in range(MICROPHONES):
        column_re, column_im = real[:, k] - one[:, k], imaginary[:, k]
        pivot = real[k, k].reciprocal()
        scaled_re, scaled_im = (column_re * pivot)[:, None], (column_im * pivot)[:, None]
        real = real - scaled_re * column_re - scaled_im * column_im
        imaginary = imaginary - scaled_im * column_re + scaled_re * column_im
    return 2 * one - real, -imaginary


def _along(
    real: Tensor, imaginary: Tensor, expected: Tensor, alive: Tensor, size: tuple[int, int, int]
) -> Tensor:
    """Compute a^H P a, (B, M, T, A), of (8, 8, B M T) matrices P."""
    microphone = torch.arange(MICROPHONES, device=real.device)
    own = real[microphone, microphone].reshape(MICROPHONES, *size)
    own = (own * alive.T[:, :, None, None]).sum(dim=0)[..., None]
    first, second = _FIRST.to(real.device), _SECOND.to(real.device)
    pairs = torch.stack([real[first, second], imaginary[first, second]], dim=1)
    pairs = pairs.reshape(2 * ALL_PAIRS, *size).permute(1, 2, 3, 0)
    return own + 2 * torch.matmul(pairs, expected.transpose(-1, -2))
