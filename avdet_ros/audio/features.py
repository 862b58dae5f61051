"""Compute the detector's input features from one window of eight waveforms.

Levels show what kind of sound it is, phases show its direction: with omnidirectional microphones,
magnitudes carry little directional information and phases between microphones nearly all of it. So
eight log-mel spectrograms are stacked with the complex coherence of twelve microphone pairs, or of
all 28, on one grid of mel bands and frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
import scipy.fft
import scipy.sparse

from avdet_ros.audio.microphone_pairs import PAIRS, PAIRS_BY_COUNT
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig

POWER_FLOOR = 1e-10
"""Mel power that counts as silence: -100 dB, near the rounding noise of 16-bit samples."""

PAPER_TOP_DB = 80.0
"""Dynamic range that the paper keeps below each microphone's maximum."""

POOL_FRAMES = 4
"""Number of frames averaged into one before the network."""

MAX_LABELS = 16
"""Maximum number of labels kept per window."""

_LOUDEST = 1e3
"""No sample of a working source is this far above full scale; larger samples are damaged."""

_CACHED_FRAMES = 256  # frames of a pair's cross spectrum that fit in a core's cache with the input


@dataclass(frozen=True)
class FrontEnd:
    """Log-mel spectrograms and mel-band coherences of a window.

    Attributes:
        sample_rate_hz: sample rate of the waveforms.
        window_s: length of a window.
        n_fft: samples of a frame's Fourier transform.
        hop_length: samples from one frame to the next.
        n_mels: number of mel bands, spread over 0 to sample_rate_hz / 2.
        gain_db: how much louder each of the eight channels is than it should be; () for none.
        delay_s: how much later each of the eight channels is than it should be; () for none.
        dead: indices of microphones that are left out: level at the floor, coherence 0.
        pair_count: number of microphone pairs with a coherence, a key of `PAIRS_BY_COUNT`.
    """

    sample_rate_hz: int = 44100
    window_s: float = 1.0
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 80
    gain_db: tuple[float, ...] = ()
    delay_s: tuple[float, ...] = ()
    dead: tuple[int, ...] = ()
    pair_count: int = len(PAIRS)

    @classmethod
    def of(cls, rig: Rig, pair_count: int = len(PAIRS)) -> FrontEnd:
        """Make the front end for a rig's array; it removes the known gains and delays."""
        return cls(sample_rate_hz=rig.sample_rate_hz, pair_count=pair_count).calibrated(
            rig.gain_db, rig.delay_s, rig.alive
        )

    def calibrated(self, gain_db: ArrayLike, delay_s: ArrayLike, alive: ArrayLike) -> FrontEnd:
        """Return a copy with other gains, delays and live microphones; see `Rig`.

        Args:
            gain_db: (8,) how much louder each channel is.
            delay_s: (8,) how much later each channel is.
            alive: (8,) bool, False for a microphone that is left out.
        """
        gain_db, delay_s = np.asarray(gain_db, float), np.asarray(delay_s, float)
        return replace(
            self,
            gain_db=tuple(gain_db.tolist()) if gain_db.any() else (),
            delay_s=tuple(delay_s.tolist()) if delay_s.any() else (),
            dead=tuple(np.flatnonzero(~np.asarray(alive, bool)).tolist()),
        )

    def __post_init__(self) -> None:
        for name in ('sample_rate_hz', 'n_fft', 'hop_length', 'n_mels'):
            if not isinstance(getattr(self, name), int) or getattr(self, name) <= 0:
                raise AvdetError(
                    f'front end: {name}: expected a positive whole number, '
                    f'found {getattr(self, name)!r}'
                )
        if not 0 < self.window_s <= 60 or self.samples <= self.n_fft // 2:
            raise AvdetError(
                f'front end: window_s: expected a window longer than n_fft / 2 = '
                f'{self.n_fft // 2} samples and at most 60 s, found {self.window_s!r} s'
            )
        if self.pair_count not in PAIRS_BY_COUNT:
            some, found = ' or '.join(map(str, PAIRS_BY_COUNT)), repr(self.pair_count)
            raise AvdetError(f'front end: pair_count: expected {some}, found {found}')
        for name in ('gain_db', 'delay_s'):
            values = getattr(self, name)
            if len(values) not in (0, MICROPHONES) or not np.isfinite(values).all():
                raise AvdetError(
                    f'front end: {name}: expected {MICROPHONES} finite numbers or none, '
                    f'found {values!r}'
                )

    @property
    def samples(self) -> int:
        """Number of samples in a window."""
        return round(self.window_s * self.sample_rate_hz)

    @property
    def frames(self) -> int:
        """Number of frames in a window; the first is centred on the window's first sample."""
        return 1 + self.samples // self.hop_length

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The microphone pairs with a coherence, in order."""
        return PAIRS_BY_COUNT[self.pair_count]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the channels of `compute`, in order."""
        levels = [f'log_mel_{i}' for i in range(MICROPHONES)]
        phases = [f'coherence_{part}_{i}_{j}' for i, j in self.pairs for part in ('re', 'im')]
        return (*levels, *phases)

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Compute the features of one window.

        With X_i(k, t) the Fourier transform of microphone i and M(b, k) the mel filters:

        - ``log_mel_i`` = 10 log10 max(P_i, POWER_FLOOR), P_i(b, t) = sum_k M |X_i|^2, in dB re
          full scale: absolute, without a separate reference per microphone;
        - known gains and delays are removed from X_i before anything else:
          X_i(k) 10^(-gain / 20) exp(2 pi i f_k delay), 0 for a dead microphone;
        - ``coherence_i_j`` = sum_k M X_i conj(X_j) / sqrt((P_i + floor) (P_j + floor)), of
          magnitude at most 1, insensitive to gains, and 0 in silence. The
          phase is positive where the sound reaches microphone i first.

        Args:
            waveform: (8, samples) floating point in [-1, 1], ordered as the rig's microphones.
                Samples that are not finite count as 0.

        Returns:
            (8 + 2 pairs, n_mels, frames) float32, always finite, channels as in `feature_names`.

        Raises:
            AvdetError: the waveform has the wrong shape or type.
        """
        features = np.empty((len(self.feature_names), self.n_mels, self.frames), np.float32)
        self._features_of(self._spectrum(waveform), features)
        return features

    def frame_features(self, frames: np.ndarray, out: np.ndarray) -> None:
        """Compute the features of single frames; each depends only on its own samples.

        Args:
            frames: (8, n, n_fft) float32 samples around each frame's centre, overwritten.
            out: (8 + 2 pairs, n_mels, n) float32 of any strides, channels as in `feature_names`.
        """
        self._features_of(self._transform(_without_damage(frames)), out)

    def _features_of(self, spectrum: np.ndarray, out: np.ndarray) -> None:
        """Write the (8 + 2 pairs, n_mels, n) features of (bins, 8, n) spectra to `out`."""
        power = self._mel_power(spectrum)
        levels, phases = out[:MICROPHONES], out[MICROPHONES:]
        levels[...] = _decibel(power).transpose(1, 0, 2)

        scale = 1 / np.sqrt(power + np.float32(POWER_FLOOR))
        conjugate = spectrum.conj()
        # Process only as many pairs at a time as fit in the cache: for a whole window, twelve
        # pairs together take four times as long as one by one.
        bins, _, frames = spectrum.shape
        most = max(1, _CACHED_FRAMES // max(frames, 1))
        pairs = self.pairs
        room = np.empty(bins * min(most, len(pairs)) * frames, np.complex64)
        for first in range(0, len(pairs), most):
            group = pairs[first : first + most]
            cross = room[: bins * len(group) * frames].reshape(bins, len(group), frames)
            for place, (i, j) in enumerate(group):
                np.multiply(spectrum[:, i], conjugate[:, j], out=cross[:, place])
            # The filters are real, so interleaved real and imaginary parts are summed separately.
            sums = self._mel_filters @ cross.reshape(bins, -1).view(np.float32)
            coherence = sums.view(np.complex64).reshape(-1, len(group), frames)
            here, there = ([pair[side] for pair in group] for side in (0, 1))
            coherence *= scale[:, here] * scale[:, there]
            end = 2 * (first + len(group))
            phases[2 * first : end : 2] = coherence.real.transpose(1, 0, 2)
            phases[2 * first + 1 : end : 2] = coherence.imag.transpose(1, 0, 2)

    def log_mel(self, waveform: np.ndarray) -> np.ndarray:
        """Compute only the first eight channels of `compute`, (8, n_mels, frames) float32."""
        power = self._mel_power(self._spectrum(waveform))
        return np.ascontiguousarray(_decibel(power).transpose(1, 0, 2))

    @cached_property
    def mel_filters(self) -> np.ndarray:
        """(n_mels, n_fft // 2 + 1) float32, see `mel_filters`."""
        return mel_filters(self.sample_rate_hz, self.n_fft, self.n_mels)

    @cached_property
    def _mel_filters(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.mel_filters)

    @cached_property
    def _taper(self) -> np.ndarray:
        # Importing scipy.signal for this would add a quarter of a second to every node's start.
        phase = 2 * np.pi * np.arange(self.n_fft) / self.n_fft
        return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)

    def _spectrum(self, waveform: np.ndarray) -> np.ndarray:
        """Return (bins, 8, frames) complex64: Hann-windowed, centred frames, edges reflected."""
        waveform = self._checked(waveform)
        half = self.n_fft // 2
        padded = np.pad(waveform, ((0, 0), (half, self.n_fft - half)), mode='reflect')
        frames = sliding_window_view(padded, self.n_fft, axis=1)[:, :: self.hop_length]
        return self._transform(frames[:, : self.frames])

    def _transform(self, frames: np.ndarray) -> np.ndarray:
        """Transform (8, n, n_fft) samples to (bins, 8, n) complex64 spectra."""
        spectrum = scipy.fft.rfft(frames * self._taper, axis=-1)
        spectrum = np.ascontiguousarray(spectrum.transpose(2, 0, 1))
        if self._correction is not None:
            spectrum *= self._correction
        return spectrum

    @cached_property
    def _correction(self) -> np.ndarray | None:
        """Factors (bins, 8, 1) complex64 that remove known errors of the channels, or None."""
        if not (self.gain_db or self.delay_s or self.dead):
            return None
        frequency_hz = np.fft.rfftfreq(self.n_fft, 1 / self.sample_rate_hz)[:, None]
        gain_db = np.array(self.gain_db or (0.0,) * MICROPHONES)
        delay_s = np.array(self.delay_s or (0.0,) * MICROPHONES)
        correction = 10 ** (-gain_db / 20) * np.exp(2j * np.pi * frequency_hz * delay_s)
        correction[:, list(self.dead)] = 0
        return correction[..., None].astype(np.complex64)

    def _mel_power(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the power in mel bands, (n_mels, 8, frames) float32."""
        power = spectrum.real**2 + spectrum.imag**2
        mel = self._mel_filters @ power.reshape(power.shape[0], -1)
        return mel.reshape(self.n_mels, *power.shape[1:])

    def _checked(self, waveform: np.ndarray) -> np.ndarray:
        expected = f'({MICROPHONES}, {self.samples}) floating-point samples in [-1, 1]'
        if not isinstance(waveform, np.ndarray) or not np.issubdtype(waveform.dtype, np.floating):
            found = getattr(waveform, 'dtype', type(waveform).__name__)
            raise AvdetError(f'window of sound: expected {expected}, found {found}')
        if waveform.shape != (MICROPHONES, self.samples):
            raise AvdetError(f'window of sound: expected {expected}, found shape {waveform.shape}')
        return _without_damage(np.ascontiguousarray(waveform, np.float32))


def paper_log_mel(waveform: np.ndarray, front_end: FrontEnd | None = None) -> np.ndarray:
    """Compute log-mel spectrograms as in the paper, relative to each microphone's maximum.

    Args:
        waveform: (8, samples), see `FrontEnd.compute`.
        front_end: grid to use; None takes the defaults.

    Returns:
        (8, n_mels, frames) float32 in [-80, 0]; all 0 for a silent microphone.

    Raises:
        AvdetError: the waveform has the wrong shape or type.
    """
    level = (front_end or FrontEnd()).log_mel(waveform)
    level -= level.max(axis=(1, 2), keepdims=True)
    return np.maximum(level, -PAPER_TOP_DB, out=level)


def mel_filters(sample_rate_hz: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Make triangular filters of equal area on Slaney's mel scale, up to half the sample rate.

    The scale is linear below 1 kHz (66.7 Hz per mel) and logarithmic above (27 mels from 1 to
    6.4 kHz); after M. Slaney, "Auditory Toolbox", Interval Research TR 1998-010.

    Args:
        sample_rate_hz: sample rate of the sound.
        n_fft: samples of a frame.
        n_mels: number of filters, from 0 Hz on.

    Returns:
        (n_mels, n_fft // 2 + 1) float32.
    """
    edges_hz = _mel_to_hz(np.linspace(0, _hz_to_mel(sample_rate_hz / 2), n_mels + 2))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate_hz)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (high - low)).astype(np.float32)


