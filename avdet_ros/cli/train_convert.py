"""`avdet train convert-checkpoint`: convert networks of the authors' program."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def convert_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of MM-DistillNet's program (.pth).")
    ],
    modality: Annotated[
        str, typer.Option(help='Input of the network: rgb, depth, thermal or sound.')
    ],
    out: Annotated[Path, typer.Option(help='Folder for the teacher or student.')],
    rig: Annotated[
        Path | None,
        typer.Option(
            help='Rig file of the recordings that a student was trained on; default: the example.'
        ),
    ] = None,
    side: Annotated[int, typer.Option(help='Side of its square input, pixels.')] = 768,
    crop: Annotated[
        bool, typer.Option(help="It was trained on the paper's columns 200 to 1720 of 1920 only.")
    ] = True,
) -> None:
    """Convert a network of the authors' program for this package, with its original input format.

    rgb, depth and thermal become a teacher's folder: set the parent folder as teachers.folder in a
    recipe, or pass it to `avdet train label`. sound becomes a model file, student.onnx, which
    `avdet eval model` scores and the nodes run.

    Examples:
        avdet train convert-checkpoint rgb.pth --modality rgb --out runs/released/rgb
        avdet train convert-checkpoint student.pth --modality sound --out runs/released/student
    """
    from avdet_ros.cli.training import need_training

    need_training()
    from avdet_ros.rig import load_rig
    from avdet_ros.training.run.convert import convert_checkpoint as convert

    made = convert(checkpoint, modality, out, load_rig(rig), side, crop)
    _logger.info('made %s', made)
