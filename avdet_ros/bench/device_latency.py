"""Measure delay and losses by PortAudio latency, on a device whose every sample is known.

Sound server, ALSA plugin and PortAudio are the real ones; a card's crystal and driver are missing.
A latency at which samples are lost here is too low for a card as well, which may need even more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import os
import time

import numpy as np
from rich.table import Table

from avdet_ros.audio.watermark import read_marks
from avdet_ros.bench.clocked_device import ClockedDevice
from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.sources.device import DeviceSource

LATENCIES_S = (0.005, 0.01, 0.02, 0.04, 0.08)
SETTLE_S = 1.0


@dataclass(frozen=True)
class DeviceLatency:
    """Result at one latency.

    Attributes:
        asked_ms: latency requested from PortAudio.
        got_ms: latency that PortAudio granted.
        block_ms: median length of a block.
        p50: median delay from a block's last sample to the delivery of the block, ms.
        p99: the same, 99th percentile.
        lost: number of samples lost.
        overflows: overflows that PortAudio reported.
        cpu_percent: processor time for reading alone, % of a core.
    """

    asked_ms: float
    got_ms: float
    block_ms: float
    p50: float
    p99: float
    lost: int
    overflows: int
    cpu_percent: float

    @property
    def window_p50(self) -> float:
        """Median delay of a window's last sample, which may lie anywhere in its block, ms."""
        return self.p50 + self.block_ms / 2


def measure_device(
    sound: np.ndarray,
    rig: Rig,
    seconds: float,
    latencies_s: Sequence[float] = LATENCIES_S,
    progress: Progress = SILENT,
) -> list[DeviceLatency]:
    """Read the device at one latency after another.

    Args:
        sound: (n, 8) int16 that the device plays in a loop.
        rig: channel order and sample rate.
        seconds: duration at each latency, after settling.
        latencies_s: latencies to request from PortAudio.
        progress: displays one step per latency.

    Raises:
        AvdetError: the programs of the device are not installed, or no sound arrived.
    """
    device = ClockedDevice(sound, rig.sample_rate_hz)
    before = {name: os.environ.get(name) for name in device.environment}
    try:
        device.start()
        os.environ.update(device.environment)
        results = []
        for latency_s in latencies_s:
            with progress.step(f'{1e3 * latency_s:g} ms for {seconds:g} s'):
                results.append(_read(device, rig, latency_s, seconds))
        return results
    finally:
        device.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _read(device: ClockedDevice, rig: Rig, latency_s: float, seconds: float) -> DeviceLatency:
    source = DeviceSource(rig, DEVICE, latency_s)
    source.start()
    try:
        _settle(source)
        got_s, lost, overflows = source.latency_s, source.lost_samples, source.overflows
        late_s, lengths = [], []
        began_s, used_s = time.monotonic(), time.process_time()
        while time.monotonic() < began_s + seconds:
            block = source.read(0.2, 1)  # as soon as it arrives
            now_s = time.time()
            if block is not None and (runs := read_marks(block.samples)):
                newest = runs[-1].sample + runs[-1].count
                late_s.append(now_s - float(device.captured_s(newest)))
                lengths.append(len(block.samples))
        used_s = time.process_time() - used_s
        lost, overflows = source.lost_samples - lost, source.overflows - overflows
    finally:
        source.stop()
    if not late_s:
        raise AvdetError(f'{DEVICE}: expected sound at {1e3 * latency_s:g} ms, none came')
    p50, p99 = 1e3 * np.percentile(late_s, [50, 99])
    return DeviceLatency(
        asked_ms=1e3 * latency_s,
        got_ms=1e3 * got_s,
        block_ms=1e3 * float(np.median(lengths)) / rig.sample_rate_hz,
        p50=float(p50),
        p99=float(p99),
        lost=lost,
        overflows=overflows,
        cpu_percent=100 * used_s / seconds,
    )


def _settle(source: DeviceSource) -> None:
    until_s = time.monotonic() + SETTLE_S
    while time.monotonic() < until_s:
        source.read(0.2)


def device_table(results: Sequence[DeviceLatency]) -> Table:
    """Make the table for the terminal, one row per latency."""
    table = Table(title='latency asked of PortAudio', title_justify='left')
    for heading in COLUMNS:
        table.add_column(heading, justify='right')
    for result in results:
        table.add_row(*_cells(result))
    return table


def device_markdown(results: Sequence[DeviceLatency]) -> str:
    """Make the same table in Markdown."""
    lines = [f'| {" | ".join(COLUMNS)} |', '|' + '---:|' * len(COLUMNS)]
    return '\n'.join(lines + [f'| {" | ".join(_cells(result))} |' for result in results])


COLUMNS = (
    'asked, ms',
    'got, ms',
    'block, ms',
    'block late, p50 ms',
    'p99 ms',
    'window late, p50 ms',
    'samples lost',
    'overflows',
    '% of a core',
)


def _cells(result: DeviceLatency) -> tuple[str, ...]:
    times = (result.p50, result.p99, result.window_p50)
    return (
        f'{result.asked_ms:g}',
        f'{result.got_ms:.0f}',
        f'{result.block_ms:.1f}',
        *(f'{value:.1f}' for value in times),
        str(result.lost),
        str(result.overflows),
        f'{result.cpu_percent:.1f}',
    )
