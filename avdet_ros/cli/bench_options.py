"""Options that the benchmarks share, and the sound for the graph under test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avdet_ros.cli.console import console

if TYPE_CHECKING:
    import numpy as np

ModelFile = Annotated[
    Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
]
RigFile = Annotated[Path | None, typer.Option(help='Rig file; default: the example.')]
Page = Annotated[
    Path | None, typer.Option(help='Write the table into this page, e.g. docs/field.md.')
]
ResultsFile = Annotated[Path | None, typer.Option(help='Write the results as JSON here.')]


def sound_and_model(rig: Path | None, model: Path | None) -> tuple[np.ndarray, Path]:
    """Return a drive's sound, (n, 8) int16, and the model to run on it."""
    from avdet_ros.bench.graph_under_test import drive_sound
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.rig import load_rig

    return drive_sound(load_rig(rig)), model or share(DEFAULT_MODEL)


def write_results(out: Path | None, results: dict[str, Any]) -> None:
    """Write the results as JSON if a file was given."""
    from avdet_ros.evaluation.reports import tables as report

    if out:
        report.write_json(out, results)
        console().print(f'results in {out}')
