"""`avdet train search`: search for the best numbers of a recipe."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def search(
    recipe: Annotated[Path, typer.Argument(help='A recipe of kind student.')],
    data: Annotated[Path, typer.Option(help='Drives in the MAVD layout.')],
    out: Annotated[
        Path, typer.Option(help='Folder of the search; an existing search is continued.')
    ],
    trials: Annotated[int, typer.Option(min=1, help='Number of trials to run in this call.')] = 20,
    storage: Annotated[
        str | None,
        typer.Option(
            help='Database that machines share, such as sqlite:////mnt/share/search.db or '
            'postgresql://...; default: OUT/search.db.'
        ),
    ] = None,
    name: Annotated[str, typer.Option(help='Name of the search in the database.')] = 'avdet',
    rig: Annotated[
        Path | None, typer.Option(help='Rig file to train for; default: the example.')
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Search learning rate, loss weights and augmentation by validation score.

    Trials that fall behind are stopped early (Hyperband). To share a search between machines,
    start the same command on each with the same --storage and its own --out. The result is
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
    student_recipe = read_recipe(recipe)
    if not isinstance(student_recipe, StudentRecipe):
        raise AvdetError(f'{recipe}: kind: expected student to search in, found comparison')
    bars = progress_bars(progress)
    best = engine.search(
        student_recipe, data, out, trials, storage, name, rig_path=rig, progress=bars
    )
    _logger.info('made %s', best)
