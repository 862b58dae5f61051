"""Break down the time from a window's last sample to its tracks, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.table import Table

WAY = (
    ('the source hands the last block over', 'capture', 'block'),
    ('the worker of capture wakes', 'capture', 'handed'),
    ('features', 'capture', 'features'),
    ('spectrogram, message built', 'capture', 'message'),
    ('spectrogram, published', 'capture', 'sent'),
    ('to the detector', 'detector', 'received'),
    ('the worker of detector wakes', 'detector', 'begun'),
    ('spectrogram, decoded', 'detector', 'decoded'),
    ('inference', 'detector', 'inferred'),
    ('detections, published', 'detector', 'sent'),
    ('to the tracker', 'tracker', 'received'),
    ('tracks', 'tracker', 'tracked'),
    ('tracks, published', 'tracker', 'sent'),
)
"""Each step, and the node and mark on topic `debug/steps` that show its end."""

WHOLE = 'sample captured to tracks published'


@dataclass(frozen=True)
class StepBudget:
    """Time of one step.

    Attributes:
        step: name of the step.
        p50: median, ms.
        p99: 99th percentile, ms.
    """

    step: str
    p50: float
    p99: float


def budget(windows: Mapping[int, Mapping[tuple[str, str], float]]) -> list[StepBudget]:
    """Compute the time of each step and in total, over the windows that passed all steps.

    Args:
        windows: marks of each window, from `GraphMonitor.steps`.

    Returns:
        One row per step, in order, then the total; empty if no window passed all steps.
    """
    marks = [(node, mark) for _, node, mark in WAY]
    passed = [
        [seen[mark] for mark in marks] for seen in windows.values() if seen.keys() >= {*marks}
    ]
    if not passed:
        return []
    passed_ms = np.array(passed)
    steps_ms = np.diff(passed_ms, axis=1, prepend=0.0)
    columns = [*zip((step for step, _, _ in WAY), steps_ms.T, strict=True)]
    columns.append((WHOLE, passed_ms[:, -1]))
    return [
        StepBudget(step, *(float(p) for p in np.percentile(ms, [50, 99]))) for step, ms in columns
    ]


def budget_table(rate_hz: float, rows: list[StepBudget], form: str = 'this') -> Table:
    """Make the table, one row per step."""
    title = f'the way of a window, {rate_hz:g} a second' + ('' if form == 'this' else f', {form}')
    table = Table(title=title, title_justify='left')
    table.add_column('step')
    for heading in ('p50 ms', 'p99 ms'):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(row.step, f'{row.p50:.2f}', f'{row.p99:.2f}', end_section=row is rows[-2])
    return table
