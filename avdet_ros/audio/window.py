"""Cut blocks of any size into one window of sound per hop, exact to the sample.

Windows lie on a grid of sample numbers that does not depend on block sizes, late readers or lost
samples: window k ends ``grid * floor((window + k * hop) / grid)`` samples after the first sample
of the stream. With the front end's hop_length as grid, windows share the frames of their Fourier
transforms. If a source's blocks have that length too, blocks end where windows end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import itertools
import math

import numpy as np

from avdet_ros.audio.samples import INT16_FULL_SCALE
from avdet_ros.errors import AvdetError

HOP_S = 0.1
"""Default time from one window's end to the next one's."""

SHORTEST_HOP_S = 0.005

_ROUNDING = 1e-9
"""Tolerance for floating-point products that should be whole numbers."""

_streams = itertools.count(1)


@dataclass(frozen=True)
class Window:
    """One window of sound.

    Attributes:
        waveform: (channels, samples) float32 in [-1, 1]; lost samples are 0. It is a read-only
            view: overlapping windows share memory.
        end_sample: number of the sample after the last one, in the source's count.
        gap_samples: number of samples in the window that were lost.
        stream: number of the stream; windows of the same stream have the same samples where they
            overlap.
    """

    waveform: np.ndarray
    end_sample: int
    gap_samples: int
    stream: int

    @property
    def start_sample(self) -> int:
        """Number of the window's first sample."""
        return self.end_sample - self.waveform.shape[1]


class WindowBuffer:
    """A preallocated buffer that returns one window per hop.

    Attributes:
        lost_samples: number of samples missing between blocks.
        skipped_windows: number of windows skipped because none of their samples arrived.
        restarts: how often the source's count went back and the buffer was restarted.
    """

    def __init__(
        self,
        channels: int,
        sample_rate_hz: int,
        window_s: float = 1.0,
        hop_s: float = HOP_S,
        grid_samples: int = 1,
        phase: float | None = None,
    ) -> None:
        """Allocate memory for two windows.

        Args:
            channels: channels of each block.
            sample_rate_hz: samples per second.
            window_s: length of a window.
            hop_s: average time from one window's end to the next one's; at least the grid.
            grid_samples: windows end on multiples of this, counted from the first sample.
            phase: for a stream whose beginning was not received. Its first sample is then one at
                which a window may start. `phase`, 0 to 1, is the position between this sample and
                the next such one at which the first window is due.

        Raises:
            AvdetError: the hop is longer than the window or absurdly short.
        """
        self._window = round(window_s * sample_rate_hz)
        self._grid, self._phase = grid_samples, phase
        self._hop = max(hop_s * sample_rate_hz / grid_samples, 1.0)  # in steps of the grid
        if not SHORTEST_HOP_S <= hop_s <= window_s:
            raise AvdetError(
                f'hop_s: expected a hop from {SHORTEST_HOP_S:g} s to the window of '
                f'{window_s:g} s, found {hop_s:g} s'
            )
        # Twice the window: when the buffer is full, its newest window starts the next buffer. So
        # every window is contiguous, each sample is moved at most once, and windows that were
        # returned never change.
        self._buffer = np.zeros((channels, 2 * self._window), np.float32)
        self.lost_samples = 0
        self.skipped_windows = 0
        self.restarts = 0
        self._started = False

    def reset(self) -> None:
        """Discard all sound; the next block starts a new stream."""
        self._started = False

    @property
    def samples_missing(self) -> int:
        """Samples that the next window still needs; before the first sample, the minimum."""
        return self._end() - self._next if self._started else self._window

    def push(self, samples: np.ndarray, first_sample: int) -> list[Window]:
        """Append a block and return the windows it completes, oldest first.

        Args:
            samples: (n, channels) int16, or float32 in [-1, 1].
            first_sample: number of its first sample. If it is above the expected one, the samples
                between were lost. If it is below, the source was restarted, and so is the buffer.

        Raises:
            AvdetError: the block has the wrong number of channels or the wrong type.
        """
        channels = self._buffer.shape[0]
        if samples.ndim != 2 or samples.shape[1] != channels:
            raise AvdetError(
                f'block of sound: expected (n, {channels}) samples, found shape {samples.shape}'
            )
        if samples.dtype not in (np.int16, np.float32):
            raise AvdetError(
                f'block of sound: expected int16 or float32 samples, found {samples.dtype}'
            )
        if self._started and first_sample < self._next:
            self.restarts += 1
            self._started = False
        if not self._started:
            self._begin(first_sample)
        windows: list[Window] = []
        if first_sample > self._next:
            self.lost_samples += first_sample - self._next
            self._gaps.append((self._next, first_sample))
            self._fill(None, first_sample - self._next, windows)
        self._fill(samples, len(samples), windows)
        return windows

    def _begin(self, first_sample: int) -> None:
        self._started = True
        self._stream = next(_streams)
        self._origin = self._next = first_sample
        self._buffer = np.empty_like(self._buffer)
        self._length = 0  # samples in the buffer
        self._window_count = 0  # windows made or skipped
        self._gaps: deque[tuple[int, int]] = deque()

    def _end(self) -> int:
        """Return the number of the sample after the next window."""
        if self._phase is not None:
            steps = math.floor(self._phase + self._window_count * self._hop + _ROUNDING)
            return self._origin + self._window + self._grid * steps
        window = self._window / self._grid
        steps = math.floor(window + self._window_count * self._hop + _ROUNDING)
        # The first window cannot end before a whole window of sound has arrived.
        return self._origin + self._grid * max(steps, math.ceil(window) + self._window_count)

    def _fill(self, samples: np.ndarray | None, count: int, windows: list[Window]) -> None:
        """Append samples, or zeros for lost ones, and cut the windows that become complete."""
        done = 0
        while done < count:
            if samples is None and done >= self._window:
                self._skip(count - done)
                return
            end = self._end()
            step = min(count - done, end - self._next, self._free_samples())
            place = self._buffer[:, self._length : self._length + step]
            if samples is None:
                place[...] = 0
            else:
                scale = 1 / INT16_FULL_SCALE if samples.dtype == np.int16 else 1
                np.multiply(samples[done : done + step].T, np.float32(scale), out=place)
            self._length += step
            self._next += step
            done += step
            if self._next == end:
                windows.extend(self._cut())
                self._window_count += 1

    def _skip(self, count: int) -> None:
        """Skip lost samples when the newest window already consists of lost samples only."""
        self._next += count
        before = self._window_count
        steps = (self._next - self._origin - self._window) / self._grid
        self._window_count = max(before, int(steps / self._hop) - 1)
        while self._end() <= self._next:
            self._window_count += 1
        self.skipped_windows += self._window_count - before

    def _free_samples(self) -> int:
        size = self._buffer.shape[1]
        if self._length == size:
            full, self._buffer = self._buffer, np.empty_like(self._buffer)
            self._length = self._window
            self._buffer[:, : self._length] = full[:, size - self._length :]
        return size - self._length

    def _cut(self) -> list[Window]:
        start = self._next - self._window
        while self._gaps and self._gaps[0][1] <= start:
            self._gaps.popleft()
        gap = sum(max(0, min(b, self._next) - max(a, start)) for a, b in self._gaps)
        if gap == self._window:
            self.skipped_windows += 1
            return []
        waveform = self._buffer[:, self._length - self._window : self._length]
        waveform.flags.writeable = False
        return [Window(waveform, self._next, gap, self._stream)]
