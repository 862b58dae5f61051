"""`avdet train any-array`: train a model for any array, on windows of drawn arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def train_any_array(
    train: Annotated[
        Path,
        typer.Argument(
            help='Folder of training windows of drawn arrays; it may grow during training.'
        ),
    ],
    val: Annotated[Path, typer.Argument(help='Folder of validation windows.')],
    out: Annotated[Path, typer.Option(help='Run folder; an existing run is continued.')],
    steps: Annotated[
        int | None, typer.Option(min=1, help='Total number of optimiser steps; default: 4000.')
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help='Total training time, instead of --steps.')
    ] = None,
    stop_after: Annotated[
        float | None,
        typer.Option(
            min=0, help='Stop after this many seconds; the same command continues the run.'
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help='Batch size: windows per step.')] = 128,
    epoch_windows: Annotated[
        int, typer.Option(min=2, help='Training windows between two validations.')
    ] = 50_000,
    learning_rate: Annotated[float, typer.Option(help='Maximum learning rate.')] = 2e-3,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help='Start from the weights of this run folder, best.pt or model file; a learning '
            'rate of 0.0005 is then enough.'
        ),
    ] = None,
    average: Annotated[
        float,
        typer.Option(min=0, max=0.9999, help='Decay of the averaged weights per step.'),
    ] = 0.999,
    width: Annotated[
        int | None,
        typer.Option(
            min=12, help='Channels after mixing the bands; default: 48, or as in --start-from.'
        ),
    ] = None,
    beams: Annotated[
        str | None,
        typer.Option(
            help='Input of the network besides the steered response: deconvolved (without the '
            'blur of the array), adaptive (all other directions nulled; needs the coherences of '
            'all pairs of microphones) or both. Default: deconvolved, or as in --start-from.'
        ),
    ] = None,
    labels: Annotated[
        str, typer.Option(help='Instant of the boxes: centre or end of the window.')
    ] = 'centre',
    device: Annotated[str, typer.Option(help='cuda, cpu, or auto.')] = 'auto',
    most: Annotated[
        int | None,
        typer.Option(
            min=1,
            help='Maximum number of training windows, whose memory is allocated at the start. '
            'Windows written during training replace the oldest (not with --only).',
        ),
    ] = None,
    most_val: Annotated[
        int | None, typer.Option(min=1, help='Maximum number of validation windows.')
    ] = None,
    seed: Annotated[int, typer.Option(help='Random seed of weights, order and augmentation.')] = 0,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            help='Compute in bfloat16: twice as fast on a GPU and on CPUs with avx512_bf16. '
            'Default: only on a GPU.'
        ),
    ] = None,
    doubts: Annotated[
        bool,
        typer.Option(
            help='With --start-from, for labels of teachers: leave open (without loss) labels of '
            'vehicles that the start network does not detect, and directions where it detects '
            'a vehicle without a label.'
        ),
    ] = False,
    hold: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="With --start-from: weight of the loss that holds the start network's own "
            'predictions wherever labels are open: outside the image, on hidden or doubted '
            'vehicles. 0 for none; 1 is as much as for labels.',
        ),
    ] = 0.0,
    only: Annotated[
        str,
        typer.Option(
            help='With --start-from, train only the last layers of one output: boxes (with their '
            'ranges) or presence (whether there is a vehicle). All other layers are frozen, '
            'and each window passes through them only once.'
        ),
    ] = '',
    own_columns: Annotated[
        bool,
        typer.Option(
            help='Predict elevation, size and range of a vehicle from separate columns, which '
            'start as copies of the columns that detect it. With --only boxes, only the '
            'separate columns are trained; azimuth and presence stay unchanged.'
        ),
    ] = False,
    scores_of: Annotated[
        Path | None,
        typer.Option(
            help='Copy the curve from logits to scores from this model file, so that thresholds '
            'chosen for it stay valid; for runs that do not train presence. By default, scores '
            'are calibrated to probabilities on the validation windows.'
        ),
    ] = None,
    export_only: Annotated[
        bool,
        typer.Option(
            help='Only export the model file of the run in --out, from its best epoch; TRAIN is '
            'not read and need not exist.'
        ),
    ] = False,
    compiled: Annotated[bool, typer.Option(help='Compile the network (torch.compile).')] = False,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Train a model for any array, on windows written by `avdet sim windows --arrays`."""
    try:
        import torch
    except ModuleNotFoundError as error:
        from avdet_ros.errors import AvdetError

        raise AvdetError(
            "training: expected the package torch, found none; pip install -e '.[train]'"
        ) from error

    from avdet_ros.cli.console import progress_bars
    from avdet_ros.errors import AvdetError
    from avdet_ros.training.any_array import run as any_array
    from avdet_ros.training.any_array.bearing_first import BEAMS, BearingShape
    from avdet_ros.training.any_array.fitting.fit_state import HEADS, FitPlan
    from avdet_ros.training.any_array.fitting.start_weights import read_curve, read_start_weights

    if only and only not in HEADS:
        raise AvdetError(f'--only: expected {" or ".join(HEADS)}, found {only!r}')
    if beams is not None and beams not in BEAMS:
        raise AvdetError(f'--beams: expected one of {", ".join(BEAMS)}, found {beams!r}')
    if labels not in any_array.LABEL_OFFSETS_S:
        raise AvdetError(f'--labels: expected centre or end, found {labels!r}')
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if steps is None and minutes is None:
        steps = 4000
    for option, value in (('--doubts', doubts), ('--hold', hold), ('--only', only)):
        if value and start_from is None:
            raise AvdetError(
                f'{option}: expected --start-from, weights of a trained network, found none'
            )
    plan = FitPlan(
        steps=steps,
        seconds=None if minutes is None else 60 * minutes,
        batch=batch,
        epoch_windows=epoch_windows,
        learning_rate=learning_rate,
        average=average,
        seed=seed,
        start_from='' if start_from is None else str(start_from),
        bfloat16=bfloat16,
        only=only,
        hold=hold,
    )
    shape = BearingShape()
    if start_from is not None:
        shape = read_start_weights(start_from).shape
    if width is not None:
        shape = replace(shape, width=width)
    if beams is not None:
        shape = replace(shape, **BEAMS[beams])
    if own_columns:
        shape = replace(shape, own_columns=True)
    run = any_array.AnyArrayRun(
        train,
        val,
        out,
        plan,
        shape,
        labels,
        device,
        most,
        most_val,
        doubts=doubts,
        curve=None if scores_of is None else read_curve(scores_of),
    )
    if export_only:
        any_array.export_only(run, progress_bars(progress))
        return
    made = any_array.train_any_array(
        run, stop_after or float('inf'), compiled, progress_bars(progress)
    )
    if made is None:
        raise AvdetError(f'{out}: no epoch was done: nothing to export')
