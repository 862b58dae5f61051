"""Compute the features of successive windows, transforming each frame only once.

Windows a tenth of a second apart share nine tenths of their frames. Frames inside a window are
kept for later windows. Only new frames are transformed, and the few at the window's edges: they
include reflected samples, so they are specific to the window.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.window import Window
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES

_ROOM = 3
"""Size of the buffer of kept frames, in windows; with less room, frames are moved more often."""


class FeatureStream:
    """`FrontEnd.compute` for the windows of a stream, with an eighth of the work.

    Windows may be left out, streams may restart, and samples may be lost: kept frames are used
    where they are the same and computed again where they are not. Windows off the grid of
    hop_length samples are also correct, but cost as much as the first one.

    Attributes:
        front_end: front end of every window; another calibration requires another stream.
        frames_transformed: number of frames transformed so far.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        """Start with no kept frames."""
        self.front_end = front_end
        self.frames_transformed = 0
        hop, n_fft = front_end.hop_length, front_end.n_fft
        self._before = n_fft // 2  # samples of a frame before its centre
        self._first_inner = -(-self._before // hop)
        last = (front_end.samples - (n_fft - self._before)) // hop
        self._after_inner = min(last + 1, front_end.frames)
        room = _ROOM * front_end.frames
        # In the order of the message: mel bands, frames, channels.
        self._kept = np.empty((front_end.n_mels, room, len(front_end.feature_names)), np.float32)
        self._stream = self._origin = 0  # frame numbers count from here
        self._begin = self._end = 0  # numbers of the kept frames

    def compute(self, window: Window) -> np.ndarray:
        """Compute the features of one window.

        Args:
            window: the next window; its waveform is (8, samples) float32.

        Returns:
            (8 + 2 pairs, n_mels, frames) float32, equal to `FrontEnd.compute` of the waveform
            within rounding; a new array, whose memory order is that of the message.

        Raises:
            AvdetError: the waveform has the wrong shape or type.
        """
        front_end, waveform = self.front_end, window.waveform
        expected = (MICROPHONES, front_end.samples)
        if waveform.shape != expected or waveform.dtype != np.float32:
            raise AvdetError(
                f'window of sound: expected {expected} float32 samples, '
                f'found {waveform.shape} {waveform.dtype}'
            )
        if self._first_inner >= self._after_inner:  # every frame touches an edge
            self.frames_transformed += front_end.frames
            return front_end.compute(waveform)
        number = self._number_of(window)
        begin, end = number + self._first_inner, number + self._after_inner
        if not self._begin <= begin <= self._end:
            self._begin = self._end = begin
        # New frames first, then those at the left edge, then those at the right edge.
        fresh = max(end - self._end, 0)
        frames = self._frames(waveform, self._after_inner - fresh)
        computed = np.empty((front_end.n_mels, frames.shape[1], self._kept.shape[2]), np.float32)
        front_end.frame_features(frames, computed.transpose(2, 0, 1))
        self.frames_transformed += frames.shape[1]
        self._keep(computed[:, :fresh])
        features = np.empty((front_end.n_mels, front_end.frames, computed.shape[2]), np.float32)
        left = fresh + self._first_inner
        features[:, : self._first_inner] = computed[:, fresh:left]
        offset = begin - self._begin
        features[:, self._first_inner : self._after_inner] = self._kept[
            :, offset : offset + end - begin
        ]
        features[:, self._after_inner :] = computed[:, left:]
        return features.transpose(2, 0, 1)

    def _forget(self, stream: int, start_sample: int) -> None:
        self._stream, self._origin = stream, start_sample
        self._begin = self._end = 0

    def _number_of(self, window: Window) -> int:
        """Return the number of the window's first frame; another stream or grid restarts at 0."""
        steps, off = divmod(window.start_sample - self._origin, self.front_end.hop_length)
        if window.stream != self._stream or off:
            self._forget(window.stream, window.start_sample)
            return 0
        return steps

    def _frames(self, waveform: np.ndarray, first_new: int) -> np.ndarray:
        """Return (8, n, n_fft) samples: inner frames from `first_new` on, then edge frames."""
        hop, n_fft = self.front_end.hop_length, self.front_end.n_fft
        before, after = self._before, n_fft - self._before
        # Samples that the edge frames cover, and at least those that their reflection needs.
        span = max((self._first_inner - 1) * hop, 1) + max(before, after)
        left = np.concatenate([waveform[:, before:0:-1], waveform[:, :span]], axis=1)
        begin = self._after_inner * hop - before
        at = min(begin, waveform.shape[1] - 1 - after)
        reflected = waveform[:, -2 : -2 - after : -1]
        right = np.concatenate([waveform[:, at:], reflected], axis=1)
        parts = [
            _cut(waveform, first_new * hop - before, self._after_inner - first_new, hop, n_fft),
            _cut(left, 0, self._first_inner, hop, n_fft),
            _cut(right, begin - at, self.front_end.frames - self._after_inner, hop, n_fft),
        ]
        return np.concatenate(parts, axis=1)

    def _keep(self, frames: np.ndarray) -> None:
        """Append (n_mels, n, 32) features to the kept ones."""
        count, room = frames.shape[1], self._kept.shape[1]
        if self._end - self._begin + count > room:
            # Keep no more than one window: later windows cannot use older frames.
            first = max(self._begin, self._end - self.front_end.frames)
            at, kept = first - self._begin, self._end - first
            self._kept[:, :kept] = self._kept[:, at : at + kept]
            self._begin = first
        at = self._end - self._begin
        self._kept[:, at : at + count] = frames
        self._end += count


def _cut(sound: np.ndarray, begin: int, count: int, hop: int, n_fft: int) -> np.ndarray:
    """Cut (8, count, n_fft) frames from (8, samples) sound, the first at sample `begin`."""
    if not count:
        return np.empty((len(sound), 0, n_fft), sound.dtype)
    return sliding_window_view(sound[:, begin:], n_fft, axis=1)[:, ::hop][:, :count]