_MEL_HZ = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _MEL_HZ
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz / _MEL_HZ if hz < _KNEE_HZ else _KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _MEL_HZ, above)


def _without_damage(samples: np.ndarray) -> np.ndarray:
    """Replace samples that are not finite by 0 and implausibly large ones by full scale.

    Each sample is treated separately, so that a frame's features depend only on the frame.
    """
    if max(samples.max(initial=0), -samples.min(initial=0)) < _LOUDEST:  # false for NaN, too
        return samples
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.where(np.abs(samples) < _LOUDEST, samples, np.sign(samples))


def _decibel(power: np.ndarray) -> np.ndarray:
    return np.float32(10) * np.log10(np.maximum(power, np.float32(POWER_FLOOR)))


def pool_frames(spectrogram: np.ndarray) -> np.ndarray:
    """Average every `POOL_FRAMES` frames; remaining frames at the end are averaged together.

    Args:
        spectrogram: (..., frames) float32.

    Returns:
        (..., ceil(frames / POOL_FRAMES)) float32.
    """
    frames = spectrogram.shape[-1]
    full = frames // POOL_FRAMES * POOL_FRAMES
    shape = (*spectrogram.shape[:-1], full // POOL_FRAMES, POOL_FRAMES)
    parts = [spectrogram[..., :full].reshape(shape).mean(axis=-1)]
    if full < frames:
        parts.append(spectrogram[..., full:].mean(axis=-1, keepdims=True))
    return np.concatenate(parts, axis=-1)
