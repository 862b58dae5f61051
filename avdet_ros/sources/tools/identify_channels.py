"""Find the channel of each microphone: the user taps it, and the channel that responds is it."""

from __future__ import annotations

from dataclasses import replace
import time

import numpy as np
from rich.console import Console
from rich.markup import escape

from avdet_ros.audio.samples import to_float
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.base import Source
from avdet_ros.sources.device import DeviceSource
from avdet_ros.sources.device_list import find_device, rescan

TAP_DB = 15.0
"""Minimum increase of a channel's peak by a tap."""

CLEAR_DB = 6.0
"""Minimum difference between the loudest channel and the second loudest."""

PATIENCE_S = 30.0
"""Longest wait for one tap."""

_PIECE_S = 0.05
_QUIET_PIECES = 20
_AFTER_S = 0.6


class TapFinder:
    """Finds the tapped channel in sound that is added piece by piece."""

    def __init__(self, sample_rate_hz: int, channels: int = MICROPHONES) -> None:
        self._piece = round(_PIECE_S * sample_rate_hz)
        self._unread = np.empty((0, channels), np.float32)
        self._quiet: list[np.ndarray] = []  # peaks of the latest pieces without a tap

    def push(self, samples: np.ndarray) -> int | None:
        """Add sound.

        Args:
            samples: (n, channels) int16 or float.

        Returns:
            The channel whose microphone was tapped, or None.
        """
        self._unread = np.concatenate([self._unread, to_float(samples)])
        while len(self._unread) >= self._piece:
            piece, self._unread = self._unread[: self._piece], self._unread[self._piece :]
            # Differences emphasise clicks such as taps over wind and rumble.
            peaks = np.abs(np.diff(piece, axis=0)).max(axis=0) + 1e-5
            if len(self._quiet) == _QUIET_PIECES:
                rise_db = 20 * np.log10(peaks / np.median(self._quiet, axis=0))
                order = np.argsort(rise_db)
                if rise_db[order[-1]] > TAP_DB:
                    # Touching the mount moves the neighbours too; the loudest one was tapped.
                    level_db = 20 * np.log10(peaks)
                    clear = level_db[order[-1]] - np.delete(level_db, order[-1]).max() > CLEAR_DB
                    return int(order[-1]) if clear else None
                self._quiet.pop(0)
            self._quiet.append(peaks)
        return None


def find_taps(source: Source, names: tuple[str, ...], console: Console) -> list[int]:
    """Ask the user to tap each microphone and return the channels that responded.

    Args:
        source: a started source that delivers the device's channels in the device's order.
        names: names of the microphones, in the order in which to tap them.
        console: console for the prompts.

    Raises:
        AvdetError: no channel responds to a tap for half a minute.
    """
    channels: list[int] = []
    for name in names:
        console.print(f'tap the microphone [bold]{escape(name)}[/] ...', end=' ')
        finder = TapFinder(source.sample_rate_hz, source.channels)
        deadline = time.monotonic() + PATIENCE_S
        channel = None
        while channel is None:
            if time.monotonic() > deadline:
                raise AvdetError(
                    f'tapping: expected one channel to answer for {name} within '
                    f'{PATIENCE_S:g} s, found none clearly ahead of the others'
                )
            block = source.read(0.2)
            if block is not None:
                channel = finder.push(block.samples)
        note = ' (responded before!)' if channel in channels else ''
        console.print(f'channel [bold]{channel}[/]{note}')
        channels.append(channel)
        settled = time.monotonic() + _AFTER_S
        while time.monotonic() < settled:  # let the mount stop ringing
            source.read(0.1)
    return channels


def run_tapping(rig: Rig, device: str) -> None:
    """Find the channel map of a device by tapping, and compare it with the rig's.

    Args:
        rig: rig with the names of the microphones and the map to compare with.
        device: index, name or part of a name.

    Raises:
        AvdetError: the device cannot be opened, no channel responds to a tap, or the rig's map is
            wrong.
    """
    count = max(MICROPHONES, rig.device_channels)
    rescan()
    find_device(device, count)
    source = DeviceSource(replace(rig, channels=np.arange(count)), device)
    console = Console(highlight=False)
    source.start()
    try:
        channels = find_taps(source, rig.names, console)
    finally:
        source.stop()
    if len(set(channels)) != len(channels):
        raise AvdetError(
            'tapping: expected another channel to answer for each microphone, found '
            f'{", ".join(map(str, channels))}'
        )
    wrong = [
        f'{name} is on channel {found}, the rig says {expected}'
        for name, found, expected in zip(rig.names, channels, rig.channels.tolist(), strict=True)
        if found != expected
    ]
    if wrong:
        raise AvdetError(f'the channel map of the rig: {"; ".join(wrong)}')
    console.print("every microphone is on the rig's channel")
