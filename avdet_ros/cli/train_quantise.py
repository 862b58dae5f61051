"""`avdet train quantise`: create a model file with 8-bit convolutions, for CPUs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np


def quantise(
    model: Annotated[Path, typer.Argument(help='ONNX model in float32.')],
    windows: Annotated[
        Path,
        typer.Option(
            help='Training windows of avdet sim windows, to calibrate the scales; for a model for '
            'any array, those of --arrays drawn.'
        ),
    ],
    out: Annotated[Path, typer.Option(help='8-bit model to write.')] = Path('student_int8.onnx'),
    check: Annotated[
        Path | None, typer.Option(help='Validation windows to score both models on.')
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(help='Rig file of the windows, for a model for one rig.')
    ] = None,
    count: Annotated[int, typer.Option(help='Number of training windows to use.')] = 100,
) -> None:
    """Create a model file that takes half the time on a CPU; compare its scores with the original.

    Example:
        avdet sim windows runs/train --windows 150
        avdet sim windows runs/val --windows 750 --seeds 100000:200000
        avdet train quantise models/student.onnx --windows runs/train --check runs/val
    """
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    if count < 1:
        raise AvdetError(f'--count: expected 1 or more windows, found {count}')
    from avdet_ros.detection.model_file import read_model

    _, contract = read_model(model)
    if contract.azimuths_deg is None:
        _for_one_rig(model, windows, out, check, rig, count)
    elif rig is not None:
        raise AvdetError(f'--rig: expected none, since {model} is for any array, found {rig}')
    else:
        _for_any_array(model, windows, out, check, contract.azimuths_deg, count)


def _for_one_rig(
    model: Path, windows: Path, out: Path, check: Path | None, rig: Path | None, count: int
) -> None:
    from avdet_ros.audio.features import FrontEnd
    from avdet_ros.cli.console import print_line, progress_bars
    from avdet_ros.rig import load_rig
    from avdet_ros.training.data.simulated import map_windows
    from avdet_ros.training.networks.calibrated import topic_windows
    from avdet_ros.training.results.export_int8 import run_on_cpu, write_int8
    from avdet_ros.training.results.scores import average_precisions

    loaded_rig = load_rig(rig)
    front_end, progress = FrontEnd.of(loaded_rig), progress_bars()
    with progress.step(f'{out} is made'):
        training_windows = map_windows(windows, loaded_rig)
        inputs = topic_windows('window', training_windows, count, front_end)
        write_int8(model, out, ({'spectrogram': window[None]} for window in inputs))
    print_line(f'{out}: {out.stat().st_size / 1e6:.1f} MB')
    if check is None:
        return
    validation_windows = map_windows(check, loaded_rig)
    for path in (model, out):
        found = []
        one_by_one = (
            topic_windows('window', validation_windows.select([place]), 1, front_end)[0]
            for place in range(len(validation_windows))
        )
        feeds = ({'spectrogram': window[None]} for window in one_by_one)
        with progress.step(
            f'{path} on {len(validation_windows)} windows', len(validation_windows)
        ) as advance:
            for boxes_and_scores in run_on_cpu(path, feeds):
                found.append(boxes_and_scores)
                advance()
        mean, half, _ = average_precisions(found, validation_windows)
        print_line(
            f'{path}: mAP {mean:.4f}, mAP@0.5 {half:.4f} on {len(validation_windows)} windows'
        )


def _for_any_array(
    model: Path,
    windows: Path,
    out: Path,
    check: Path | None,
    azimuths_deg: np.ndarray,
    count: int,
) -> None:
    from avdet_ros.cli.console import print_line, progress_bars
    from avdet_ros.errors import AvdetError
    from avdet_ros.training.any_array.model_file_scores import file_scores, topic_windows
    from avdet_ros.training.results.export_int8 import write_int8

    progress = progress_bars()
    with progress.step(f'{out} is made'):
        inputs = list(islice(topic_windows(windows, azimuths_deg), count))
        if not inputs:
            raise AvdetError(f'{windows}: expected windows of drawn arrays, found none')
        feeds = (
            {'spectrogram': window[None], 'steering': steering} for window, steering in inputs
        )
        write_int8(model, out, feeds)
    print_line(f'{out}: {out.stat().st_size / 1e6:.1f} MB')
    if check is None:
        return
    for path in (model, out):
        scores = file_scores(path, check, progress)
        print_line(
            f'{path}: bearing AP {scores["bearing_ap"]:.4f}, recall '
            f'{scores["bearing_recall"]:.4f}, error {scores["azimuth_error_deg"]:.3f} deg, '
            f'AP@0.5 {scores["ap50"]:.4f} on {scores["windows"]:.0f} windows'
        )
