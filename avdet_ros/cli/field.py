"""Options of `avdet bench faults` and `avdet bench soak`, and what their vehicle hears."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

ModelFile = Annotated[
    Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
]
RigFile = Annotated[Path | None, typer.Option(help='Rig file.')]
Page = Annotated[
    Path | None, typer.Option(help='Write the table into this page, e.g. docs/field.md.')
]


def sound_and_model(rig: Path | None, model: Path | None) -> tuple[np.ndarray, Path]:
    """A drive's sound as (n, 8) int16, and the model to hear it with."""
    from avdet_ros.bench.graph_under_test import drive_sound
    from avdet_ros.paths import share
    from avdet_ros.rig import load_rig

    return drive_sound(load_rig(rig)), model or share('models/student.onnx')
