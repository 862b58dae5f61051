"""`avdet train quantise`: a model file whose convolutions are in 8 bits, for CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantise(
    model: Annotated[Path, typer.Argument(help='ONNX model for one rig, in float32.')],
    windows: Annotated[
        Path, typer.Option(help='Training windows of avdet sim windows, for the scales.')
    ],
    out: Annotated[Path, typer.Option(help='The model in 8 bits.')] = Path('student_int8.onnx'),
    check: Annotated[
        Path | None, typer.Option(help='Validation windows, to score both models on.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file of the windows.')] = None,
    count: Annotated[int, typer.Option(help='Training windows that are used.')] = 100,
) -> None:
    """Make a model file that takes half the time on a CPU, and score it beside the first.

    Example:
        avdet sim windows runs/train --windows 150
        avdet sim windows runs/val --windows 750 --seeds 100000:200000
        avdet train quantise models/student.onnx --windows runs/train --check runs/val
    """
    from avdet_ros.cli.console import print_line, progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    if count < 1:
        raise AvdetError(f'--count: expected 1 or more windows, found {count}')
    from avdet_ros.audio.features import FrontEnd
    from avdet_ros.rig import load_rig
    from avdet_ros.training.data.simulated import map_windows
    from avdet_ros.training.networks.calibrated import topic_windows
    from avdet_ros.training.results.export_int8 import run_on_cpu, write_int8
    from avdet_ros.training.results.scores import average_precisions

    its_rig = load_rig(rig)
    front_end, progress = FrontEnd.of(its_rig), progress_bars()
    with progress.step(f'{out} is made'):
        taught = map_windows(windows, its_rig)
        write_int8(model, out, topic_windows('window', taught, count, front_end))
    print_line(f'{out}: {out.stat().st_size / 1e6:.1f} MB')
    if check is None:
        return
    held = map_windows(check, its_rig)
    for path in (model, out):
        found = []
        one_by_one = (
            topic_windows('window', held.select([place]), 1, front_end)[0]
            for place in range(len(held))
        )
        with progress.step(f'{path} on {len(held)} windows', len(held)) as advance:
            for boxes_and_scores in run_on_cpu(path, one_by_one):
                found.append(boxes_and_scores)
                advance()
        mean, half, _ = average_precisions(found, held)
        print_line(f'{path}: mAP {mean:.4f}, mAP@0.5 {half:.4f} on {len(held)} windows')
