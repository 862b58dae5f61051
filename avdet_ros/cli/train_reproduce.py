"""`avdet train reproduce`: train every row of the paper's tables, next to its figures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def reproduce(
    scale: Annotated[
        str,
        typer.Option(
            help='smoke: minutes, checks that every row runs; evening: two hours on 2 cores, six '
            'rows with three seeds (self-supervision: 2,000 labelled frames); small: about a '
            'night on 2 cores or half an hour on a GPU; full: the networks of the paper on '
            'your own drives.'
        ),
    ] = 'smoke',
    out: Annotated[Path, typer.Option(help='Folder for all results.')] = Path('runs/reproduce'),
    data: Annotated[
        Path | None,
        typer.Option(
            help='Drives in the MAVD layout; by default, all scales but full simulate drives.'
        ),
    ] = None,
    teachers: Annotated[
        Path | None,
        typer.Option(
            help='Folder of trained teachers, rgb, depth and thermal, from avdet train teacher.'
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            help='Only these rows, e.g. m1,m5,m6. self-supervision: which visible vehicle makes a '
            'sound, and whether knowing it helps. pretexts: pretext tasks of a student; '
            'pretexts,swapped,turned: only these two.'
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(help='Minimum number of runs per row, with seeds from 0 on.', min=1, max=100),
    ] = 1,
    pages: Annotated[
        Path | None,
        typer.Option(
            help='With --rows self-supervision or pretexts: folder of the page to write tables to.'
        ),
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Train a student for every row of MM-DistillNet's tables and write results.md.

    All rows share drives, teachers, labels and one ground truth. To continue an interrupted run,
    start the same command again.

        avdet train reproduce --scale smoke

        avdet train reproduce --scale full --data MAVD --teachers teachers --out runs/paper

        avdet train reproduce --rows self-supervision --scale small --out runs/sounding

        avdet train reproduce --rows pretexts --scale small --out runs/pretexts
    """
    import shlex
    import sys

    from avdet_ros.cli.console import progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    from avdet_ros.training.studies import reproduce as runs
    from avdet_ros.training.studies.paper_rows import ROWS
    from avdet_ros.training.studies.pretexts import study as pretexts
    from avdet_ros.training.studies.sounding import self_supervision

    command = shlex.join(['avdet', *sys.argv[1:]])
    bars = progress_bars(progress)
    if rows == self_supervision.KEY:
        path = self_supervision.study(scale, out, data, command, pages, teachers, bars)
        _logger.info('made %s', path)
        return
    keys = rows.split(',') if rows else []
    if pretexts.KEY in keys[:1]:
        path = pretexts.study(scale, out, data, command, pages, bars, keys[1:])
        _logger.info('%s', path.read_text(encoding='utf-8'))
        _logger.info('made %s', path)
        return
    rows_by_key = {row.key: row for row in ROWS}
    for key in keys:
        if key not in rows_by_key:
            names = ', '.join([*rows_by_key, self_supervision.KEY, pretexts.KEY])
            raise AvdetError(f'rows: expected some of {names}, found {key!r}')
    chosen = [rows_by_key[key] for key in keys] or list(ROWS)
    path = runs.reproduce(scale, out, data, teachers, chosen, seeds, command, bars)
    _logger.info('%s', path.read_text(encoding='utf-8'))
    _logger.info('made %s', path)
