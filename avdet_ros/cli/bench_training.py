"""`avdet bench training`: time and memory of training on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.bench_options import ResultsFile, RigFile, write_results
from avdet_ros.cli.console import console, progress_bars

STEPS, PAPER_STEPS = 10, 2
EPOCH_WINDOWS = 12_000
"""Windows per epoch, as in the shipped recipe."""


def training(
    rig: RigFile = None,
    threads: Annotated[int, typer.Option(help='Threads per inference.')] = 1,
    data: Annotated[
        Path | None,
        typer.Option(help='Windows to load; default: windows of noise, written first.'),
    ] = None,
    out: ResultsFile = None,
) -> None:
    """Measure training (step, epoch, loading, memory) and inference; compare with the paper."""
    from dataclasses import asdict

    from rich.table import Table

    from avdet_ros.bench.step_costs import machine
    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import load_rig

    try:
        from avdet_ros.training.studies import training_bench as costs
        from avdet_ros.training.studies.loading_bench import loading_rates
    except ImportError as error:
        raise AvdetError(
            f'avdet bench training: expected the packages of tools/requirements/train.txt, found '
            f' {error.name} missing'
        ) from error
    loaded_rig, about, progress = load_rig(rig), machine(), progress_bars()
    with progress.step('inference'):
        inference = costs.inference_costs(loaded_rig, threads)
    with progress.step('steps of the compact student'):
        rows = [costs.compact_training(loaded_rig, STEPS, data)]
    with progress.step("steps of the paper's student"):
        import torch

        rows.append(costs.paper_training(PAPER_STEPS, 8 if torch.cuda.is_available() else 1))
    with progress.step('reading a data set'):
        rates = loading_rates(loaded_rig)
    title = (
        f'{about["cores"]} cores, load {about["load"]:.1f}, {rows[0].device}; '
        f'an epoch has {EPOCH_WINDOWS} windows'
    )
    table = Table(title=title, title_justify='left')
    times = 'step ms', 'wait ms', 'load ms', 'epoch min'
    for heading in ('student', 'batch', *times, 'MB', 'precision'):
        table.add_column(heading, justify='left' if heading == 'student' else 'right')
    for row in rows:
        waits = ('-' if ms is None else f'{ms:.1f}' for ms in (row.wait_ms, row.load_ms))
        epoch = f'{row.epoch_s(EPOCH_WINDOWS) / 60:.1f}'
        numbers = f'{row.step_ms:.0f}', *waits, epoch, f'{row.memory_mb:.0f}'
        table.add_row(row.student, str(row.batch), *numbers, row.precision)
    console().print(table)
    compact = rows[0]
    part = (compact.load_ms or 0) / compact.step_ms
    console().print(
        f'loading a batch takes {part:.1%} of a step: '
        + ('not the limit' if part < 0.5 else 'it limits training'),
    )
    reading = Table(title='reading a data set, one process', title_justify='left')
    reading.add_column('what')
    reading.add_column('frames a minute', justify='right')
    for rate in rates:
        reading.add_row(rate.what, f'{rate.frames_per_minute:,.0f}')
    console().print(reading)
    verdict = 'at most' if inference.share <= costs.MAX_SHARE else 'MORE than'
    console().print(
        f'inference of a window on the processor, {inference.threads} thread(s), torch: compact '
        f'{inference.compact.p50:.1f} ms, paper (EfficientDet-D2, 768 x 768 x 8) '
        f'{inference.paper.p50:.0f} ms: 1/{1 / inference.share:.0f}, {verdict} 1/10',
    )
    write_results(
        out,
        {
            'machine': about,
            'training': [{**asdict(row), 'epoch_s': row.epoch_s(EPOCH_WINDOWS)} for row in rows],
            'reading': [asdict(rate) for rate in rates],
            'inference': {**asdict(inference), 'share': inference.share},
        },
    )
