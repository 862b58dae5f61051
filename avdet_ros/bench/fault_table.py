"""Run faults one after another, and make the table of their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import psutil
from rich.markup import escape
from rich.table import Table

from avdet_ros.bench.clock_faults import CLOCK_FAULTS
from avdet_ros.bench.clocked_device import ClockedDevice
from avdet_ros.bench.doc_section import machine_line
from avdet_ros.bench.faults import FAULTS, Outcome
from avdet_ros.bench.graph_under_test import GraphUnderTest
from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.dds_domain import free_domain, release_domain
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress

SIGINT = 'SIGINT'
NAMES = (*FAULTS, *CLOCK_FAULTS, SIGINT)
"""All faults, in the order of the table."""

SIGINT_DELAYS_S = (0.1, 0.7, 1.3, 1.9, 2.5, 3.5, 5.0, 8.0)


def run_faults(
    sound: np.ndarray, model: str | Path, names: Sequence[str], progress: Progress = SILENT
) -> list[Outcome]:
    """Inject faults into a running graph.

    A fault that the graph does not recover from is an outcome too; later faults get a new graph.

    Args:
        sound: (n, 8) int16 that the device plays in a loop.
        model: ONNX file.
        names: some of `NAMES`.
        progress: shows one step for each fault.
    """
    outcomes = []
    for faults, clock in ((FAULTS, False), (CLOCK_FAULTS, True)):
        remaining = [name for name in faults if name in names]
        while remaining:
            with GraphUnderTest(sound, model, clock=clock) as graph:
                while remaining:
                    name = remaining.pop(0)
                    try:
                        with progress.step(name):
                            outcomes.append(faults[name](graph))
                    except AvdetError as error:
                        outcomes.append(Outcome(name, f'NOT AS IT SHOULD BE: {error}', None, '?'))
                        break
    if SIGINT in names:
        with progress.step(SIGINT):
            outcomes.append(signals_at_any_moment(sound, model))
    return outcomes


def signals_at_any_moment(
    sound: np.ndarray, model: str | Path, delays_s: Sequence[float] = SIGINT_DELAYS_S
) -> Outcome:
    """Send SIGINT to a recording `avdet run`, at several delays after its first node started.

    Before that, the interpreter is still loading, when Ctrl-C ends any Python program.
    """
    folder = Path(tempfile.mkdtemp(prefix='avdet-signal-'))
    domain = free_domain()
    device = ClockedDevice(sound)
    statuses, ends_s, processes, broken, killed = [], [], 0, 0, 0
    try:
        device.start()
        environment = {
            **os.environ,
            **device.environment,
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }
        for number, delay_s in enumerate(delays_s):
            bag, log = folder / f'bag{number}', folder / 'log'
            arguments = [
                'source:=device',
                f'device:={DEVICE}',
                f'model:={model}',
                f'record:={bag}',
            ]
            command = [sys.executable, '-m', 'avdet_ros.cli.main', 'run', *arguments]
            with log.open('w') as output:
                process = subprocess.Popen(
                    command, env=environment, stdout=output, stderr=subprocess.STDOUT
                )
            nodes = _children_after(process, delay_s)
            sent_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            statuses.append(process.wait(60))
            ends_s.append(time.monotonic() - sent_s)
            processes += sum(child.is_running() for child in nodes)
            broken += bag.exists() and not _whole(bag)
            killed += 'killed' in log.read_text()
    finally:
        device.close()
        release_domain(domain)
        shutil.rmtree(folder, ignore_errors=True)
    failed = [status for status in statuses if status]
    leftovers = f'{processes} processes and {broken} half-written bags left, {killed} nodes killed'
    return Outcome(
        f'SIGINT at {len(delays_s)} moments from {min(delays_s):g} to {max(delays_s):g} s after '
        'the first node was started, while recording',
        f'exit status 0 {len(statuses) - len(failed)} times of {len(statuses)}; {leftovers}',
        max(ends_s),
        'nothing' if not (failed or processes or broken) else leftovers,
    )


def _children_after(process: subprocess.Popen[Any], delay_s: float) -> list[psutil.Process]:
    """Wait until `delay_s` after a run's first process started; return the run's processes."""
    parent = psutil.Process(process.pid)
    until_s = time.monotonic() + 30
    while not parent.children() and process.poll() is None and time.monotonic() < until_s:
        time.sleep(0.01)
    time.sleep(delay_s)
    return parent.children(recursive=True) if process.poll() is None else []


def _whole(bag: Path) -> bool:
    from avdet_ros.bags.reader import Bag

    try:
        with Bag(bag) as opened:
            return opened.partial is None
    except AvdetError:
        return False


def fault_table(outcomes: Sequence[Outcome]) -> Table:
    """Make the table for the terminal."""
    table = Table(show_lines=True)
    for heading in ('fault', 'what happened', 'time to recover', 'what was lost'):
        table.add_column(heading, overflow='fold')
    for row in _rows(outcomes):
        table.add_row(*map(escape, row))
    return table


def fault_markdown(outcomes: Sequence[Outcome], about: dict[str, object], command: str) -> str:
    """Make the section for `docs/field.md`."""
    lines = [
        f'    {command}',
        '',
        machine_line(about),
        '',
        '| fault | what happened | time to recover | what was lost |',
        '|---|---|---|---|',
    ]
    for row in _rows(outcomes):
        lines.append('| ' + ' | '.join(cell.replace('|', '\\|') for cell in row) + ' |')
    return '\n'.join(lines)


def _rows(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str, str]]:
    return [
        (
            outcome.fault,
            outcome.happened,
            '' if outcome.recovered_s is None else f'{outcome.recovered_s:.1f} s',
            outcome.lost,
        )
        for outcome in outcomes
    ]
