"""Does a student get better when labels of what does not sound are left out? The oracle first.

The labels are those of a teacher that sees every visible vehicle and knows nothing of sound. If
leaving out by the truth what does not sound gains nothing, no selector can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avdet_ros.dataset.label_filter import KEEP, ROAD
from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.dataset.splits import by_drive
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, teacher_boxes
from avdet_ros.evaluation.sounding.filters import by_truth, write_filter
from avdet_ros.evaluation.sounding.maps import box_mask
from avdet_ros.evaluation.sounding.ranking import rank
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.data.drives import drive_windows
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.data.windows import WindowDataset, loader
from avdet_ros.training.fitting.run_folder import cached_stage
from avdet_ros.training.networks.base import StudentAdapter, make_student
from avdet_ros.training.networks.calibrated import predict
from avdet_ros.training.recipes.parts import FitRecipe, TeachersRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.results.scores import average_precisions
from avdet_ros.training.run.task import fit_student
from avdet_ros.training.sounding.run import mirror_of

SEEN = 'labels_seen'
"""Folder of the data set with the labels of a teacher that sees every visible vehicle."""

USES = ('train', 'val', 'test')

STUDENT_ROWS = {
    'all': 'every visible vehicle is a label (none)',
    'moving': 'what moves is a label, the rest open (moving)',
    'oracle': 'what sounds is a label, the rest open (oracle, hidden ones road)',
    'oracle_hidden': 'the same, and where a hidden one sounds is open (oracle)',
    'deleted': 'what sounds is a label, the rest is road',
    'truth': 'the truth: what sounds, hidden or not',
}
"""How training labels are filtered: file name, and in words."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudentScale:
    """How long students learn.

    Attributes:
        epochs: passes over the windows.
        windows: at most, evenly over all; 0 for all.
        seeds: of each row.
        rows: which.
    """

    epochs: int
    windows: int
    seeds: int
    rows: tuple[str, ...] = tuple(STUDENT_ROWS)


