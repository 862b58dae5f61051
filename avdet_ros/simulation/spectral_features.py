"""The front end's features computed from spectra, pooled over frames as in training windows."""

from __future__ import annotations

from functools import lru_cache

from numba import njit
import numpy as np

from avdet_ros.audio.features import POOL_FRAMES, POWER_FLOOR, FrontEnd
from avdet_ros.rig import MICROPHONES

_FAST = {'contract', 'reassoc', 'nsz'}


@lru_cache(maxsize=4)
def _bands(front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first bin, bin after the last, and weights (n_mels, longest) of each mel band."""
    filters = front_end.mel_filters
    first = np.array([np.flatnonzero(row)[0] for row in filters])
    last = np.array([np.flatnonzero(row)[-1] + 1 for row in filters])
    weights = np.zeros((len(filters), int((last - first).max())), np.float32)
    for row, (low, high) in enumerate(zip(first, last, strict=True)):
        weights[row, : high - low] = filters[row, low:high]
    return first, last, weights


def spectral_features(spectra: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Compute the same as `FrontEnd.compute` and `pool_frames`, from spectra.

    Args:
        spectra: (frames, 16, bins) float32 spectra of the front end's frames under its window:
            real parts of the eight microphones, then imaginary parts.
        front_end: defines the mel bands.

    Returns:
        (8 + 2 pairs, n_mels, ceil(frames / POOL_FRAMES)) float32.
    """
    first, last, weights = _bands(front_end)
    pooled = -(-len(spectra) // POOL_FRAMES)
    pairs = np.array(front_end.pairs)
    rows = MICROPHONES + 2 * len(pairs)
    out = np.zeros((pooled, rows, front_end.n_mels), np.float32)
    _compute(spectra, first, last, weights, pairs, out)
    return np.ascontiguousarray(out.transpose(1, 2, 0))


@njit(cache=True, nogil=True, fastmath=_FAST)
def _mel(
    values: np.ndarray, first: np.ndarray, last: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    for band in range(len(first)):
        part = values[first[band] : last[band]]
        weight = weights[band]
        total = np.float32(0)
        for k in range(len(part)):
            total += weight[k] * part[k]
        out[band] = total


@njit(cache=True, nogil=True, fastmath=_FAST)
def _power(re: np.ndarray, im: np.ndarray, out: np.ndarray) -> None:
    for k in range(len(out)):
        out[k] = re[k] * re[k] + im[k] * im[k]


@njit(cache=True, nogil=True, fastmath=_FAST)
def _cross(
    a_re: np.ndarray,
    a_im: np.ndarray,
    b_re: np.ndarray,
    b_im: np.ndarray,
    re: np.ndarray,
    im: np.ndarray,
) -> None:
    """Compute a times the conjugate of b."""
    for k in range(len(re)):
        re[k] = a_re[k] * b_re[k] + a_im[k] * b_im[k]
        im[k] = a_im[k] * b_re[k] - a_re[k] * b_im[k]


@njit(cache=True, nogil=True, fastmath=_FAST)
def _compute(
    spectra: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    weights: np.ndarray,
    pairs: np.ndarray,
    out: np.ndarray,
) -> None:
    frames, lanes, bins = spectra.shape
    count, mels = lanes // 2, len(first)
    floor = np.float32(POWER_FLOOR)
    line, other = np.zeros(bins, np.float32), np.zeros(bins, np.float32)
    power = np.zeros((count, mels), np.float32)
    scale = np.zeros((count, mels), np.float32)
    mean = np.zeros(mels, np.float32)
    product = np.ones((count, mels))
    one = np.float32(1)
    for g in range(len(out)):
        start, stop = g * POOL_FRAMES, min((g + 1) * POOL_FRAMES, frames)
        product[:] = 1.0
        for f in range(start, stop):
            x = spectra[f]
            for m in range(count):
                _power(x[m], x[count + m], line)
                _mel(line, first, last, weights, power[m])
                for b in range(mels):
                    product[m, b] *= max(power[m, b], floor)
                    scale[m, b] = one / np.sqrt(power[m, b] + floor)
            for p in range(len(pairs)):
                i, j = pairs[p]
                _cross(x[i], x[count + i], x[j], x[count + j], line, other)
                _mel(line, first, last, weights, mean)
                for b in range(mels):
                    out[g, count + 2 * p, b] += mean[b] * scale[i, b] * scale[j, b]
                _mel(other, first, last, weights, mean)
                for b in range(mels):
                    out[g, count + 2 * p + 1, b] += mean[b] * scale[i, b] * scale[j, b]
        weight = np.float32(1.0 / (stop - start))
        for m in range(count):
            for b in range(mels):
                out[g, m, b] = weight * np.float32(10.0) * np.log10(product[m, b])
        for row in range(count, out.shape[1]):
            for b in range(mels):
                out[g, row, b] *= weight
