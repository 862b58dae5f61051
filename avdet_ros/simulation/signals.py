"""Signals of sources: shaped noise and engine tones, reproducible piece by piece.

A signal is a sum of overlapping blocks. Each block is drawn from a counter-based generator keyed
by drive, source and block, so any section of any source can be generated independently.
Noise blocks overlap under a sine window (independent noise keeps its power), tones under its
square (coherent tones keep their amplitude). Because a block's noise is generated in the frequency
domain, its spectrum follows the vehicle's speed, and absorption by the air over the present
distance costs nothing extra.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import njit
import numpy as np
from scipy import fft

from avdet_ros.simulation.cnossos import BANDS_HZ

BLOCK = 8192
HOP = BLOCK // 2
TABLE = 8192
"""Samples of one engine cycle in a wave table."""

FULL_SCALE_PA = 20.0
"""Sound pressure of digital full scale: a full-scale square wave has 120 dB SPL."""

REFERENCE_PA = 20e-6
_FLOOR_DB = -200.0
_OFFSET = 1 << 32

TONAL_PART = np.array([0.9, 0.85, 0.7, 0.5, 0.3, 0.1, 0.0, 0.0])
"""(8,) fraction of a combustion engine's energy in harmonics, by octave band (our estimate)."""


@cache
def _bins(sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Locate each frequency bin between the octave centres: index, and fraction (float32)."""
    frequency = np.arange(BLOCK // 2 + 1) * sample_rate_hz / BLOCK
    octave = np.log2(np.maximum(frequency, 1.0) / BANDS_HZ[0])
    index = np.clip(np.floor(octave), 0, len(BANDS_HZ) - 2).astype(np.int64)
    return index, (octave - index).astype(np.float32)


@cache
def _windows() -> tuple[np.ndarray, np.ndarray]:
    sine = np.sin(np.pi * (np.arange(BLOCK) + 0.5) / BLOCK)
    return sine.astype(np.float32), (sine**2).astype(np.float32)


def band_density_db(bands_db: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Compute the spectral density at the octave centres that gives each octave its level.

    The density is linear in dB over the logarithm of the frequency. The values at the centres are
    corrected iteratively until the energy in every octave is right.

    Args:
        bands_db: (8,) octave levels; -inf and very low values are allowed.
        sample_rate_hz: rate of the signal, whose Nyquist frequency may cut the top band.

    Returns:
        (8,) float64, dB re the levels' reference per hertz.
    """
    bands = np.maximum(bands_db, _FLOOR_DB)
    width = BANDS_HZ * (np.sqrt(2) - np.sqrt(0.5))
    density = bands - 10 * np.log10(width)
    fine = BANDS_HZ[:, None] * 2.0 ** ((np.arange(48) + 0.5) / 48 - 0.5)
    inside = fine < sample_rate_hz / 2
    octave = np.log2(fine / BANDS_HZ[0])
    index = np.clip(np.floor(octave), 0, 6).astype(int)
    part = octave - index
    for _ in range(6):
        shape = density[index] + (density[index + 1] - density[index]) * part
        energy = np.sum(10 ** (shape / 10) * fine * inside, axis=1) * np.log(2) / 48
        density = density + 0.8 * (bands - 10 * np.log10(energy + 1e-30))
        density = np.maximum(density, _FLOOR_DB - 40)
    return density


@njit(cache=True, nogil=True)
def _spectrum(
    raw: np.ndarray,
    density_db: np.ndarray,
    index: np.ndarray,
    part: np.ndarray,
    loss_db: np.ndarray,
    scale: np.float32,
    out: np.ndarray,
) -> None:
    """Compute a random spectrum of the given density, which falls off outside the bands."""
    for k in range(len(out)):
        low = density_db[index[k]]
        high = density_db[index[k] + 1]
        level = low + (high - low) * part[k]
        if part[k] < 0:
            level = low + np.float32(9.0) * part[k]
        elif part[k] > 1:
            level = high - np.float32(9.0) * (part[k] - np.float32(1.0))
        amplitude = scale * np.exp(np.float32(0.115129255) * (level - loss_db[k]))
        out[k] = amplitude * (
            np.float32(raw[2 * k]) + np.complex64(1j) * np.float32(raw[2 * k + 1])
        )
    out[0] = 0
    out[-1] = 0


@njit(cache=True, nogil=True)
def _tones(
    table: np.ndarray, phase: np.ndarray, speed: np.ndarray, seconds: float, out: np.ndarray
) -> None:
    """Read a wave table along a phase that is cubic over each half of the block.

    phase, speed: (3,) cycles and cycles per second at the block's start, middle and end.
    """
    half = len(out) // 2
    size = len(table) - 1
    for part in range(2):
        a, b = phase[part], phase[part + 1]
        va, vb = speed[part] * seconds, speed[part + 1] * seconds
        for n in range(half):
            x = n / half
            cycles = (
                a
                + x * va
                + x * x * (3 * (b - a) - 2 * va - vb)
                + x * x * x * (va + vb - 2 * (b - a))
            )
            place = (cycles - np.floor(cycles)) * size
            whole = int(place)
            out[part * half + n] = table[whole] + (table[whole + 1] - table[whole]) * np.float32(
                place - whole
            )


class Signal:
    """The signal of one source at 1 m, as a fraction of full scale.

    Args:
        key: two numbers that identify drive and source; same key, same signal.
        sample_rate_hz: rate.
        noise_db: maps a time to (8,) octave sound POWER levels of the noise part, dB re 1 pW.
        loss_db: maps a time to (BLOCK / 2 + 1,) float32 losses of the air, or None.
        tones: maps a time and the loss at that time to the wave table of one cycle,
            (TABLE + 1,) float32, or None.
        phase: maps a time to cycles and cycles per second of the wave table.
        pressure: whether levels are sound pressure, not power spread over a half sphere.
        filter_tones: whether to apply the loss to the tones, because the table lacks it.
    """

    def __init__(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        noise_db: Callable[[float], np.ndarray],
        loss_db: Callable[[float], np.ndarray] | None = None,
        tones: Callable[[float, np.ndarray], np.ndarray | None] | None = None,
        phase: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
        pressure: bool = False,
        filter_tones: bool = False,
    ) -> None:
        self.key, self.sample_rate_hz = key, sample_rate_hz
        self.noise_db, self.loss_db, self.tones, self.phase = noise_db, loss_db, tones, phase
        self.filter_tones = filter_tones
        unit = REFERENCE_PA / FULL_SCALE_PA * (1.0 if pressure else 1 / np.sqrt(2 * np.pi))
        self.unit = unit
        # The mean square of a block is sum |X|^2 2 / N^2. E|X|^2 is 2/3 of the squared amplitude
        # for real and imaginary parts drawn uniformly from -1 to 1.
        self.scale = np.float32(unit * np.sqrt(0.75 * sample_rate_hz * BLOCK) / 32768)
        self._blocks: dict[int, np.ndarray] = {}
        self._reference: tuple[np.ndarray, np.ndarray] | None = None

    def read(self, first: int, count: int) -> np.ndarray:
        """Return samples first ... first + count of the signal, (count,) float32."""
        low, high = first // HOP - 1, (first + count - 1) // HOP
        out = np.zeros((high - low + 2) * HOP, np.float32)
        for index in range(low, high + 1):
            place = (index - low) * HOP
            out[place : place + BLOCK] += self._block(index)
        self._blocks = {index: self._blocks[index] for index in range(low, high + 1)}
        begin = first - low * HOP
        return out[begin : begin + count]

    def _block(self, index: int) -> np.ndarray:
        if index not in self._blocks:
            self._blocks[index] = self._make(index)
        return self._blocks[index]

    def _make(self, index: int) -> np.ndarray:
        sine, square = _windows()
        middle_s = (index * HOP + HOP) / self.sample_rate_hz
        levels = np.maximum(self.noise_db(middle_s), _FLOOR_DB)
        loss = self.loss_db(middle_s) if self.loss_db else _no_loss()
        block = np.zeros(BLOCK, np.float32)
        if levels.max() > _FLOOR_DB / 2:
            seed, source = self.key
            bits = np.random.Philox(key=[seed, source], counter=[0, index + _OFFSET, 0, 0])
            raw = bits.random_raw(BLOCK // 4 + 1).view(np.int16)
            spectrum = np.empty(BLOCK // 2 + 1, np.complex64)
            bins, part = _bins(self.sample_rate_hz)
            density = self._density(levels).astype(np.float32)
            _spectrum(raw, density, bins, part, loss, self.scale, spectrum)
            block = fft.irfft(spectrum, BLOCK) * sine
        table = self.tones(middle_s, loss) if self.tones else None
        if table is not None and self.phase is not None:
            edges = (index * HOP + HOP * np.arange(3)) / self.sample_rate_hz
            phase, speed = self.phase(edges)
            wave = np.empty(BLOCK, np.float32)
            _tones(table, phase, speed, HOP / self.sample_rate_hz, wave)
            wave *= square * np.float32(self.unit)
            if self.filter_tones:
                wave = fft.irfft(fft.rfft(wave) * 10 ** (-loss / 20), BLOCK)
            block = block + wave
        return block

    def _density(self, levels: np.ndarray) -> np.ndarray:
        """Return `band_density_db`, shifted by changes of level instead of solved again."""
        if self._reference is None:
            reference_db = np.maximum(self.noise_db(0.0), _FLOOR_DB)
            self._reference = reference_db, band_density_db(reference_db, self.sample_rate_hz)
        reference_db, density = self._reference
        return density + levels - reference_db


@cache
def _no_loss() -> np.ndarray:
    return np.zeros(BLOCK // 2 + 1, np.float32)


def harmonic_table(amplitudes: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Compute one cycle of a sum of harmonics.

    Args:
        amplitudes: (K,) peak amplitudes of the harmonics 1 to K.
        phases: (K,) their phases.

    Returns:
        (TABLE + 1,) float32, the first sample repeated at the end.
    """
    spectrum = np.zeros(TABLE // 2 + 1, np.complex64)
    spectrum[1 : len(amplitudes) + 1] = amplitudes * np.exp(1j * phases) * (TABLE / 2)
    wave = fft.irfft(spectrum, TABLE)
    return np.append(wave, wave[0]).astype(np.float32)
