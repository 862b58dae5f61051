"""Does a student improve if labels of silent vehicles are left out?

The labels are those of a teacher that sees every visible vehicle and has no sound. The oracle
filters them by the truth: if that gains nothing, no selector can. The student is a small network
that predicts for each direction whether a vehicle is there. It converges with a few hundred
windows, whereas a student that predicts boxes has hardly begun to learn and shows no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avdet_ros.dataset.features import map_features
from avdet_ros.dataset.label_filter import KEEP, ROAD, FilteredFrame, read_filtered
from avdet_ros.dataset.labels import DriveLabels, FrameLabels, labels_of, write_labels
from avdet_ros.dataset.layout import FrameId
from avdet_ros.dataset.splits import by_drive
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, teacher_boxes
from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG, at_boxes, box_sides_deg
from avdet_ros.evaluation.sounding.filters import by_truth, write_filter
from avdet_ros.evaluation.sounding.ranking import average_precision, rank
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.fitting.run_folder import cached_stage
from avdet_ros.training.sounding.learning import all_maps
from avdet_ros.training.sounding.network import windows_of
from avdet_ros.training.sounding.sound_sums import DirectionMaps, sound_sums
from avdet_ros.training.studies.sounding.column_student import fit_columns
from avdet_ros.training.studies.sounding.selector_filter import Judge

SEEN = 'labels_seen'
"""Folder in the data set with the labels of a teacher that sees every visible vehicle."""

WIDER_DEG = 1.0
"""Margin by which a label extends beyond the sides of its box."""

STUDENT_ROWS = {
    'all': 'every visible vehicle is a label (none)',
    'moving': 'moving vehicles are labels, the rest is open (moving)',
    'oracle': 'audible vehicles are labels, the rest is open (oracle, hidden vehicles are road)',
    'oracle_hidden': 'the same, and open where a hidden vehicle sounds (oracle)',
    'deleted': 'audible vehicles are labels, the rest is road',
    'sounding': 'kept by a selector without labelled frames (sounding)',
    'sounding_100': 'kept by a selector with 100 labelled frames (sounding)',
    'truth': 'ground truth: audible vehicles, hidden or not',
}
"""Filters of the training labels: file name and title."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudentScale:
    """Size of the students' training.

    Attributes:
        steps: steps of 64 windows.
        seeds: seeds of each row.
        rows: rows to run.
    """

    steps: int
    seeds: int
    rows: tuple[str, ...] = tuple(STUDENT_ROWS)


