"""Measure the latency of tracks and the load of each node, with four nodes running over DDS.

Latency is the time from the capture of a window's last sample to the publication of its tracks,
as published by node tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
import os
from pathlib import Path

import numpy as np
from rich.table import Table
import soundfile

from avdet_ros.audio.samples import to_int16
from avdet_ros.bench.latency_budget import StepBudget, budget
from avdet_ros.bench.running_graph import NodeLoad, RunningGraph
from avdet_ros.errors import AvdetError
from avdet_ros.graph import make_graph
from avdet_ros.rig import Rig

RATES_HZ = (10, 20)
SETTLE_S = 3.0
DRIVE_S = 20.0
_START_S = 60.0


@dataclass(frozen=True)
class PipelineResult:
    """One run of the graph.

    Attributes:
        rate_hz: windows per second, as requested.
        seconds: duration of the measurement.
        windows: track messages received.
        dropped: windows without one, between the first and the last.
        p50: median latency, ms.
        p99: 99th percentile, ms.
        worst: maximum, ms.
        nodes: loads of the nodes.
        steps: time of each step; empty if the code does not report steps.
        code: checkout whose nodes ran, '' for this one.
        composed: whether capture, detector and tracker ran in one process.
    """

    rate_hz: float
    seconds: float
    windows: int
    dropped: int
    p50: float
    p99: float
    worst: float
    nodes: list[NodeLoad]
    steps: list[StepBudget] = field(default_factory=list)
    code: str = ''
    composed: bool = False

    @property
    def form(self) -> str:
        """Description of the code that ran, for tables."""
        return (self.code or 'this') + (', composed' if self.composed else '')


def write_drive(path: Path, rig: Rig, seed: int, seconds: float = DRIVE_S) -> None:
    """Render a drive into a sound file that the graph plays in a loop.

    Rendering during the measurement would take a core away from the nodes.
    """
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    sound = render_sound(random_scene(seed, rig, seconds), 0.0, seconds)
    soundfile.write(path, to_int16(sound.T), rig.sample_rate_hz, subtype='PCM_16')


def run_pipeline(
    model: Path,
    rate_hz: float,
    seconds: float,
    sound: Path,
    rig: Path | None = None,
    code: Path | None = None,
    **launch_arguments: str,
) -> PipelineResult:
    """Run capture (on a sound file), detector, tracker and overlay, and measure them.

    Args:
        model: ONNX file.
        rate_hz: windows per second.
        seconds: duration of the measurement, after the graph has settled.
        sound: file with eight channels, played in a loop.
        rig: rig file, None for the example.
        code: checkout whose nodes run, None for this one.
        **launch_arguments: further arguments of the graph.

    Raises:
        AvdetError: ROS is not installed, a node ended, or no tracks arrived.
    """
    arguments = {
        'source': 'file',
        'file': str(sound),
        'loop': 'true',
        'hop': str(1 / rate_hz),
        'model': str(model),
        'respawn': 'false',
        'log_level': 'warn',
        **launch_arguments,
    }
    arguments |= {'rig': str(rig)} if rig else {}
    topics = ('tracks', 'debug/steps')
    environment = {}
    if code:  # otherwise the current folder would come first
        path = f'{code}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
        environment = {'PYTHONPATH': path, 'PYTHONSAFEPATH': '1'}
    with RunningGraph(lambda: make_graph(arguments), topics, environment=environment) as graph:
        graph.wait(lambda: graph.monitor.tracks, 'tracks', _START_S)
        graph.run_for(SETTLE_S)
        graph.monitor.clear()
        read_loads = graph.measure_load()
        graph.run_for(seconds)
        loads, monitor = read_loads(), graph.monitor
    latency_ms = [ms for _, ms in monitor.latency_ms]
    stamps_ns = [message.stamp_ns for message in monitor.tracks]
    result = summarise(latency_ms, stamps_ns, rate_hz, seconds, loads)
    return replace(
        result,
        steps=budget(monitor.steps.copy()),
        code=str(code or ''),
        composed=len(graph.graph.processes) < len(graph.graph.nodes),
    )


def summarise(
    latency_ms: Sequence[float],
    stamps_ns: Sequence[int],
    rate_hz: float,
    seconds: float,
    loads: list[NodeLoad],
) -> PipelineResult:
    """Summarise latencies and losses of the messages received.

    Raises:
        AvdetError: no messages arrived.
    """
    late_ms, stamps_s = np.array(latency_ms), np.array(stamps_ns) * 1e-9
    if not len(late_ms) or len(stamps_s) < 2:
        raise AvdetError(f'pipeline: expected tracks within {_START_S:g} s, none came')
    expected = round((stamps_s[-1] - stamps_s[0]) * rate_hz) + 1
    return PipelineResult(
        rate_hz=rate_hz,
        seconds=seconds,
        windows=len(stamps_s),
        dropped=max(0, expected - len(np.unique(stamps_s))),
        p50=float(np.median(late_ms)),
        p99=float(np.percentile(late_ms, 99)),
        worst=float(late_ms.max()),
        nodes=loads,
    )


def pipeline_table(results: Sequence[PipelineResult]) -> Table:
    """Make the table of latency and losses, one row per run."""
    table = Table(title='sample captured to tracks published', title_justify='left')
    for heading in ('windows a second', 'code', *_HEADINGS):
        table.add_column(heading, justify='right')
    for result in results:
        times = (f'{value:.1f}' for value in (result.p50, result.p99, result.worst))
        row = f'{result.rate_hz:g}', result.form, str(result.windows)
        table.add_row(*row, str(result.dropped), *times)
    return table


_HEADINGS = ('windows', 'dropped', 'p50 ms', 'p99 ms', 'max ms')


def load_table(results: Sequence[PipelineResult]) -> Table:
    """Make the table of memory and processor time of each process, one row per run."""
    table = Table(title='each process: MB, % of a core', title_justify='left')
    table.add_column('windows a second', justify='right')
    table.add_column('code', justify='right')
    names = dict.fromkeys(load.node for result in results for load in result.nodes)
    for name in (*names, 'all'):
        table.add_column(name, justify='right')
    for result in results:
        loads = {load.node: (load.megabytes, load.cpu_percent) for load in result.nodes}
        loads['all'] = (sum(load.megabytes for load in result.nodes), total_percent(result))
        cells = ['-' if name not in loads else _load(*loads[name]) for name in (*names, 'all')]
        table.add_row(f'{result.rate_hz:g}', result.form, *cells)
    return table


def _load(megabytes: float, cpu_percent: float) -> str:
    return f'{megabytes:.0f}, {cpu_percent:.1f} %'


def total_percent(result: PipelineResult) -> float:
    """Return the processor time of all nodes, % of a core."""
    return sum(load.cpu_percent for load in result.nodes)
