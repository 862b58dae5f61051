"""Reduce sound to wave fronts: one small vector for each short segment and narrow band.

For each segment (about 0.2 s) and band, the covariance of the eight channels is computed. The
steady part of a block of half a minute (ego vehicle, wind, hum of the town) is the mean of the
quietest quarter of its segments, and is subtracted. From the rest, the strongest wave front is
kept: the rank-one matrix a a^H that is nearest off the diagonal, where incoherent noise has no
effect. Its phases contain each microphone's lead, its magnitudes each channel's level. So minutes
of sound become a few megabytes, and no direction needs to be known yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from avdet_ros.audio.samples import to_float
from avdet_ros.rig import MICROPHONES

FRAME_S = 0.093
"""Approximate length of a Fourier frame; the nearest power of two samples is used, with half
overlap."""

FRAMES = 4
"""Frames per segment: short enough that a passing car hardly moves, long enough to average."""

BINS = 4
"""Fourier bins per band; the same number is left out between two bands."""

LOWEST_HZ = 250.0
HIGHEST_HZ = 4500.0
"""Highest frequency for an array half a metre wide; smaller arrays use more, see `highest_hz`."""

BLOCK = 160
"""Segments per block, half a minute."""

LEAST_BLOCK = 40
"""Minimum number of segments in the last block; a shorter one does not show a steady part."""

QUIET_SHARE = 0.25
"""Share of a block's segments, the quietest ones, that defines the steady part."""

MOST_SEGMENTS = 6000
"""Number of segments kept, twenty minutes; older ones are discarded."""

LEVEL_FROM_HZ = 800.0
"""Lowest frequency for levels; below it wind and the diffuse field blur them."""

_SQUARINGS = 4
_DIAGONAL_ROUNDS = 2
_TINY = 1e-20


@dataclass(frozen=True)
class WaveFronts:
    """The strongest wave front of each segment and band.

    Attributes:
        time_s: (S,) middle of each segment, from the first sample.
        frequencies_hz: (B,) middle of each band.
        vectors: (S, B, 8) complex64 of norm 1, or 0: the phase of channel i grows with the time by
            which the wave reaches it earlier.
        weights: (S, B) float32, how strongly the wave stands out; 0 or more.
        level_db: (S, 8) float32 level of the wave front in each channel, dB re the mean.
        power_db: (S, 8) float32 level of all sound in each channel, dB.
        seconds: duration of the recording.
    """

    time_s: np.ndarray
    frequencies_hz: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray
    level_db: np.ndarray
    power_db: np.ndarray
    seconds: float

    @classmethod
    def joined(cls, recordings: Sequence[WaveFronts]) -> WaveFronts:
        """Join recordings of one array, with continuing times."""
        starts_s = np.cumsum([0.0, *(fronts.seconds for fronts in recordings)])
        return cls(
            np.concatenate(
                [
                    fronts.time_s + start_s
                    for fronts, start_s in zip(recordings, starts_s, strict=False)
                ]
            ),
            recordings[0].frequencies_hz,
            np.concatenate([fronts.vectors for fronts in recordings]),
            np.concatenate([fronts.weights for fronts in recordings]),
            np.concatenate([fronts.level_db for fronts in recordings]),
            np.concatenate([fronts.power_db for fronts in recordings]),
            float(starts_s[-1]),
        )

    def chosen(self, keep: np.ndarray) -> WaveFronts:
        """Return some of the segments; `keep` is (S,) bool or indices."""
        return WaveFronts(
            self.time_s[keep],
            self.frequencies_hz,
            self.vectors[keep],
            self.weights[keep],
            self.level_db[keep],
            self.power_db[keep],
            self.seconds,
        )


def highest_hz(aperture_m: float, sample_rate_hz: int) -> float:
    """Return the highest frequency used; low ones show little for a small array."""
    wanted = HIGHEST_HZ * float(np.clip(0.5 / max(aperture_m, 0.01), 1.0, 1.8))
    return min(wanted, 0.4 * sample_rate_hz)


def aperture(microphones_m: np.ndarray) -> float:
    """Return the largest distance between two of (n, 3) microphones, metres."""
    return float(np.linalg.norm(microphones_m[:, None] - microphones_m[None], axis=-1).max())


