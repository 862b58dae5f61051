"""How late tracks are, and what each node takes, with the four nodes running over DDS.

Latency is from the capture of a window's last sample to the publication of its tracks, as the
tracker node publishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import time

import numpy as np
import psutil
from rich.table import Table

from avdet_ros.errors import AvdetError
from avdet_ros.graph import make_graph
from avdet_ros.supervisor import Supervisor, transport_settings

RATES_HZ = (10, 20)
SETTLE_S = 3.0
_START_S = 60.0


@dataclass(frozen=True)
class NodeLoad:
    """What one node's process takes.

    Attributes:
        node: its name.
        megabytes: resident memory at the end.
        cpu_percent: of one core, over the measurement.
    """

    node: str
    megabytes: float
    cpu_percent: float


@dataclass(frozen=True)
class PipelineResult:
    """One run of the graph.

    Attributes:
        rate_hz: windows a second that were asked for.
        seconds: how long it was listened to.
        windows: tracks messages that came.
        dropped: instants without one, between the first and the last.
        p50: median latency, ms.
        p99: 99th percentile, ms.
        worst: greatest, ms.
        nodes: their loads.
    """

    rate_hz: float
    seconds: float
    windows: int
    dropped: int
    p50: float
    p99: float
    worst: float
    nodes: list[NodeLoad]


def run_pipeline(
    model: Path,
    rate_hz: float,
    seconds: float,
    seed: int,
    rig: Path | None = None,
) -> PipelineResult:
    """Run capture (a simulated drive), detector, tracker and overlay, and listen.

    Args:
        model: ONNX file.
        rate_hz: windows a second.
        seconds: how long to listen, after the graph has settled.
        seed: of the drive.
        rig: rig file, None for the package's own.

    Raises:
        AvdetError: ROS is not installed, a node ended, or no tracks came.
    """
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise AvdetError(f'the pipeline needs ROS 2: expected rclpy, found {error}') from error
    given = {
        'source': 'simulation',
        'seed': str(seed),
        'duration': str(seconds + SETTLE_S + _START_S),
        'hop': str(1 / rate_hz),
        'model': str(model),
        'namespace': f'bench_{os.getpid()}',
        'respawn': 'false',
        'log_level': 'warn',
    }
    graph = make_graph(given | ({'rig': str(rig)} if rig else {}))
    lines: dict[str, list[str]] = {}
    supervisor = Supervisor(graph, lambda node, line: lines.setdefault(node, []).append(line))
    os.environ.update(transport_settings(os.environ))
    supervisor.start()
    try:
        from avdet_ros.nodes.graph_monitor import GraphMonitor

        monitor = GraphMonitor(graph.namespace, ('tracks',))
        try:
            handles = {
                name: psutil.Process(process.pid) for name, process in supervisor.processes.items()
            }
            _watch(supervisor, lines, _START_S, lambda: monitor.tracks)
            _watch(supervisor, lines, SETTLE_S)
            monitor.clear()
            before, start = _cpu_seconds(handles), time.monotonic()
            _watch(supervisor, lines, seconds)
            taken_s, after = time.monotonic() - start, _cpu_seconds(handles)
            loads = [
                NodeLoad(
                    node,
                    handle.memory_info().rss / 1e6,
                    100 * (after[node] - before[node]) / taken_s,
                )
                for node, handle in handles.items()
            ]
        finally:
            monitor.close()
    finally:
        supervisor.stop()
    latency_ms = [ms for _, ms in monitor.latency_ms]
    stamps_ns = [message.stamp_ns for message in monitor.tracks]
    return summarise(latency_ms, stamps_ns, rate_hz, seconds, loads)


def summarise(
    latency_ms: Sequence[float],
    stamps_ns: Sequence[int],
    rate_hz: float,
    seconds: float,
    loads: list[NodeLoad],
) -> PipelineResult:
    """Make numbers of what came.

    Raises:
        AvdetError: nothing came.
    """
    latency_ms, stamps_s = np.array(latency_ms), np.array(stamps_ns) * 1e-9
    if not len(latency_ms) or len(stamps_s) < 2:
        raise AvdetError(f'pipeline: expected tracks within {_START_S:g} s, none came')
    expected = round((stamps_s[-1] - stamps_s[0]) * rate_hz) + 1
    return PipelineResult(
        rate_hz=rate_hz,
        seconds=seconds,
        windows=len(stamps_s),
        dropped=max(0, expected - len(np.unique(stamps_s))),
        p50=float(np.median(latency_ms)),
        p99=float(np.percentile(latency_ms, 99)),
        worst=float(latency_ms.max()),
        nodes=loads,
    )


def pipeline_table(results: Sequence[PipelineResult]) -> Table:
    """Latency and losses, one row a rate."""
    table = Table(title='sample captured to tracks published', title_justify='left')
    for heading in ('windows a second', 'windows', 'dropped', 'p50 ms', 'p99 ms', 'max ms'):
        table.add_column(heading, justify='right')
    for result in results:
        times = (f'{value:.1f}' for value in (result.p50, result.p99, result.worst))
        row = f'{result.rate_hz:g}', str(result.windows), str(result.dropped)
        table.add_row(*row, *times)
    return table


def load_table(results: Sequence[PipelineResult]) -> Table:
    """Memory and processor time of each node, one row a rate."""
    table = Table(title='each node: MB, % of a core', title_justify='left')
    table.add_column('windows a second', justify='right')
    for load in results[0].nodes:
        table.add_column(load.node, justify='right')
    for result in results:
        cells = (f'{load.megabytes:.0f}, {load.cpu_percent:.0f} %' for load in result.nodes)
        table.add_row(f'{result.rate_hz:g}', *cells)
    return table


def _watch(
    supervisor: Supervisor,
    lines: Mapping[str, list[str]],
    longest_s: float,
    done: Callable[[], object] = lambda: False,
) -> None:
    """Look after the nodes until something is done, or for so long.

    Raises:
        AvdetError: a node has ended.
    """
    until_s = time.monotonic() + longest_s
    while time.monotonic() < until_s and not done():
        supervisor.poll()
        for node, status in supervisor.deaths:
            time.sleep(0.5)  # its last words are still on their way
            words = [line for line in lines.get(node, []) if 'ended with' not in line]
            last = words[-1] if words else 'without a word'
            raise AvdetError(f'node {node} ended with status {status}: {last}')
        time.sleep(0.05)


def _cpu_seconds(handles: dict[str, psutil.Process]) -> dict[str, float]:
    return {node: sum(handle.cpu_times()[:2]) for node, handle in handles.items()}
