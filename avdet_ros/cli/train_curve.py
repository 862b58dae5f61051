"""`avdet train curve`: plot how scores improve with more training, from the logs of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_curve(
    runs: Annotated[
        list[Path],
        typer.Argument(help='Run folders of avdet train any-array or avdet train student.'),
    ],
    out: Annotated[Path, typer.Option(help='Picture to write, PNG or SVG.')] = Path('curve.png'),
) -> None:
    """Plot validation scores over the number of training windows; print each run's last score.

    Example:
        avdet train curve runs/any_array runs/any_array_taught --out curve.png
    """
    from avdet_ros.cli.console import console
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    if out.suffix not in ('.png', '.svg'):
        raise AvdetError(f'--out: expected a name that ends in .png or .svg, found {out.name}')
    from avdet_ros.training.studies.learning_curve import draw, named, table

    curves = named(runs)
    draw(curves, out)
    console().print(table(curves), markup=False, soft_wrap=True)
    console().print(f'{out}: {out.stat().st_size / 1e3:.0f} kB')
