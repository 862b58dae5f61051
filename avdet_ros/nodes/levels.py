"""How loud each channel is, and which one is dead, clipped or off zero."""

from __future__ import annotations

import threading

import numpy as np

from avdet_ros.audio.window import INT16_FULL_SCALE
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.rig import Rig

CLIPPED = 0.999
"""Of full scale; a sample beyond it was probably cut off."""

CLIPPED_SHARE = 1e-4
"""Share of clipped samples that is worth a warning."""

LARGEST_DC = 0.05
"""Of full scale; a larger mean is a broken input."""

WEAK_DB = 25.0
"""A channel this far below the others' median hears nothing of what they hear."""


class ChannelLevels:
    """Level, DC and clipping of each channel since the last report."""

    def __init__(self, rig: Rig) -> None:
        self._names = [
            f'{name} (channel {channel})'
            for name, channel in zip(rig.names, rig.channels, strict=True)
        ]
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        with self._lock:
            self._clear()

    def add(self, samples: np.ndarray) -> None:
        """Take a block, (n, channels) int16 or float32."""
        values = samples.astype(np.float32)
        if samples.dtype == np.int16:
            values *= np.float32(1 / INT16_FULL_SCALE)
        good = np.isfinite(values)
        bad = values.shape[0] - good.sum(axis=0)
        values = np.where(good, values, 0)
        with self._lock:
            self._count += len(values)
            self._sum += values.sum(axis=0)
            self._squares += np.square(values).sum(axis=0)
            self._clipped += (np.abs(values) >= CLIPPED).sum(axis=0)
            self._bad += bad
            self._low = np.minimum(self._low, values.min(axis=0, initial=np.inf))
            self._high = np.maximum(self._high, values.max(axis=0, initial=-np.inf))

    def tell(self, report: Report, quiet: bool = False) -> None:
        """Report the channels heard since the last call; quiet: only the numbers."""
        with self._lock:
            if not self._count:
                return
            mean = self._sum / self._count
            power = np.maximum(self._squares / self._count - mean**2, 1e-12)
            level_db = 10 * np.log10(power)
            constant = self._high == self._low
            clipped = self._clipped / self._count
            bad = self._bad.copy()
            self._clear()
        report.value(level_db=' '.join(f'{level:.0f}' for level in level_db))
        if quiet:
            return
        if constant.all():
            report.warn('all channels are constant: nothing is connected or recording')
            return
        median = np.median(level_db)
        for channel, name in enumerate(self._names):
            if bad[channel]:
                report.warn(f'{name}: {bad[channel]} samples are not numbers')
            elif constant[channel]:
                report.warn(f'{name} is dead: its samples are all equal')
            elif level_db[channel] < median - WEAK_DB:
                gap = median - level_db[channel]
                report.warn(f'{name} is {gap:.0f} dB weaker than the others')
            if clipped[channel] > CLIPPED_SHARE:
                report.warn(f'{name} clips: {100 * clipped[channel]:.2g} % of its samples')
            if abs(mean[channel]) > LARGEST_DC:
                report.warn(f'{name} is off zero by {100 * mean[channel]:.0f} % of full scale')

    def _clear(self) -> None:
        channels = len(self._names)
        self._count = 0
        self._sum, self._squares = np.zeros(channels), np.zeros(channels)
        self._clipped, self._bad = np.zeros(channels, int), np.zeros(channels, int)
        self._low, self._high = np.full(channels, np.inf), np.full(channels, -np.inf)
