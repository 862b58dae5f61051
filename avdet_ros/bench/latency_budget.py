"""Where the time from a window's last sample to its tracks goes, step by step."""

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
"""Each step, and the node and mark of topic `debug/steps` at which it is done."""

WHOLE = 'sample captured to tracks published'


@dataclass(frozen=True)
class StepBudget:
    """What one step takes.

    Attributes:
        step: its name.
        p50: median, ms.
        p99: 99th percentile, ms.
    """

    step: str
    p50: float
    p99: float


def budget(windows: Mapping[int, Mapping[tuple[str, str], float]]) -> list[StepBudget]:
    """What each step takes, over the windows that went the whole way, and the whole.

    Args:
        windows: of `GraphMonitor.steps`.

    Returns:
        A row a step, in their order, then the whole; none where no window went the whole way.
    """
    marks = [(node, mark) for _, node, mark in WAY]
    done = [[seen[mark] for mark in marks] for seen in windows.values() if seen.keys() >= {*marks}]
    if not done:
        return []
    done_ms = np.array(done)
    steps_ms = np.diff(done_ms, axis=1, prepend=0.0)
    columns = [*zip((step for step, _, _ in WAY), steps_ms.T, strict=True)]
    columns.append((WHOLE, done_ms[:, -1]))
    return [
        StepBudget(step, *(float(p) for p in np.percentile(ms, [50, 99]))) for step, ms in columns
    ]


def budget_table(rate_hz: float, rows: list[StepBudget], form: str = 'this') -> Table:
    """A row a step."""
    title = f'the way of a window, {rate_hz:g} a second' + ('' if form == 'this' else f', {form}')
    table = Table(title=title, title_justify='left')
    table.add_column('step')
    for heading in ('p50 ms', 'p99 ms'):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(row.step, f'{row.p50:.2f}', f'{row.p99:.2f}', end_section=row is rows[-2])
    return table
