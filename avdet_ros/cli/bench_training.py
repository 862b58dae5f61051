"""`avdet bench --training`: what learning costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from avdet_ros.rig import Rig

STEPS, PAPER_STEPS = 10, 2
EPOCH_WINDOWS = 12_000
"""Windows of the shipped recipe, what an epoch is counted over."""


def bench_training(
    console: Console,
    rig: Rig,
    about: dict[str, object],
    threads: int,
    data: Path | None,
    out: Path | None,
) -> None:
    """Measure and print; see `avdet bench`.

    Raises:
        AvdetError: torch is not installed, or the windows cannot be read.
    """
    from dataclasses import asdict

    from rich.table import Table

    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation import report

    try:
        from avdet_ros.training.studies import training_bench as costs
        from avdet_ros.training.studies.loading_bench import loading_rates
    except ImportError as error:
        raise AvdetError(
            f'avdet bench --training: expected the packages of tools/requirements/train.txt, '
            f'found {error.name} missing'
        ) from error
    with console.status('inference'):
        inference = costs.inference_costs(rig, threads)
    with console.status('steps of the compact student'):
        rows = [costs.compact_training(rig, STEPS, data)]
    with console.status("steps of the paper's student"):
        import torch

        rows.append(costs.paper_training(PAPER_STEPS, 8 if torch.cuda.is_available() else 1))
    with console.status('reading a data set'):
        rates = loading_rates(rig)
    title = (
        f'{about["cores"]} cores, load {about["load"]:.1f}, {rows[0].device}; '
        f'an epoch has {EPOCH_WINDOWS} windows'
    )
    table = Table(title=title, title_justify='left')
    for heading in (
        'student', 'batch', 'step ms', 'wait ms', 'load ms', 'epoch min', 'MB', 'precision',
    ):  # fmt: skip
        table.add_column(heading, justify='left' if heading == 'student' else 'right')
    for row in rows:
        waits = ('-' if ms is None else f'{ms:.1f}' for ms in (row.wait_ms, row.load_ms))
        epoch = f'{row.epoch_s(EPOCH_WINDOWS) / 60:.1f}'
        table.add_row(row.student, str(row.batch), f'{row.step_ms:.0f}', *waits, epoch,
                      f'{row.memory_mb:.0f}', row.precision)  # fmt: skip
    console.print(table)
    compact = rows[0]
    part = (compact.load_ms or 0) / compact.step_ms
    console.print(
        f'loading a batch takes {part:.1%} of a step: '
        + ('not the limit' if part < 0.5 else 'it limits training'),
        highlight=False,
    )
    reading = Table(title='reading a data set, one process', title_justify='left')
    reading.add_column('what')
    reading.add_column('frames a minute', justify='right')
    for rate in rates:
        reading.add_row(rate.what, f'{rate.frames_per_minute:,.0f}')
    console.print(reading)
    verdict = 'at most' if inference.share <= costs.MOST_SHARE else 'MORE than'
    console.print(
        f'hearing a window on the processor, {inference.threads} thread(s), torch: compact '
        f'{inference.compact.p50:.1f} ms, paper (EfficientDet-D2, 768 x 768 x 8) '
        f'{inference.paper.p50:.0f} ms: 1/{1 / inference.share:.0f}, {verdict} 1/10',
        highlight=False,
    )
    if out:
        report.write_json(out, {
            'machine': about,
            'training': [{**asdict(row), 'epoch_s': row.epoch_s(EPOCH_WINDOWS)} for row in rows],
            'reading': [asdict(rate) for rate in rates],
            'inference': {**asdict(inference), 'share': inference.share},
        })  # fmt: skip
        console.print(f'results in {out}')
