"""`avdet train selector`: learn which of the teachers' boxes make a sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_selector(
    data: Annotated[Path, typer.Argument(help='Drives in the MAVD layout, labelled by teachers.')],
    out: Annotated[Path, typer.Option(help='Folder for the selector.')] = Path('runs/selector'),
    labels: Annotated[
        Path | None, typer.Option(help='Folder of the labels; default: DATA/labels.')
    ] = None,
    evidence: Annotated[
        str,
        typer.Option(help='Inputs: some of sound, sight, motion, thermal, separated by commas.'),
    ] = 'sound',
    labelled: Annotated[
        int,
        typer.Option(
            help='Number of frames to learn with ground truth, if drives have one.', min=0
        ),
    ] = 0,
    unlabelled: Annotated[
        bool, typer.Option(help='Learn from all other frames, without truth, too.')
    ] = True,
    thermal: Annotated[bool, typer.Option(help='Use thermal pictures as evidence.')] = True,
    attention: Annotated[
        str,
        typer.Option(
            help='Also learn where in the pictures sound comes from, and store it next to the '
            'labels for avdet view: map (a vector per direction) or literal (one for the whole '
            'sound).'
        ),
    ] = 'none',
    steps: Annotated[int, typer.Option(help='Steps in each of the two rounds.', min=1)] = 150,
    seed: Annotated[int, typer.Option(help='Random seed of weights and order.', min=0)] = 0,
    rig: Annotated[Path | None, typer.Option(help="Rig file; default: the drives' own.")] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Learn from sound and boxes which visible vehicles make a sound, to filter labels.

    Example:
        avdet train selector out/drives --out runs/selector
        avdet train label out/drives --filter sounding --selector runs/selector
    """
    from avdet_ros.cli.console import print_line, progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    from avdet_ros.dataset.attention_maps import attention_path
    from avdet_ros.dataset.labels import LABELS
    from avdet_ros.training.sounding.attention import WAYS
    from avdet_ros.training.sounding.attention_fitting import AttentionPlan
    from avdet_ros.training.sounding.attention_run import keep_attention
    from avdet_ros.training.sounding.learning import SelectorPlan
    from avdet_ros.training.sounding.network import EVIDENCE
    from avdet_ros.training.sounding.run import make_selector

    kinds = [part.strip() for part in evidence.split(',') if part.strip()]
    unknown = [kind for kind in kinds if kind not in EVIDENCE]
    if unknown or not kinds:
        found = unknown[0] if unknown else 'none'
        raise AvdetError(f'--evidence: expected some of {", ".join(EVIDENCE)}, found {found}')
    if not unlabelled and not labelled:
        raise AvdetError(
            '--no-unlabelled: expected --labelled, frames with ground truth, found none'
        )
    if attention not in ('none', *WAYS):
        raise AvdetError(
            f'--attention: expected one of none, {", ".join(WAYS)}, found {attention:.40}'
        )
    plan = SelectorPlan(
        tuple(kind for kind in kinds if thermal or kind != 'thermal'),
        steps=steps,
        labelled=labelled,
        unlabelled=unlabelled,
        seed=seed,
    )
    path = make_selector(data, plan, out, labels, rig, progress_bars(progress))
    print_line(f'made {path}')
    if attention != 'none':
        attention_plan = AttentionPlan(
            attention,
            unlabelled,
            labelled,
            thermal='thermal' in plan.kinds,
            steps=steps,
            seed=seed,
        )
        count = keep_attention(data, attention_plan, labels, rig, progress_bars(progress))
        print_line(f'{attention_path(labels or data / LABELS, "*")}: {count} frames')
