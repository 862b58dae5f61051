"""Spectra of moving sources at many microphones: one signal per path, then phase shifts.

The exact method (`propagation.add_path`) reads a source's signal once for each microphone. Here it
is read once per path, as the middle of the array receives it, including the Doppler effect, and
cut into frames. Each microphone receives the same signal slightly earlier or later. With R_p the
Fourier transform of a frame of N samples of path p, without a window, and d its delay in samples,
the microphone's spectrum X is

    Y(k) = sum over p of g R_p(k) exp(-2 pi i k d / N),
    X(k) = Y(k) / 2 - Y(k - 1) / 4 - Y(k + 1) / 4,

The Hann window is applied last, so that it stays in place while the sound is shifted. Neglected
are the change of d within a frame, and the d samples that enter at one end of the frame.
"""

from __future__ import annotations

from functools import lru_cache

from numba import njit
import numpy as np

from avdet_ros.rig import MICROPHONES

FRAME = 1024
HOP = 256
BINS = FRAME // 2 + 1
KNOT = 512
"""Samples between the instants for which emission times are solved."""

_FAST = {'contract', 'reassoc', 'nsz'}

LANES = 2 * MICROPHONES
"""Number of rows of a spectrum: real parts of the eight microphones, then imaginary parts."""


def knots_for(frames: int) -> int:
    """Return the number of knots that span `frames`; the first lies at their first sample."""
    return ((frames - 1) * HOP + FRAME) // KNOT + 2


