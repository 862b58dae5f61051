"""The same rows on teachers' boxes in place of true boxes.

They show how well a selector works in the chain that filters labels. Teachers miss vehicles and
report some that do not exist; a box without a vehicle counts as inaudible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avdet_ros.dataset.labels import LABELS, label_sources
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, teacher_boxes
from avdet_ros.evaluation.sounding.tables import main_table
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.sounding.box_set import BoxSet
from avdet_ros.training.studies.sounding.picture_rows import rows_without_learning
from avdet_ros.training.studies.sounding.selector_rows import (
    CONTROLS,
    SELECTORS,
    load_frames,
    selector_row,
)

KEYS = ('a', 'told_a', 'told_avm')
"""Selectors that are also scored on teachers' boxes; they learned from true boxes."""

USES = ('val', 'test')


def label_by(
    teachers: Path,
    root: Path,
    drives: Mapping[str, Mapping[str, Sequence[Any]]],
    progress: Progress = SILENT,
) -> None:
    """Label the drives of `USES` with ready teachers.

    Args:
        teachers: folder of `avdet train teacher`.
        root: the data set's folder.
        drives: frames by use and drive.
        progress: displays the frames.

    Raises:
        AvdetError: a teacher or pictures are missing.
    """
    from avdet_ros.training.data.camera_frames import MODALITIES
    from avdet_ros.training.teachers.labelling import label_drives, open_teachers

    there = [name for name in MODALITIES if (teachers / name).is_dir()] or list(MODALITIES)
    wanted = {name: frames for use in USES for name, frames in drives[use].items()}
    label_drives(root, wanted, open_teachers(teachers, there), root / LABELS, None, progress)


def seen_by_teachers(
    root: Path, drives: Mapping[str, Mapping[str, Sequence[Any]]]
) -> dict[str, SeenBoxes]:
    """Load teachers' boxes of `USES` if every drive is labelled; else return none."""
    names = [name for use in USES for name in drives[use]]
    if not all('teachers' in label_sources(root, name) for name in names):
        return {}
    return {use: teacher_boxes(root, drives[use]) for use in USES}


def teacher_table(
    root: Path,
    seen: Mapping[str, SeenBoxes],
    train: BoxSet,
    rig: Rig,
    out: Path,
    steps_and_seeds: tuple[int, int],
    thermal: bool,
    progress: Progress = SILENT,
) -> str:
    """Return the main table on teachers' boxes, in Markdown; a sentence if there are none.

    Args:
        root: the data set's folder, with features.
        seen: result of `seen_by_teachers`.
        train: true boxes of training frames.
        rig: array and camera.
        out: folder of the selectors' scores.
        steps_and_seeds: steps of each round of a selector, and seeds.
        thermal: use thermal pictures.
        progress: displays the steps.
    """
    if not seen:
        return (
            'No teacher has labelled these drives: run `avdet train label`, or this command with '
            '`--teachers`.'
        )
    frames = {use: load_frames(root, its, rig, thermal, progress) for use, its in seen.items()}
    rows = rows_without_learning(frames['val'], frames['test'])
    rows += [
        selector_row(row, train, frames, rig, out, steps_and_seeds, progress)
        for row in SELECTORS
        if row.key in KEYS
    ]
    notes = f'{len(seen["test"].frames)} test frames, {len(seen["test"])} teacher boxes.'
    return f'{notes}\n\n{main_table(rows, seen, CONTROLS)}'
