"""`avdet train student`: from a recipe to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help='YAML file, such as those in config/recipes.')],
    data: Annotated[
        Path | None,
        typer.Option(help='Folder of the windows; simulated if it is not there.'),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the default is runs/ and the recipe's name.")
    ] = None,
    resume: Annotated[
        bool, typer.Option('--resume/--fresh', help='Go on with the run folder, or empty it.')
    ] = True,
    rig: Annotated[Path | None, typer.Option(help='Rig file to train for.')] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Train a model: simulate windows, fit, calibrate, score, export, write the model card."""
    from avdet_ros.cli.training import need_training, voice

    need_training()
    from avdet_ros.training.run import train

    progress, say = voice(progress)
    say(f'made {train.train(recipe, data, out, resume, rig, progress, say)}')
