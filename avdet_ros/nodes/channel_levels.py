"""Channel faults of a live stream, detected once a second from running sums.

`avdet_ros.audio.levels` defines which channels are dead, clipped, off zero or mixed.
"""

from __future__ import annotations

from collections.abc import Iterable
import threading

import numpy as np

from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.audio.levels import ChannelState, channel_faults, mixed_channels
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
            self._sums = ChannelSums.empty(len(self._names))

    def add(self, sums: ChannelSums) -> None:
        """Add the sums of the next piece of sound."""
        with self._lock:
            self._sums += sums

    def add_to(self, report: Report, quiet: bool = False) -> None:
        """Report the channels since the last call; if `quiet`, only the numbers."""
        with self._lock:
            if not self._sums.count:
                return
            sums, self._sums = self._sums, ChannelSums.empty(len(self._names))
        peak, clipped = np.maximum(sums.high, -sums.low), sums.clipped / sums.count
        dead, bad = sums.constant.tolist(), sums.bad
        mixed = mixed_channels(sums.products / sums.count)
        measured = zip(10 * np.log10(sums.power), peak, sums.mean, clipped, strict=True)
        states = [
            ChannelState(float(level_db), float(high), float(mean), float(share), hum_share=0.0)
            for level_db, high, mean, share in measured
        ]
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


def _row(numbers: Iterable[str]) -> str:
    """Join one number per channel into a diagnostic value."""
    return ' '.join(numbers)
