"""Channel faults of a live stream, judged once a second from running sums.

What counts as dead, clipped, off zero or mixed is decided in `avdet_ros.audio.levels`.
"""

from __future__ import annotations

from collections.abc import Iterable
import threading

import numpy as np

from avdet_ros.audio.levels import (
    CLIPPED,
    ChannelState,
    channel_faults,
    mixed_channels,
    second_differences,
)
from avdet_ros.audio.samples import to_float
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.rig import Rig


class ChannelLevels:
    """Level, DC, clipping and independence of each channel since the last report."""

    def __init__(self, rig: Rig) -> None:
        self._names = [
            f'{name} (channel {channel})'
            for name, channel in zip(rig.names, rig.channels, strict=True)
        ]
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        with self._lock:
            self._clear()

    def add(self, samples: np.ndarray) -> None:
        """Take a block, (n, channels) int16 or float32."""
        values = to_float(samples)
        bad = 0 if samples.dtype == np.int16 else (~np.isfinite(samples)).sum(axis=0)
        magnitudes = np.abs(values)
        products = len(values) * second_differences(values)
        with self._lock:
            self._count += len(values)
            self._sum += values.sum(axis=0)
            self._squares += np.square(values).sum(axis=0)
            self._clipped += (magnitudes >= CLIPPED).sum(axis=0)
            self._peak = np.maximum(self._peak, magnitudes.max(axis=0, initial=0))
            self._bad += bad
            self._products += products
            self._low = np.minimum(self._low, values.min(axis=0, initial=np.inf))
            self._high = np.maximum(self._high, values.max(axis=0, initial=-np.inf))

    def add_to(self, report: Report, quiet: bool = False) -> None:
        """Report the channels since the last call; quiet: only the numbers."""
        with self._lock:
            if not self._count:
                return
            mean = self._sum / self._count
            power = np.maximum(self._squares / self._count - mean**2, 1e-12)
            clipped = self._clipped / self._count
            dead = (self._high == self._low).tolist()
            bad, peak = self._bad, self._peak
            mixed = mixed_channels(self._products / self._count)
            self._clear()
        measured = zip(10 * np.log10(power), peak, mean, clipped, strict=True)
        states = [ChannelState(*map(float, numbers), hum_share=0.0) for numbers in measured]
        report.value(
            level_db=_row(f'{state.level_db:.0f}' for state in states),
            peak_db=_row(f'{20 * np.log10(max(state.peak, 1e-6)):z.0f}' for state in states),
            dc=_row(f'{state.dc:z.3f}' for state in states),
            clipped_share=_row(f'{state.clipped_share:.2g}' for state in states),
            dead=_row(f'{is_dead:d}' for is_dead in dead),
        )
        if quiet:
            return
        if all(dead):
            report.warn('all channels are constant: nothing is connected or recording')
            return
        if mixed:
            report.error(
                f'{mixed} of {len(self._names)} channels are mixtures of the others: '
                'the device has fewer channels than were requested'
            )
        for channel, faults in enumerate(channel_faults(states, dead)):
            if bad[channel]:
                faults.append(f'{bad[channel]} samples are not numbers')
            if faults:
                report.warn(f'{self._names[channel]}: {", ".join(faults)}')

    def _clear(self) -> None:
        channels = len(self._names)
        self._count = 0
        self._sum, self._squares = np.zeros(channels), np.zeros(channels)
        self._clipped, self._bad = np.zeros(channels, int), np.zeros(channels, int)
        self._peak = np.zeros(channels)
        self._products = np.zeros((channels, channels))
        self._low, self._high = np.full(channels, np.inf), np.full(channels, -np.inf)


def _row(numbers: Iterable[str]) -> str:
    """One number a channel, as a diagnostic value."""
    return ' '.join(numbers)