class WaveFrontFinder:
    """Receives sound in pieces of any size and keeps its wave fronts."""

    def __init__(self, sample_rate_hz: int, aperture_m: float = 0.5) -> None:
        """Prepare the bands.

        Args:
            sample_rate_hz: sample rate of the sound.
            aperture_m: largest distance between two microphones.
        """
        self.sample_rate_hz = sample_rate_hz
        self._frame = 1 << round(np.log2(FRAME_S * sample_rate_hz))
        self._hop = self._frame // 2
        step_hz = sample_rate_hz / self._frame
        first = int(np.ceil(LOWEST_HZ / step_hz))
        last = int(highest_hz(aperture_m, sample_rate_hz) / step_hz)
        starts = np.arange(first, last - BINS, 2 * BINS)
        self._bins = starts[:, None] + np.arange(BINS)
        self.frequencies_hz = (starts + (BINS - 1) / 2) * step_hz
        self._taper = np.hanning(self._frame).astype(np.float32)[:, None]
        self._kept: deque[WaveFronts] = deque()
        self.restart()

    def restart(self) -> None:
        """Discard everything."""
        self._kept.clear()
        self._seconds = 0.0
        self._count = 0
        self._tail = np.zeros((0, MICROPHONES), np.float32)
        self._matrices: list[np.ndarray] = []
        self._times_s: list[float] = []

    def skip(self, samples: int) -> None:
        """Account for lost samples between the last samples and the next ones."""
        self._count += len(self._tail) + samples
        self._seconds += samples / self.sample_rate_hz
        self._tail = np.zeros((0, MICROPHONES), np.float32)

    @property
    def segments(self) -> int:
        """Number of segments kept."""
        return sum(len(block.time_s) for block in self._kept)

    def add(self, samples: np.ndarray) -> None:
        """Add (n, 8) int16 or floating-point samples, in the order of the rig's microphones."""
        self._seconds += len(samples) / self.sample_rate_hz
        sound = np.concatenate([self._tail, to_float(samples)])
        segment, span = FRAMES * self._hop, (FRAMES + 1) * self._hop
        start = 0
        while start + span <= len(sound):
            self._matrices.append(self._covariance(sound[start : start + span]))
            self._times_s.append((self._count + span / 2) / self.sample_rate_hz)
            self._count += segment
            start += segment
            if len(self._matrices) == BLOCK:
                self._end_block()
        self._tail = sound[start:]

    def fronts(self) -> WaveFronts:
        """Return all wave fronts kept, and those of the unfinished block if it is long enough."""
        if len(self._matrices) >= LEAST_BLOCK:
            self._end_block()
        blocks = list(self._kept)
        bands = len(self.frequencies_hz)

        def joined(name: str, *shape: int, kind: str = 'f4') -> np.ndarray:
            arrays = [getattr(block, name) for block in blocks]
            return np.concatenate(arrays) if arrays else np.zeros((0, *shape), kind)

        return WaveFronts(
            joined('time_s', kind='f8'),
            self.frequencies_hz,
            joined('vectors', bands, MICROPHONES, kind='c8'),
            joined('weights', bands),
            joined('level_db', MICROPHONES),
            joined('power_db', MICROPHONES),
            self._seconds,
        )

    def _covariance(self, sound: np.ndarray) -> np.ndarray:
        """Return the (B, 8, 8) complex64 covariances of one segment."""
        frames = np.stack(
            [sound[k * self._hop : k * self._hop + self._frame] for k in range(FRAMES)]
        )
        spectra = scipy.fft.rfft(frames * self._taper, axis=1)[:, self._bins]
        looks = spectra.transpose(1, 3, 0, 2).reshape(len(self._bins), MICROPHONES, -1)
        return looks @ looks.conj().transpose(0, 2, 1) / looks.shape[-1]

    def _end_block(self) -> None:
        self._kept.append(block_fronts(np.stack(self._matrices), self.frequencies_hz))
        self._kept[-1] = _at_times(self._kept[-1], np.array(self._times_s))
        self._matrices, self._times_s = [], []
        while self.segments > MOST_SEGMENTS and len(self._kept) > 1:
            self._kept.popleft()


