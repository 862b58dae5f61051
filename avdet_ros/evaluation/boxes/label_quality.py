"""Quality of teachers' labels, measured against the true boxes of simulated drives.

A vehicle counts if enough of it is visible, `LEAST_PIXELS` and `LEAST_VISIBLE`, the same limits as
in the training of the teachers. A box on a less visible vehicle is neither right nor wrong. Boxes
are sorted by score; each takes the true box it overlaps most (IoU from 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import DriveLabels, read_labels
from avdet_ros.detection.boxes import box_iou
from avdet_ros.errors import AvdetError

IOU = 0.5

LEAST_PIXELS = 60
LEAST_VISIBLE = 0.25
"""Minimum visible pixels and visible fraction of a vehicle that should be found."""

PRECISION = 0.9
"""Recall is read at the lowest threshold that still has this precision."""

FUSED = 'fused'


@dataclass(frozen=True)
class LabelQuality:
    """Quality of one teacher's boxes, or of all teachers' fused boxes.

    Attributes:
        vehicles: number of true boxes that should be found.
        boxes: number of labels.
        right: number of right labels.
        recall: share of the vehicles that have a label.
        precision: share of the labels that are right.
        recall_at: recall at `PRECISION`, by the best threshold on the score; 0 if there is none.
        score_at: that threshold; NaN if there is none.
    """

    vehicles: int
    boxes: int
    right: int
    recall: float
    precision: float
    recall_at: float
    score_at: float


def label_quality(
    root: Path, drives: Mapping[str, Sequence[layout.FrameId]], folder: Path
) -> dict[str, LabelQuality]:
    """Measure each teacher's quality by modality, and that of their fused boxes as `FUSED`.

    Args:
        root: the data set's folder.
        drives: frames of each drive.
        folder: folder of the label files.

    Raises:
        AvdetError: a file is missing or damaged, or no drive has truth.
    """
    found: dict[str, list[np.ndarray]] = {}
    vehicles = 0
    for drive, frames in drives.items():
        table, truth = read_labels(folder / f'{drive}.npz', mapped=True), _truth(root, drive)
        places = {str(stamp): index for index, stamp in enumerate(table.ids)}
        for frame in frames:
            if frame.stamp not in places or frame.stamp not in truth:
                continue
            boxes, wanted = truth[frame.stamp]
            vehicles += int(wanted.sum())
            for name, rows in _rows(table, places[frame.stamp]).items():
                judged = judge(table.boxes_px[rows], table.scores[rows], boxes, wanted)
                found.setdefault(name, []).append(judged)
    if not found:
        raise AvdetError(f'{root}: expected frames with labels and with a truth, found none')
    return {name: summary(np.concatenate(parts), vehicles) for name, parts in found.items()}


def judge(
    boxes_px: np.ndarray, scores: np.ndarray, true_px: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Return (K, 2) score and right (1) or wrong (0) for each box of a frame that counts.

    Args:
        boxes_px: (N, 4) found boxes.
        scores: (N,) their scores.
        true_px: (M, 4) true boxes.
        wanted: (M,) bool, vehicles that should be found; boxes on others do not count.
    """
    overlap = box_iou(boxes_px, true_px)
    judged = []
    for index in np.argsort(-scores, kind='stable'):
        right = False
        if len(true_px):
            best = overlap[index].argmax()
            right = bool(overlap[index, best] >= IOU)
            if right:
                overlap[:, best] = -1
                if not wanted[best]:
                    continue
        judged.append((scores[index], right))
    return np.array(judged, np.float64).reshape(-1, 2)


def summary(judged: np.ndarray, vehicles: int) -> LabelQuality:
    """Summarise (K, 2) scores with right or wrong, see `judge`."""
    order = np.argsort(-judged[:, 0], kind='stable')
    scores, right = judged[order, 0], judged[order, 1]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    # A threshold never separates equal scores.
    ends = np.flatnonzero(np.append(np.diff(scores), -1.0)[: len(scores)])
    good = [end for end in ends if precision[end] >= PRECISION]
    last = good[-1] if good else None
    vehicle_count = max(vehicles, 1)
    return LabelQuality(
        vehicles=vehicles,
        boxes=len(scores),
        right=int(right.sum()),
        recall=float(right.sum() / vehicle_count),
        precision=float(right.mean()) if len(right) else float('nan'),
        recall_at=0.0 if last is None else float(hits[last] / vehicle_count),
        score_at=float('nan') if last is None else float(scores[last]),
    )


def _rows(table: DriveLabels, index: int) -> dict[str, np.ndarray]:
    """Return the indices of a frame's boxes by teacher, and of those that remain after fusion."""
    of_frame = table.frame == index
    rows = {
        name: np.flatnonzero(of_frame & (table.teacher == column))
        for column, name in enumerate(table.teachers)
    }
    return {**rows, FUSED: table.fused_rows(index, table.teachers)}


def _truth(root: Path, drive: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, by stamp, the boxes of vehicles in the image and which of them should be found."""
    if not (root / drive / 'truth' / 'frames.jsonl').is_file():
        return {}
    truth = {}
    for stamp, line in layout.read_truth(root, drive).items():
        pixels = np.array(line['pixels'], np.float64).reshape(-1)
        visible = np.array(line['visible_fraction'], np.float64).reshape(-1)
        seen = pixels > 0
        wanted = (pixels >= LEAST_PIXELS) & (visible >= LEAST_VISIBLE)
        truth[stamp] = np.asarray(line['boxes_px'], np.float64)[seen], wanted[seen]
    return truth