def teach_filtered(
    root: Path,
    boxes: Mapping[str, SeenBoxes],
    rig: Rig,
    out: Path,
    how: StudentScale,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Teach students with every filter and score them with the truth.

    Args:
        root: the data set's folder, with features.
        boxes: true ones of ``train``, ``val`` and ``test``.
        rig: array and camera.
        out: gets a folder a student.
        how: the scale.
        progress: shows steps.

    Returns:
        ``labels``, how right each filter's training labels are, and ``scores``, of each row by
        seed.
    """
    write_seen(root, boxes['train'])
    labels = {name: filter_seen(root, boxes['train'], name) for name in how.rows}
    scores: dict[str, list[dict[str, Any]]] = {name: [] for name in how.rows}
    for seed in range(how.seeds):
        for name in how.rows:
            _logger.info('student, seed %d: %s', seed, STUDENT_ROWS[name])
            folder = out / f'{name}_seed{seed}'
            scores[name].append(
                cached_stage(
                    folder / 'scores.json',
                    lambda folder=folder, name=name, seed=seed: _student(
                        root, boxes, rig, folder, name, seed, how, progress
                    ),
                    name,
                )
            )
    return {'labels': labels, 'scores': scores}


def write_seen(root: Path, boxes: SeenBoxes) -> None:
    """Write labels of a teacher that sees every visible vehicle; those that are there stay."""
    drives: dict[str, list[int]] = {}
    for number, one in enumerate(boxes.frames):
        drives.setdefault(one.drive, []).append(number)
    for drive, numbers in drives.items():
        path = root / SEEN / f'{drive}.npz'
        own = np.isin(boxes.frame, numbers)
        many, frames = int(own.sum()), len(numbers)
        table = DriveLabels(
            ids=np.array([boxes.frames[number].stamp for number in numbers]),
            teachers=('rgb',),
            boxes_px=boxes.boxes_px[own],
            scores=np.ones(many, np.float32),
            frame=(boxes.frame[own] - numbers[0]).astype(np.int32),
            teacher=np.zeros(many, np.int8),
            attention=np.zeros((frames, 1, 0), np.float16),
            attention_sizes=np.zeros((0, 2), np.int32),
            embedding=np.zeros((frames, 1, 0, 0), np.float16),
            features=np.zeros((frames, 1, 0, 0, 0), np.float16),
        )
        write_labels(path, table)


def filter_seen(root: Path, boxes: SeenBoxes, name: str) -> dict[str, float]:
    """Write a filter's files; how right the labels that it keeps are."""
    audible = max(int(boxes.sounds.sum() + boxes.hidden.sum()), 1)
    if name == 'truth':
        return {'labels': audible, 'right': 1.0, 'found': 1.0, 'open': 0}
    labels = root / SEEN
    fused = teacher_boxes(root, by_drive(boxes.frames), labels)
    keep = {'all': np.ones(len(fused), bool), 'moving': fused.moves}.get(name, fused.sounds)
    its = by_truth(fused, root, keep, hidden=name == 'oracle_hidden')
    if name == 'deleted':
        its = [replace(one, verdict=np.where(one.verdict == KEEP, KEEP, ROAD)) for one in its]
    counts = write_filter(labels, name, fused, its)
    return {
        'labels': counts['kept'],
        'right': float(fused.sounds[keep].mean()) if keep.any() else 0.0,
        'found': float(fused.sounds[keep].sum() / audible),
        'open': counts['open'] + counts['hidden'],
    }


def _student(
    root: Path,
    boxes: Mapping[str, SeenBoxes],
    rig: Rig,
    folder: Path,
    name: str,
    seed: int,
    how: StudentScale,
    progress: Progress,
) -> dict[str, Any]:
    """Teach one student and score it on the test drives."""
    recipe = StudentRecipe(
        labels='teachers',
        teachers=TeachersRecipe(labels=SEEN),
        fit=FitRecipe(
            epochs=how.epochs, patience=how.epochs, seed=seed, windows=how.windows, average=0.98
        ),
    )
    size = rig.camera.width_px, rig.camera.height_px
    frames = {use: its.frames for use, its in boxes.items()}
    if name == 'truth':
        train = drive_windows(root, frames['train'], 'window', size, 'truth')
    else:
        train = drive_windows(
            root, frames['train'], 'window', size, 'teachers', root / SEEN, label_filter=name
        )
    # All are chosen with the same labels, or the rows would be of two things at once.
    val, test = (drive_windows(root, frames[use], 'window', size, 'truth') for use in USES[1:])
    canvas = (recipe.teachers.height, recipe.teachers.width)
    student = make_student(recipe, rig, picture_area(canvas, *size, False), canvas)
    minutes = fit_student(student, recipe, train, val, folder, mirror_of(rig), progress)
    heat = heat_at(student, test, boxes['test'], size)
    found = rank(heat, boxes['test'].sounds)
    return {
        'minutes': minutes,
        'map50': average_precisions(predict(student, test), test)[1],
        'ap_sounding': found.ap_sounding,
        'ap_inaudible': found.ap_inaudible,
        'roc_auc': found.roc_auc,
        'silent_hits': hits_at_half(heat, boxes['test'].sounds),
    }


def heat_at(
    student: StudentAdapter, windows: WindowDataset, boxes: SeenBoxes, size_px: tuple[int, int]
) -> np.ndarray:
    """(N,) how sure a student is of a vehicle's middle in each box: the best cell's logit.

    Args:
        student: one that fills a grid.
        windows: of the frames of ``boxes``, in their order.
        boxes: visible vehicles.
        size_px: width and height of the image.
    """
    scale = np.tile(np.array(size_px, np.float64), 2)
    grids = []
    student.eval()
    with torch.inference_mode():
        for part in loader(windows, 32):
            grids.append(student(part.spectrogram, []).prediction[:, 0].float().numpy())
    heat = np.concatenate(grids)
    found = np.zeros(len(boxes))
    for row, (frame, box) in enumerate(zip(boxes.frame, boxes.boxes_px, strict=True)):
        grid = heat[frame]
        cells = np.array(grid.shape)[::-1]
        wide = np.tile(0.5 / cells, 2) * [-1, -1, 1, 1]  # never less than one cell
        middle = np.tile((box[:2] + box[2:]) / 2, 2)
        inside = box_mask([np.array(box) / scale, middle / scale + 1.01 * wide], *grid.shape)
        found[row] = grid[inside].max(initial=grid.min())
    return found


def hits_at_half(heat: np.ndarray, sounds: np.ndarray) -> float:
    """Share of the inaudible that a student is as sure of as of half of those that sound."""
    if sounds.all() or not sounds.any():
        return float('nan')
    return float((heat[~sounds] >= np.median(heat[sounds])).mean())


def student_table(found: Mapping[str, Any]) -> str:
    """Labels and students of each row, in Markdown."""
    lines = [
        (
            '| training labels | labels | that sound | of all that do | parts open | mAP@0.5 | '
            'ROC area | AP inaudible | inaudible hit | minutes |'
        ),
        '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for name, its in found['labels'].items():
        scores = found['scores'][name]
        cells = [
            STUDENT_ROWS[name],
            str(its['labels']),
            f'{100 * its["right"]:.0f} %',
            f'{100 * its["found"]:.0f} %',
            str(its['open']),
            *(
                _several([one[key] for one in scores], digits)
                for key, digits in (
                    ('map50', 3),
                    ('roc_auc', 2),
                    ('ap_inaudible', 2),
                    ('silent_hits', 2),
                    ('minutes', 1),
                )
            ),
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _several(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return '-'
    text = f'{np.mean(known):.{digits}f}'
    return f'{text} ± {(max(known) - min(known)) / 2:.{digits}f}' if len(known) > 1 else text
