"""`avdet train student`: train a model from a recipe."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def train(
    recipe: Annotated[Path, typer.Argument(help='YAML file, such as those in config/recipes.')],
    data: Annotated[
        Path | None,
        typer.Option(
            help='Drives in the MAVD layout; for labels: simulated, the windows, generated if '
            'missing.'
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/ and the recipe's name.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            '--resume/--fresh', help='Continue the run in the folder, or empty it first.'
        ),
    ] = True,
    rig: Annotated[
        Path | None, typer.Option(help='Rig file to train for; default: the example.')
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Train a model: simulate windows, fit, calibrate, score, export, write the model card."""
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.cli.training import need_training

    need_training()
    from avdet_ros.training.run import train

    bars = progress_bars(progress)
    _logger.info('made %s', train.train(recipe, data, out, resume, rig, bars))