def block_fronts(matrices: np.ndarray, frequencies_hz: np.ndarray) -> WaveFronts:
    """Compute the wave fronts of one block of segments.

    Args:
        matrices: (S, B, 8, 8) complex64 covariances.
        frequencies_hz: (B,).
    """
    power = np.maximum(matrices.diagonal(axis1=2, axis2=3).real, 0)
    total = power.sum(axis=-1)
    present = total.sum(axis=1) > 0  # gaps do not belong to the steady part
    quiet = np.where(present[:, None], total, np.inf)
    count = max(1, min(int(present.sum()), round(QUIET_SHARE * len(matrices))))
    order = np.argpartition(quiet, count - 1, axis=0)[:count]
    steady = matrices[order, np.arange(matrices.shape[1])].mean(axis=0)
    # A segment with a gap may be quieter than the steady part.
    least = np.maximum(power, steady.diagonal(axis1=1, axis2=2).real)
    scale = np.where(power > 0, 1 / np.sqrt(np.maximum(least, _TINY)), 0).astype(np.float32)
    coherence = (matrices - steady) * scale[..., :, None] * scale[..., None, :]
    vectors, weights = strongest_fronts(coherence)
    amplitudes = np.maximum(np.abs(vectors) * np.sqrt(power), 1e-9)
    decibels = 20 * np.log10(amplitudes)
    decibels -= decibels.mean(axis=-1, keepdims=True)
    above = weights * (frequencies_hz >= LEVEL_FROM_HZ)
    level_db = (decibels * above[..., None]).sum(axis=1)
    level_db /= np.maximum(above.sum(axis=1), 1e-9)[:, None]
    power_db = 10 * np.log10(np.maximum(power.mean(axis=1), _TINY))
    return WaveFronts(
        np.arange(len(matrices), dtype=float),
        frequencies_hz,
        vectors,
        weights,
        level_db.astype(np.float32),
        power_db.astype(np.float32),
        0.0,
    )


def strongest_fronts(coherence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the rank-one matrix nearest to each matrix off the diagonal, by factor analysis.

    Args:
        coherence: (..., 8, 8) complex, Hermitian; the diagonal is ignored.

    Returns:
        vectors: (..., 8) complex64 of norm 1.
        weights: (...) float32, the wave's strength squared, reduced if a second wave is almost as
            strong.
    """
    off = coherence.copy()
    i = np.arange(off.shape[-1])
    off[..., i, i] = 0
    matrix = off.copy()
    matrix[..., i, i] = 1
    for round_ in range(_DIAGONAL_ROUNDS + 1):
        # For many small matrices, repeated squaring is ten times as fast as an eigenvalue routine.
        square = matrix / np.maximum(np.abs(matrix).max(axis=(-1, -2), keepdims=True), 1e-12)
        for _ in range(_SQUARINGS):
            square = square @ square
            square /= np.maximum(np.abs(square).max(axis=(-1, -2), keepdims=True), 1e-12)
        column = np.abs(square[..., i, i]).argmax(axis=-1)
        vector = np.take_along_axis(square, column[..., None, None], axis=-1)[..., 0]
        vector /= np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)
        strength = (vector.conj() * (matrix @ vector[..., None])[..., 0]).real.sum(axis=-1)
        inner = np.clip(strength[..., None] * np.abs(vector) ** 2, 0, 1)
        if round_ < _DIAGONAL_ROUNDS:
            matrix = off.copy()
            matrix[..., i, i] = inner
    explained = strength**2 - (inner**2).sum(axis=-1)
    energy = (np.abs(off) ** 2).sum(axis=(-1, -2))
    share = explained / np.maximum(energy, 1e-12)
    weights = np.maximum(strength, 0) ** 2 * np.clip(share - 0.3, 0, 1)
    return vector.astype(np.complex64), weights.astype(np.float32)


def _at_times(fronts: WaveFronts, time_s: np.ndarray) -> WaveFronts:
    return WaveFronts(
        time_s,
        fronts.frequencies_hz,
        fronts.vectors,
        fronts.weights,
        fronts.level_db,
        fronts.power_db,
        fronts.seconds,
    )
