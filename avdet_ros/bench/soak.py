"""Soak test: over hours of live sound, check memory, open files, lost windows and stamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
import time

import numpy as np
import psutil
from rich.table import Table

from avdet_ros.bench.doc_section import machine_line
from avdet_ros.bench.graph_under_test import GraphUnderTest
from avdet_ros.bench.stream_losses import missing_windows
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress

WARM_UP_SHARE = 5 / 60
"""Share of the time after which memory must not grow: five minutes of an hour."""

DROPPED = ('windows_dropped', 'windows_missed')
"""The nodes' counters of windows lost in them or on the way to them."""

MEASUREMENTS = 60
"""Number of measurements of the processes."""


@dataclass
class Process:
    """Measurements of one process over time.

    Attributes:
        node: name of its node, or ``composed``.
        at_s: times of the measurements.
        megabytes: private memory at each time, see `own_bytes`.
        files: number of open file descriptors.
        threads: number of threads.
    """

    node: str
    at_s: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def measure(self, process: psutil.Process, at_s: float) -> None:
        """Add one measurement."""
        self.at_s.append(at_s)
        self.megabytes.append(own_bytes(process) / 1e6)
        self.files.append(process.num_fds())
        self.threads.append(process.num_threads())

    def growth(self, numbers: Sequence[float], warm_up_s: float) -> float:
        """Return the growth after the warm-up: median of last tenth minus that of first tenth."""
        after = [n for at_s, n in zip(self.at_s, numbers, strict=True) if at_s >= warm_up_s]
        tenth = max(1, len(after) // 10)
        return float(np.median(after[-tenth:]) - np.median(after[:tenth])) if after else 0.0


@dataclass(frozen=True)
class Soak:
    """Results of a soak test.

    Attributes:
        minutes: duration.
        windows: windows with tracks.
        lost: hops without tracks, between the first and the last.
        dropped: windows that nodes counted as dropped or missed, by node; every lost window must
            be among them.
        latency_p99_ms: latency from sound to tracks, 99th percentile of each third.
        stamp_error_ms: absolute error of stamps, 99th percentile of each third.
        drift: drift of the device's clock, as a fraction.
        samples_lost: as counted by capture.
        processes: measurements of the node processes.
        warm_up_s: time from which growth counts.
        died: nodes that ended.
    """

    minutes: float
    windows: int
    lost: int
    dropped: dict[str, int]
    latency_p99_ms: list[float]
    stamp_error_ms: list[float]
    drift: float
    samples_lost: int
    processes: list[Process]
    warm_up_s: float
    died: list[str]


def run_soak(
    sound: np.ndarray,
    model: str | Path,
    minutes: float,
    drift: float = 1e-4,
    progress: Progress = SILENT,
    **launch_arguments: str,
) -> Soak:
    """Run the graph on a device whose clock drifts.

    Args:
        sound: (n, 8) int16 that the device plays in a loop.
        model: ONNX file.
        minutes: duration.
        drift: how much slower than nominal the device's clock runs; 1e-4 is 100 ppm.
        progress: displays the seconds done.
        **launch_arguments: further arguments of the graph.

    Raises:
        AvdetError: no tracks arrive.
    """
    with GraphUnderTest(sound, model, drift, clock=False, **launch_arguments) as graph:
        graph.settle()
        handles = {
            name: psutil.Process(process.pid)
            for name, process in graph.supervisor.processes.items()
        }
        before = _counts(graph)
        began_s = time.monotonic()
        processes = {name: Process(name) for name in handles}
        stamps: list[tuple[float, float]] = []
        until_s = began_s + 60 * minutes
        with progress.step('seconds', round(60 * minutes)) as advance:
            shown_s = began_s
            while (now_s := time.monotonic()) < until_s and not graph.supervisor.deaths:
                for name, handle in handles.items():
                    processes[name].measure(handle, now_s - began_s)
                stamps += _take_stamps(graph, began_s)
                advance(int(now_s - shown_s))
                shown_s += int(now_s - shown_s)
                time.sleep(min(60 * minutes / MEASUREMENTS, max(0.0, until_s - time.monotonic())))
        stamps += _take_stamps(graph, began_s)
        stamps_ns = [entry.stamp_ns for entry in graph.monitor.tracks if entry.at_s >= began_s]
        after = _counts(graph)
        if not stamps_ns:
            raise AvdetError('soak: expected tracks, found none')
        latencies = [
            (at_s - began_s, ms) for at_s, ms in graph.monitor.latency_ms if at_s >= began_s
        ]
        deaths = [f'{node} with status {status}' for node, status in graph.supervisor.deaths]
    return Soak(
        minutes=minutes,
        windows=len(stamps_ns),
        lost=missing_windows(stamps_ns),
        dropped={
            node: sum(after[node].get(name, 0) - before[node].get(name, 0) for name in DROPPED)
            for node in after
        },
        latency_p99_ms=_thirds(latencies, 60 * minutes),
        stamp_error_ms=_thirds(stamps, 60 * minutes),
        drift=drift,
        samples_lost=after['capture']['samples_lost'] - before['capture']['samples_lost'],
        processes=list(processes.values()),
        warm_up_s=WARM_UP_SHARE * 60 * minutes,
        died=deaths,
    )


def own_bytes(process: psutil.Process) -> int:
    """Return the private memory of a process, without mappings meant to be shared.

    The mappings of DDS and of the sound server have a fixed size, and whether their pages count as
    private depends on who else has read them.
    """
    return sum(
        part.private_clean + part.private_dirty
        for part in process.memory_maps(grouped=False)
        if not part.perms.endswith('s')
    )


def _take_stamps(graph: GraphUnderTest, began_s: float) -> list[tuple[float, float]]:
    """Return the stamp errors since the last call; drop the runs and statuses behind them."""
    monitor = graph.monitor
    runs, monitor.sound[:] = list(monitor.sound), []
    for statuses in monitor.statuses.values():
        del statuses[:-5]
    monitor.spectrograms.clear()
    truth_s = graph.device.captured_s(np.array([run.sample for run in runs], float))
    errors_ms = 1e3 * np.abs(np.array([run.stamp_ns for run in runs]) * 1e-9 - truth_s)
    times_s = (run.at_s - began_s for run in runs)
    return list(zip(times_s, errors_ms.tolist(), strict=True))


def _counts(graph: GraphUnderTest) -> dict[str, dict[str, int]]:
    """Return every node's counters from its next diagnostics, which cover all until now."""
    names = (*DROPPED, 'samples_lost')
    since_s, found = time.monotonic(), {}
    for node in (spec.name for spec in graph.graph.nodes):
        status = graph.wait_status(node, '', since_s)
        found[node] = {name: int(status.values[name]) for name in names if name in status.values}
    return found


def _thirds(timed: Sequence[tuple[float, float]], seconds: float) -> list[float]:
    """Return the 99th percentile of each third of the time."""
    at_s, values = np.array(timed, float).reshape(-1, 2).T
    thirds = [values[(at_s >= k * seconds / 3) & (at_s < (k + 1) * seconds / 3)] for k in range(3)]
    return [float(np.percentile(third, 99)) if len(third) else float('nan') for third in thirds]


def soak_rows(soak: Soak) -> list[tuple[str, str]]:
    """Return the rows of the table: quantity and result."""
    dropped = ', '.join(f'{node} {count}' for node, count in soak.dropped.items() if count)
    rows = [
        ('windows', f'{soak.windows} in {soak.minutes:g} min'),
        ('windows lost', f'{soak.lost} (dropped and counted: {dropped or "none"})'),
        ('samples lost', str(soak.samples_lost)),
        (
            f'stamp error p99, device clock off by {soak.drift * 1e6:g} ppm',
            ' / '.join(f'{ms:.2f}' for ms in soak.stamp_error_ms) + ' ms (thirds of the time)',
        ),
        (
            'latency p99, sound to tracks',
            ' / '.join(f'{ms:.0f}' for ms in soak.latency_p99_ms) + ' ms (thirds of the time)',
        ),
    ]
    for process in soak.processes:
        grown = process.growth(process.megabytes, soak.warm_up_s)
        memory = f'{process.megabytes[-1]:.1f} MB, {grown:+.1f} MB since {soak.warm_up_s:.0f} s'
        files = f'files {process.files[0]} to {process.files[-1]}'
        threads = f'threads {process.threads[0]} to {process.threads[-1]}'
        rows.append((process.node, f'{memory}; {files}; {threads}'))
    if soak.died:
        rows.append(('DIED', '; '.join(soak.died)))
    return rows


def soak_table(soak: Soak) -> Table:
    """Make the table for the terminal."""
    table = Table(show_header=False)
    for row in soak_rows(soak):
        table.add_row(*row)
    return table


def soak_markdown(soak: Soak, about: dict[str, object], command: str) -> str:
    """Make the section for `docs/field.md`."""
    lines = [f'    {command}', '', machine_line(about), '', '| quantity | result |', '|---|---|']
    return '\n'.join(lines + [f'| {name} | {found} |' for name, found in soak_rows(soak)])
