"""`avdet train search`: which numbers of a recipe are best."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def search(
    recipe: Annotated[Path, typer.Argument(help='A recipe of kind student.')],
    data: Annotated[Path, typer.Option(help='Drives in the MAVD layout.')],
    out: Annotated[Path, typer.Option(help='Folder of the search; an earlier one goes on.')],
    trials: Annotated[int, typer.Option(min=1, help='How many to run now, here.')] = 20,
    storage: Annotated[
        str | None,
        typer.Option(
            help='Database that machines share, such as sqlite:////mnt/share/search.db or '
            'postgresql://...; the default is OUT/search.db.'
        ),
    ] = None,
    name: Annotated[str, typer.Option(help='Of the search in the database.')] = 'avdet',
    rig: Annotated[
        Path | None, typer.Option(help='Rig file to train for; else the example.')
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Search learning rate, weights of the losses and augmentation by validation score.

    Trials that lag behind are given up early (Hyperband). Start the same command on several
    machines with one --storage and an --out each, and they share the search. The result is
    OUT/best.yaml, a recipe for avdet train student.

    Example:
        avdet train search config/recipes/mm_distillnet.yaml --data out/drives --out runs/search
            --storage sqlite:///runs/search.db --trials 30
    """
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    from avdet_ros.training.fitting.distributed import count
    from avdet_ros.training.recipes.read import read_recipe
    from avdet_ros.training.recipes.student import StudentRecipe
    from avdet_ros.training.studies import search as engine

    if count() > 1:
        raise AvdetError(
            f'search: expected one process, found {count()} of torchrun; start the same command '
            'several times with one --storage and an --out each, and they share the trials'
        )
    how = read_recipe(recipe)
    if not isinstance(how, StudentRecipe):
        raise AvdetError(f'{recipe}: kind: expected student to search in, found comparison')
    bars = progress_bars(progress)
    best = engine.search(how, data, out, trials, storage, name, rig_path=rig, progress=bars)
    _logger.info('made %s', best)
