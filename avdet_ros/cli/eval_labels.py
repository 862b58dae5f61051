"""`avdet eval labels`: score teachers' labels on drives with ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate_labels(
    data: Annotated[Path, typer.Argument(help='Simulated drives in the MAVD layout.')],
    folder: Annotated[
        Path | None,
        typer.Option(
            '--labels', help='Folder of labels from avdet train label; default: DATA/labels.'
        ),
    ] = None,
    split: Annotated[str, typer.Option(help='Split: train, val or test.')] = 'val',
    daytime: Annotated[str, typer.Option(help='Frames to score: day, night or all.')] = 'all',
) -> None:
    """Print recall and precision of each teacher's boxes, and of all teachers' boxes fused.

    Recall counts visible vehicles: at least 60 pixels and a quarter of the vehicle. IoU 0.5.

    Example:
        avdet train label out/drives --teachers runs/teachers --split val
        avdet eval labels out/drives
    """
    from rich.table import Table

    from avdet_ros.cli.console import console
    from avdet_ros.dataset.subsets import Subset
    from avdet_ros.evaluation.boxes.label_quality import label_quality
    from avdet_ros.evaluation.runs.on_dataset import frames_of
    from avdet_ros.fields import fill

    subset = fill(Subset, {'daytime': daytime}, 'avdet eval labels')
    drives = frames_of(data, split, subset)
    label_folder = folder or data / 'labels'
    found = label_quality(data, drives, label_folder)
    table = Table(title=f'{label_folder}, {split}, {daytime}', title_justify='left')
    headings = ('vehicles', 'boxes', 'recall', 'precision', 'recall at precision 0.9', 'score')
    table.add_column('teacher')
    for heading in headings:
        table.add_column(heading, justify='right')
    for name, row in found.items():
        cells = (f'{value:.3f}' for value in (row.recall, row.precision, row.recall_at))
        table.add_row(name, str(row.vehicles), str(row.boxes), *cells, f'{row.score_at:.2f}')
    console().print(table)