def teach_filtered(
    root: Path,
    boxes: Mapping[str, SeenBoxes],
    rig: Rig,
    out: Path,
    scale: StudentScale,
    judges: Mapping[str, Judge],
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train students with every filter and score them against the truth.

    Args:
        root: the data set's folder, with features.
        boxes: true boxes of ``train``, ``val`` and ``test``.
        rig: array and camera.
        out: receives a file per student.
        scale: size of the students' training.
        judges: judges of the rows that a selector filters.
        progress: displays the steps.

    Returns:
        ``labels``, the accuracy of each filter's training labels, and ``scores``, of each row by
        seed.
    """
    write_seen(root, boxes['train'])
    labels = {name: filter_seen(root, boxes['train'], name, judges) for name in scale.rows}
    scores: dict[str, list[dict[str, Any]]] = {name: [] for name in scale.rows}
    maps = DirectionMaps(rig)
    sound_maps = {
        use: all_maps(maps, frame_sums(root, boxes[use].frames)) for use in ('train', 'test')
    }
    for seed in range(scale.seeds):
        for name in scale.rows:
            _logger.info('student, seed %d: %s', seed, STUDENT_ROWS[name])
            scores[name].append(
                cached_stage(
                    out / f'{name}_seed{seed}.json',
                    partial(_student, root, boxes, sound_maps, rig, name, seed, scale, progress),
                    name,
                )
            )
    return {'labels': labels, 'scores': scores}


def write_seen(root: Path, boxes: SeenBoxes) -> None:
    """Write labels of a teacher that sees every visible vehicle, one file per drive."""
    drives: dict[str, list[int]] = {}
    for number, one in enumerate(boxes.frames):
        drives.setdefault(one.drive, []).append(number)
    for drive, numbers in drives.items():
        path = root / SEEN / f'{drive}.npz'
        own = np.isin(boxes.frame, numbers)
        count, frames = int(own.sum()), len(numbers)
        table = DriveLabels(
            ids=np.array([boxes.frames[number].stamp for number in numbers]),
            teachers=('rgb',),
            boxes_px=boxes.boxes_px[own],
            scores=np.ones(count, np.float32),
            frame=(boxes.frame[own] - numbers[0]).astype(np.int32),
            teacher=np.zeros(count, np.int8),
            attention=np.zeros((frames, 1, 0), np.float16),
            attention_sizes=np.zeros((0, 2), np.int32),
            embedding=np.zeros((frames, 1, 0, 0), np.float16),
            features=np.zeros((frames, 1, 0, 0, 0), np.float16),
        )
        write_labels(path, table)


def filter_seen(
    root: Path, boxes: SeenBoxes, name: str, judges: Mapping[str, Judge]
) -> dict[str, float]:
    """Write a filter's files, and return how accurate the labels that it keeps are."""
    audible = max(int(boxes.sounds.sum() + boxes.hidden.sum()), 1)
    if name == 'truth':
        return {'labels': audible, 'right': 1.0, 'found': 1.0, 'open': 0}
    labels = root / SEEN
    fused = teacher_boxes(root, by_drive(boxes.frames), labels)
    if name in judges:
        verdicts = judges[name](fused)
        keep = np.concatenate([one.verdict for one in verdicts]) == KEEP
    else:
        keep = {'all': np.ones(len(fused), bool), 'moving': fused.moves}.get(name, fused.sounds)
        verdicts = by_truth(fused, root, keep, hidden=name == 'oracle_hidden')
    if name == 'deleted':
        verdicts = [
            replace(one, verdict=np.where(one.verdict == KEEP, KEEP, ROAD)) for one in verdicts
        ]
    counts = write_filter(labels, name, fused, verdicts)
    return {
        'labels': counts['kept'],
        'right': float(fused.sounds[keep].mean()) if keep.any() else 0.0,
        'found': float(fused.sounds[keep].sum() / audible),
        'open': counts['open'] + counts['hidden'],
    }


def _student(
    root: Path,
    boxes: Mapping[str, SeenBoxes],
    sound_maps: Mapping[str, Tensor],
    rig: Rig,
    name: str,
    seed: int,
    scale: StudentScale,
    progress: Progress,
) -> dict[str, Any]:
    """Train one student and score it on the test drives."""
    train, test = boxes['train'], boxes['test']
    targets = [_targets(root, one, name, rig) for one in train.frames]
    heat, taught = (torch.stack(part) for part in zip(*targets, strict=True))
    student = fit_columns(sound_maps['train'], heat, taught, scale.steps, seed, progress)
    with torch.no_grad():
        predicted = student(sound_maps['test']).numpy()
    true = np.array([_targets(root, one, 'truth', rig)[0].numpy() > 0.5 for one in test.frames])
    at_vehicles = at_boxes(predicted, test.frame, box_sides_deg(test.boxes_px, rig), 0.0)
    found = rank(at_vehicles, test.sounds)
    return {
        'ap_directions': average_precision(predicted.ravel(), true.ravel()),
        'ap_hidden': _hidden_precision(root, test, rig, predicted, true),
        'ap_inaudible': found.ap_inaudible,
        'roc_auc': found.roc_auc,
        'silent_hits': hits_at_half(at_vehicles, test.sounds),
    }


def _targets(root: Path, frame: FrameId, name: str, rig: Rig) -> tuple[Tensor, Tensor]:
    """Return (A,) directions labelled as vehicle, and (A,) bool directions with a label."""
    if name == 'truth':
        truth = _truth(str(root), frame.drive).get(frame.stamp)
        kept = np.zeros((0, 4)) if truth is None else truth.boxes_px
        opened = np.zeros((0, 4))
    else:
        filtered = _judged(str(root / SEEN), name, frame.drive)[frame.stamp]
        kept, opened = filtered.kept_px, filtered.left_open_px
    heat, left_open = (torch.from_numpy(columns_of(part, rig)) for part in (kept, opened))
    return heat.float(), heat | ~left_open


@lru_cache(maxsize=512)
def _truth(root: str, drive: str) -> dict[str, FrameLabels]:
    return labels_of(Path(root), drive, 'truth')


@lru_cache(maxsize=512)
def _judged(labels: str, name: str, drive: str) -> dict[str, FilteredFrame]:
    return read_filtered(Path(labels), name, drive)


def columns_of(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """Mark directions of `directions.AZIMUTHS_DEG` that one of (N, 4) boxes covers, (A,) bool."""
    if not len(boxes_px):
        return np.zeros(len(AZIMUTHS_DEG), bool)
    windows = windows_of(torch.from_numpy(box_sides_deg(boxes_px, rig))[None].float(), WIDER_DEG)
    return windows[0].any(dim=0).numpy()


def frame_sums(root: Path, frames: Sequence[FrameId]) -> Tensor:
    """Compute (F, 32, n_mels) `sound_sums` of frames with features."""
    files = {name: map_features(root, 'window', name) for name in {one.drive for one in frames}}
    return sound_sums([files[one.drive][1][files[one.drive][0][one.stamp]] for one in frames])


def _hidden_precision(
    root: Path, test: SeenBoxes, rig: Rig, predicted: np.ndarray, true: np.ndarray
) -> float:
    """Return the AP of directions with an audible but hidden vehicle, against empty ones."""
    hidden = np.zeros_like(true)
    for number, one in enumerate(test.frames):
        truth = _truth(str(root), one.drive)[one.stamp]
        unseen = ~np.isin(truth.ids, test.ids[test.frame == number])
        hidden[number] = columns_of(truth.boxes_px[unseen], rig)
    seen = np.zeros_like(true)
    for number in range(len(test.frames)):
        seen[number] = columns_of(test.boxes_px[test.frame == number], rig)
    counts = (hidden | ~true) & ~seen
    return average_precision(predicted[counts], hidden[counts])


def hits_at_half(heat: np.ndarray, sounds: np.ndarray) -> float:
    """Share of inaudible vehicles that score at least the median of those that sound."""
    if sounds.all() or not sounds.any():
        return float('nan')
    return float((heat[~sounds] >= np.median(heat[sounds])).mean())


def student_table(found: Mapping[str, Any]) -> str:
    """Return the table of labels and students of each row, in Markdown."""
    lines = [
        (
            '| training labels | labels | that sound | of all that do | parts open | '
            'AP directions | AP hidden | ROC area | AP inaudible | inaudible hit |'
        ),
        '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for name, labels in found['labels'].items():
        scores = found['scores'][name]
        cells = [
            STUDENT_ROWS[name],
            str(labels['labels']),
            f'{100 * labels["right"]:.0f} %',
            f'{100 * labels["found"]:.0f} %',
            str(labels['open']),
            *(
                _several([one[key] for one in scores], 3)
                for key in ('ap_directions', 'ap_hidden', 'roc_auc', 'ap_inaudible', 'silent_hits')
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
