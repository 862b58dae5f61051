"""A bank of white noise, made once, for sources and microphones.

Each source reads the bank from its own position; each microphone takes spectra from its own one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from avdet_ros.simulation.path_spectra import FRAME, HOP
from avdet_ros.simulation.path_ways import reading_filters
from avdet_ros.simulation.propagation import sinc_filters

SAMPLES = 1 << 20
_SEED = 41


@dataclass(frozen=True, eq=False)
class NoiseBank:
    """White noise of mean square 1.

    Attributes:
        rows: (S, 8) float32 from `path_ways.reading_filters`.
        spectra_re: (N, BINS) float32, spectra of its frames under the Hann window, real parts.
        spectra_im: their imaginary parts.
    """

    rows: np.ndarray
    spectra_re: np.ndarray
    spectra_im: np.ndarray


@lru_cache(maxsize=2)
def noise_bank(sample_rate_hz: int, samples: int = SAMPLES) -> NoiseBank:
    """Return the bank, made at first use, the same in every process."""
    white = np.random.default_rng(_SEED).standard_normal(samples, np.float32)
    taper = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
    frames = sliding_window_view(white, FRAME)[::HOP]
    spectra = fft.rfft(frames * taper, axis=-1)
    rows = reading_filters(white, sinc_filters(sample_rate_hz))
    return NoiseBank(rows, np.ascontiguousarray(spectra.real), np.ascontiguousarray(spectra.imag))
