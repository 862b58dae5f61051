"""Find directions of sound from the phases of the eight channels: plane waves, steered power.

The steered response power with phase transform is P(u) = sum over pairs and bins of
Re(C_ij(f) exp(-2 pi i f (u . (p_i - p_j)) / c)), with C_ij the cross-spectrum divided by its
magnitude; after J. DiBiase, "A High-Accuracy, Low-Latency Technique for Talker Localization in
Reverberant Environments", Brown University 2000.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import MICROPHONES

SPEED_OF_SOUND_MPS = 343.0
"""Speed of sound in dry air at 20 degrees Celsius."""

ALL_PAIRS = np.array([(i, j) for i in range(MICROPHONES) for j in range(i + 1, MICROPHONES)])
"""(28, 2) all pairs of microphones."""


def speed_of_sound_mps(temperature_c: float) -> float:
    """Return the speed of sound in air, 343.2 sqrt(T / 293.15 K) (ISO 9613-1, equation A.5).

    Args:
        temperature_c: air temperature, degrees Celsius.
    """
    return 343.2 * float(np.sqrt((temperature_c + 273.15) / 293.15))


def directions_around(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return evenly spaced horizontal directions all around.

    Args:
        count: number of directions.

    Returns:
        azimuths: (count,) float64 radians, 0 ahead, left positive.
        directions: (count, 3) float64 unit vectors, horizontal.
    """
    azimuths = np.arange(count) * 2 * np.pi / count
    level = np.zeros(count)
    return azimuths, np.stack([np.cos(azimuths), np.sin(azimuths), level], axis=1)


def phase_spectra(
    sound: np.ndarray, sample_rate_hz: int, frame: int, band_hz: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute spectra of half-overlapping frames with all magnitudes set to 1.

    Args:
        sound: (n, 8) floating point.
        sample_rate_hz: its sample rate.
        frame: samples of a frame.
        band_hz: lowest and highest frequency kept.

    Returns:
        spectra: (frames, 8, bins) complex64 of magnitude 1, or 0 where there is no sound.
        frequencies_hz: (bins,) float64.
    """
    frequencies_hz = np.fft.rfftfreq(frame, 1 / sample_rate_hz)
    keep = (frequencies_hz >= band_hz[0]) & (frequencies_hz <= band_hz[1])
    taper = np.hanning(frame).astype(np.float32)
    starts = range(0, len(sound) - frame + 1, frame // 2)
    spectra = np.empty((len(starts), MICROPHONES, int(keep.sum())), np.complex64)
    for row, start in enumerate(starts):
        piece = sound[start : start + frame].T * taper
        spectrum = np.fft.rfft(piece, axis=1)[:, keep]
        spectra[row] = spectrum / np.maximum(np.abs(spectrum), 1e-9)
    return spectra, frequencies_hz[keep]


def cross_phases(spectra: np.ndarray) -> np.ndarray:
    """Return (..., 28, bins) complex64, X_i conj(X_j) of all pairs of (..., 8, bins) spectra."""
    return spectra[..., ALL_PAIRS[:, 0], :] * spectra[..., ALL_PAIRS[:, 1], :].conj()


def steered_power(cross: np.ndarray, frequencies_hz: np.ndarray, lead_s: np.ndarray) -> np.ndarray:
    """Return how well the phases fit each of the given directions.

    Args:
        cross: (..., 28, bins) complex, from `cross_phases`.
        frequencies_hz: (bins,).
        lead_s: (directions, 8) time by which sound from that direction reaches each microphone
            before the origin, (u . p) / c for a plane wave.

    Returns:
        (..., directions) float64 in [-1, 1], 1 for a perfect fit.
    """
    difference_s = lead_s[:, ALL_PAIRS[:, 0]] - lead_s[:, ALL_PAIRS[:, 1]]
    steering = np.exp(-2j * np.pi * difference_s[..., None] * frequencies_hz).astype(np.complex64)
    flat = cross.reshape(*cross.shape[:-2], cross.shape[-2] * cross.shape[-1])
    return (flat @ steering.reshape(len(lead_s), -1).T).real / flat.shape[-1]
