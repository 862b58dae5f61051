"""`avdet train reproduce`: the paper's tables, every row, beside the paper's figures."""

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
            help='smoke: minutes, shows that every row runs; evening: six rows with three seeds '
            'in two hours of 2 cores, of self-supervision 2,000 told frames; small: about a night '
            "on 2 cores or half an hour of a GPU; full: the paper's networks on your own drives."
        ),
    ] = 'smoke',
    out: Annotated[Path, typer.Option(help='Folder of everything that is made.')] = Path(
        'runs/reproduce'
    ),
    data: Annotated[
        Path | None,
        typer.Option(
            help='Drives in the MAVD layout; without, all scales but full simulate some.'
        ),
    ] = None,
    teachers: Annotated[
        Path | None,
        typer.Option(help='Ready teachers, rgb, depth and thermal, of avdet train teacher.'),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            help='Only these rows, as m1,m5,m6; the table has them alone. self-supervision: which '
            'seen vehicle sounds, and what it helps to know. pretexts: what a student may learn '
            'first; pretexts,swapped,turned: these alone.'
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help='Run each row at least so often, from seed 0 on.', min=1, max=100)
    ] = 1,
    pages: Annotated[
        Path | None,
        typer.Option(help='Of self-supervision and pretexts: folder whose page gets the tables.'),
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Teach a student in every way of MM-DistillNet's tables and write results.md.

    All rows share drives, teachers, labels and one ground truth. What is done stays done: start a
    run that was killed again with the same command.

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
    wanted = rows.split(',') if rows else []
    if pretexts.KEY in wanted[:1]:
        path = pretexts.study(scale, out, data, command, pages, bars, wanted[1:])
        _logger.info('%s', path.read_text(encoding='utf-8'))
        _logger.info('made %s', path)
        return
    known = {row.key: row for row in ROWS}
    for key in wanted:
        if key not in known:
            names = ', '.join([*known, self_supervision.KEY, pretexts.KEY])
            raise AvdetError(f'rows: expected some of {names}, found {key!r}')
    chosen = [known[key] for key in wanted] or list(ROWS)
    path = runs.reproduce(scale, out, data, teachers, chosen, seeds, command, bars)
    _logger.info('%s', path.read_text(encoding='utf-8'))
    _logger.info('made %s', path)
