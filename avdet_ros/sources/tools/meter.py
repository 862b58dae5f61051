"""Show eight live level bars with the faults of each channel."""

from __future__ import annotations

from collections import deque
import time

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from avdet_ros.audio.levels import ChannelState, check_channels, find_swapped_microphones
from avdet_ros.audio.samples import to_float
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.device import DeviceSource

LOWEST_DB = -90.0
"""Level at the left end of the bars."""

JUDGED_S = 4.0
"""Length of the sound from which faults are determined."""

_BAR = 40
_REFRESH_S = 0.1
_JUDGE_S = 1.0


def run_meter(rig: Rig, device: str, seconds: float | None = None) -> None:
    """Show levels of a device until Ctrl-C.

    Args:
        rig: rig with names, channel map, positions and sample rate.
        device: index, name or part of a name.
        seconds: end after this time; None runs until Ctrl-C.

    Raises:
        AvdetError: the device cannot be opened, or dies.
    """
    source = DeviceSource(rig, device)
    source.start()
    recent: deque[np.ndarray] = deque()
    states: list[ChannelState] = []
    swapped: tuple[int, int] | None = None
    try:
        with Live(Text('waiting for sound'), refresh_per_second=10) as live:
            began = checked_s = shown_s = time.monotonic()
            while seconds is None or time.monotonic() - began < seconds:
                block = source.read(_REFRESH_S)
                if source.trouble:
                    raise AvdetError(source.trouble)
                if block is not None:
                    recent.append(block.samples)
                    held = sum(map(len, recent))
                    while held - len(recent[0]) > JUDGED_S * rig.sample_rate_hz:
                        held -= len(recent.popleft())
                now = time.monotonic()
                if recent and now - shown_s > _REFRESH_S:
                    shown_s = now
                    if now - checked_s > _JUDGE_S or not states:
                        checked_s = now
                        sound = np.concatenate(recent)
                        states = check_channels(sound, rig.sample_rate_hz)
                        swapped = find_swapped_microphones(
                            sound, rig.sample_rate_hz, rig.microphones_m
                        )
                    note = source.doubt or source.notice
                    view = meter_view(rig, list(recent), states, swapped, source.label, note)
                    live.update(view)
    except KeyboardInterrupt:
        pass
    finally:
        source.stop()


def meter_view(
    rig: Rig,
    recent: list[np.ndarray],
    states: list[ChannelState],
    swapped: tuple[int, int] | None,
    name: str,
    note: str = '',
) -> Group:
    """Return the page that the meter shows.

    Args:
        rig: rig with names and channels.
        recent: blocks of (n, 8) samples, oldest first.
        states: state of each microphone.
        swapped: two microphones that look swapped, or None.
        name: name of the device.
        note: message for the user about its channels.
    """
    newest: list[np.ndarray] = []
    for samples in reversed(recent):
        newest.append(to_float(samples))
        if sum(map(len, newest)) > 0.1 * rig.sample_rate_hz:
            break
    sound = np.concatenate(newest)
    level_db = 10 * np.log10(np.maximum(np.var(sound, axis=0), 1e-12))
    peak_db = 20 * np.log10(np.maximum(np.abs(sound).max(axis=0), 1e-6))
    table = Table(title=Text(name), box=None, pad_edge=False)
    for heading in ('channel', 'microphone', 'level / dB', '', 'peak / dB', ''):
        table.add_column(heading, justify='right' if '/' in heading else 'left')
    for microphone in range(MICROPHONES):
        faults = list(states[microphone].faults)
        if swapped is not None and microphone in swapped:
            other = swapped[1 - swapped.index(microphone)]
            faults.append(f'looks swapped with {rig.names[other]}')
        table.add_row(
            str(rig.channels[microphone]),
            Text(rig.names[microphone]),
            f'{level_db[microphone]:.0f}',
            _bar(level_db[microphone], peak_db[microphone]),
            f'{peak_db[microphone]:.0f}',
            Text(', '.join(faults), style='bold red') if faults else Text('ok', style='green'),
        )
    notes = [Text(note, style='bold yellow')] if note else []
    return Group(table, *notes, Text('Ctrl-C ends', style='dim'))


def _bar(level_db: float, peak_db: float) -> Text:
    """Return a bar up to the level, with a mark at the peak."""
    places = np.array([level_db, peak_db])
    level, peak = (np.clip((places - LOWEST_DB) / -LOWEST_DB, 0, 1) * _BAR).round().astype(int)
    text = ['━'] * level + [' '] * (_BAR - level)
    text[min(peak, _BAR - 1)] = '┃'
    style = 'red' if peak_db > -0.1 else 'yellow' if peak_db > -6 else 'green'
    return Text(''.join(text), style=style)
