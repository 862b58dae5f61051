"""`avdet train convert-checkpoint`: networks of the authors' program, as teachers and students."""

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
        str, typer.Option(help='What the network takes: rgb, depth, thermal or sound.')
    ],
    out: Annotated[Path, typer.Option(help='Folder of the teacher or student.')],
    rig: Annotated[
        Path | None,
        typer.Option(
            help='Rig file of the recordings a student was taught on; empty: the default.'
        ),
    ] = None,
    side: Annotated[int, typer.Option(help='Of its square input, pixels.')] = 768,
    crop: Annotated[
        bool, typer.Option(help="It saw the paper's columns 200 to 1720 of 1920 only.")
    ] = True,
) -> None:
    """Turn a network of the authors' program into one of this package, fed as it was taught.

    rgb, depth, thermal become a teacher's folder: name the folder that holds them as
    teachers.folder of a recipe, or ask them with `avdet train label`. sound becomes a model file,
    student.onnx, which `avdet eval model` scores and the nodes run.

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