@njit(cache=True, nogil=True, fastmath=_FAST)
def shape_frames(
    spectra: np.ndarray, shape: np.ndarray, knot_frames: int, out: np.ndarray, add: bool
) -> None:
    """Multiply spectra by a shape that changes slowly.

    Args:
        spectra: (F, B) complex64 spectra of the frames.
        shape: (S, B) float32 amplitudes, a row every `knot_frames` frames.
        knot_frames: frames between two rows of the shape.
        out: (F, >= B) complex64, filled or added to in the first B bins.
        add: whether to add to `out`.
    """
    bins = spectra.shape[1]
    for f in range(len(spectra)):
        s = min(f // knot_frames, len(shape) - 2)
        part = np.float32((f - s * knot_frames) / knot_frames)
        low, high = shape[s], shape[s + 1]
        row, target = spectra[f], out[f]
        if add:
            for k in range(bins):
                target[k] += row[k] * (low[k] + part * (high[k] - low[k]))
        else:
            for k in range(bins):
                target[k] = row[k] * (low[k] + part * (high[k] - low[k]))


STEPS = 64
"""Steps per sample to which delays are rounded: at most 0.18 us off at 44.1 kHz."""

LONGEST = 400
"""Maximum delay in samples, either way."""


@lru_cache(maxsize=1)
def phase_tables() -> tuple[np.ndarray, np.ndarray]:
    """Tabulate exp(-2 pi i k d / FRAME) for whole delays and for fractions of a sample.

    Returns:
        whole: (2, 2 LONGEST + 1, BINS) float32, real and imaginary parts, d from -LONGEST.
        parts: (2, STEPS, BINS) float32, d in steps of 1 / STEPS.
    """
    bins = np.arange(BINS)
    whole = np.exp(-2j * np.pi / FRAME * np.arange(-LONGEST, LONGEST + 1)[:, None] * bins)
    parts = np.exp(-2j * np.pi / FRAME * np.arange(STEPS)[:, None] / STEPS * bins)
    return (
        np.stack([whole.real, whole.imag]).astype(np.float32),
        np.stack([parts.real, parts.imag]).astype(np.float32),
    )


@njit(cache=True, nogil=True, fastmath=_FAST)
def _add_turned(
    re: np.ndarray,
    im: np.ndarray,
    a_re: np.ndarray,
    a_im: np.ndarray,
    b_re: np.ndarray,
    b_im: np.ndarray,
    gain: np.float32,
    out_re: np.ndarray,
    out_im: np.ndarray,
) -> None:
    """Add gain (re + i im) a b, in one loop that the compiler vectorises."""
    for k in range(len(out_re)):
        c = a_re[k] * b_re[k] - a_im[k] * b_im[k]
        s = a_re[k] * b_im[k] + a_im[k] * b_re[k]
        out_re[k] += gain * (re[k] * c - im[k] * s)
        out_im[k] += gain * (re[k] * s + im[k] * c)


@njit(cache=True, nogil=True, fastmath=_FAST)
def add_ways(
    spectra: np.ndarray,
    bins: np.ndarray,
    delays: np.ndarray,
    gains: np.ndarray,
    whole: np.ndarray,
    parts: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add all paths at eight microphones: Y of the module's equation.

    Args:
        spectra: (P, F, BINS) complex64, frames of each path's signal, no window.
        bins: (P,) number of bins of each path to add, at least 2.
        delays: (P, A, K, 8) delays in samples at the knots, two knots per frame.
        gains: (P, A, K, 8) gains at the knots.
        whole: first table of `phase_tables`.
        parts: second table of `phase_tables`.
        out: (A, F, LANES, BINS) float32, added to.
    """
    re, im = np.zeros(BINS, np.float32), np.zeros(BINS, np.float32)
    for f in range(out.shape[1]):
        middle = f * HOP + FRAME // 2
        k0 = middle // KNOT
        part = (middle - k0 * KNOT) / KNOT
        for p in range(spectra.shape[0]):
            row, n = spectra[p, f], bins[p]
            for k in range(n):
                re[k] = row[k].real
            for k in range(n):
                im[k] = row[k].imag
            for a in range(out.shape[0]):
                low, high = gains[p, a, k0], gains[p, a, k0 + 1]
                early, late = delays[p, a, k0], delays[p, a, k0 + 1]
                for m in range(MICROPHONES):
                    gain = np.float32(low[m] + part * (high[m] - low[m]))
                    if gain == 0:
                        continue
                    delay = early[m] + part * (late[m] - early[m])
                    steps = int(np.floor((delay + LONGEST) * STEPS + 0.5))
                    steps = min(max(steps, 0), 2 * LONGEST * STEPS)
                    i, j = steps // STEPS, steps % STEPS
                    _add_turned(
                        re,
                        im,
                        whole[0, i],
                        whole[1, i],
                        parts[0, j],
                        parts[1, j],
                        gain,
                        out[a, f, m][:n],
                        out[a, f, MICROPHONES + m][:n],
                    )


@njit(cache=True, nogil=True, fastmath=_FAST)
def _smooth(before: np.ndarray, here: np.ndarray, after: np.ndarray, out: np.ndarray) -> None:
    for k in range(len(out)):
        out[k] = np.float32(0.5) * here[k] - np.float32(0.25) * (before[k] + after[k])


@njit(cache=True, nogil=True, fastmath=_FAST)
def apply_window(spectra: np.ndarray) -> None:
    """Apply the Hann window to (..., LANES, BINS) float32 spectra of frames, in place."""
    line = np.zeros(BINS + 2, np.float32)
    for a in range(spectra.shape[0]):
        for f in range(spectra.shape[1]):
            for lane in range(LANES):
                row = spectra[a, f, lane]
                line[1 : BINS + 1] = row
                sign = np.float32(1 if lane < MICROPHONES else -1)
                line[0], line[BINS + 1] = sign * row[1], sign * row[BINS - 2]
                _smooth(line[:BINS], line[1 : BINS + 1], line[2:], row)


@njit(cache=True, nogil=True, fastmath=_FAST)
def add_noise(
    bank_re: np.ndarray,
    bank_im: np.ndarray,
    first: np.ndarray,
    turn: np.ndarray,
    level: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add independent noise to each microphone.

    Args:
        bank_re: (N, BINS) float32, spectra of white noise under the Hann window, real parts.
        bank_im: their imaginary parts.
        first: (A, 8) frame of the bank at which each microphone begins.
        turn: (A, 8) phase by which all spectra of a microphone are rotated.
        level: (A, 8, BINS) float32 amplitudes.
        out: (A, F, LANES, BINS) float32, added to.
    """
    for a in range(out.shape[0]):
        for m in range(MICROPHONES):
            c, s = np.float32(np.cos(turn[a, m])), np.float32(np.sin(turn[a, m]))
            for f in range(out.shape[1]):
                re, im = bank_re[first[a, m] + f], bank_im[first[a, m] + f]
                _add_scaled(level[a, m], re, im, c, s, out[a, f, m], out[a, f, MICROPHONES + m])


@njit(cache=True, nogil=True, fastmath=_FAST)
def _add_scaled(
    level: np.ndarray,
    re: np.ndarray,
    im: np.ndarray,
    c: np.float32,
    s: np.float32,
    out_re: np.ndarray,
    out_im: np.ndarray,
) -> None:
    for k in range(len(out_re)):
        out_re[k] += level[k] * (c * re[k] - s * im[k])
        out_im[k] += level[k] * (s * re[k] + c * im[k])


@njit(cache=True, nogil=True, fastmath=_FAST)
def shape_rows(
    density_db: np.ndarray,
    loss_db: np.ndarray,
    distance_m: np.ndarray,
    extra_db: np.ndarray,
    slope: np.ndarray,
    octaves: np.ndarray,
    scale: float,
    out: np.ndarray,
) -> None:
    """Compute amplitudes of noise with given octave densities after its path through the air.

    Args:
        density_db: (S, 8) densities at the octave centres, see `signals.band_density_db`.
        loss_db: (BINS + 1,) float32 loss in air at the bins, dB per metre.
        distance_m: (S,) length of the path through the air.
        extra_db: (S, BINS) float32 further losses, or (S, 0).
        slope: (S,) Doppler factor: received over emitted frequency.
        octaves: (BINS,) float32 octaves of each bin above the first octave's centre.
        scale: amplitude that corresponds to 0 dB per hertz.
        out: (S, B) float32, filled.
    """
    per_db = np.float32(0.115129255)
    for s in range(len(out)):
        shift = np.float32(np.log2(slope[s]))
        row, target = density_db[s], out[s]
        for k in range(len(target)):
            octave = octaves[k] - shift
            place = min(max(octave, np.float32(0)), np.float32(6.999))
            index = int(place)
            part = octave - np.float32(index)
            low, high = np.float32(row[index]), np.float32(row[index + 1])
            if part < 0:
                level = low + np.float32(9) * part
            elif part > 1:
                level = high - np.float32(9) * (part - np.float32(1))
            else:
                level = low + (high - low) * part
            given_off = min(np.float32(k / slope[s]), np.float32(len(loss_db) - 1.001))
            g = int(given_off)
            loss = loss_db[g] + (loss_db[g + 1] - loss_db[g]) * (given_off - np.float32(g))
            level -= loss * np.float32(distance_m[s])
            if extra_db.shape[1] > 0:
                level -= extra_db[s, k]
            target[k] = np.float32(scale) * np.exp(per_db * level)


@njit(cache=True, nogil=True)
def density_db(bands_db: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Compute the same as `signals.band_density_db`, compiled.

    Args:
        bands_db: (8,) octave levels, at least -200.
        sample_rate_hz: sample rate of the signal.
    """
    fine = 48
    density = np.empty(8)
    for b in range(8):
        width = 62.5 * 2.0**b * (np.sqrt(2.0) - np.sqrt(0.5))
        density[b] = bands_db[b] - 10 * np.log10(width)
    found = density.copy()
    for _ in range(6):
        for b in range(8):
            energy = 0.0
            for k in range(fine):
                octave = b + (k + 0.5) / fine - 0.5
                frequency = 62.5 * 2.0**octave
                if frequency < sample_rate_hz / 2:
                    index = min(max(int(np.floor(octave)), 0), 6)
                    step = density[index + 1] - density[index]
                    level = density[index] + step * (octave - index)
                    energy += 10 ** (level / 10) * frequency
            energy *= np.log(2.0) / fine
            found[b] = density[b] + 0.8 * (bands_db[b] - 10 * np.log10(energy + 1e-30))
        for b in range(8):
            density[b] = max(found[b], -240.0)
    return density
