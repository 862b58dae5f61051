"""`avdet train average`: one model for any array from several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_average(
    val: Annotated[Path, typer.Argument(help='Folder of validation windows.')],
    runs: Annotated[
        list[Path],
        typer.Argument(
            help='Run folders of avdet train any-array that began with the same weights '
            '(--start-from) and have other seeds.'
        ),
    ],
    out: Annotated[Path, typer.Option(help='Folder of the mean: best.pt and student.onnx.')],
    device: Annotated[str, typer.Option(help='cuda, cpu, or auto.')] = 'auto',
    most_val: Annotated[
        int | None, typer.Option(min=1, help='Validation windows at most.')
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Average the weights of runs, score them and their mean, and export the mean.

    Example:
        avdet train average windows/val runs/seed0 runs/seed1 runs/seed2 --out runs/mean
    """
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.cli.training import need_training

    need_training()
    import torch

    from avdet_ros.training.any_array.averaged_runs import average_runs
    from avdet_ros.training.any_array.run import AnyArrayRun

    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    run = AnyArrayRun(train=val, val=val, out=out, device=device, most_val=most_val)
    average_runs(runs, run, progress_bars(progress))
