"""Which boxes are right, misplaced, false or missing, and where in the image that happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import Detections, box_iou
from avdet_ros.evaluation.detection_metrics import CENTRE_SCORE, MATCH_IOU, match
from avdet_ros.evaluation.drive_record import DriveRecord, TruthFrame

NEAR_IOU = 0.1
"""A box that overlaps a vehicle nothing else found by at least this, yet less than `MATCH_IOU`,
means that vehicle and is misplaced (Hoiem et al., ECCV 2012: localisation errors)."""


@dataclass(frozen=True)
class Verdicts:
    """The boxes of one frame above `CENTRE_SCORE`, sorted out.

    Attributes:
        hits: (H, 2) int64, found box and true box that match at `MATCH_IOU`.
        misplaced: (D, 2) int64, found box and the true box it means.
        false: (F,) int64, found boxes that mean nothing that is there.
        missed: (M,) int64, true boxes that no found box means.
    """

    hits: np.ndarray
    misplaced: np.ndarray
    false: np.ndarray
    missed: np.ndarray

    @property
    def errors(self) -> int:
        """How many boxes are misplaced, false or missing."""
        return len(self.misplaced) + len(self.false) + len(self.missed)


def judge(truth: TruthFrame, sure: Detections) -> Verdicts:
    """Sort one frame's boxes out.

    Args:
        truth: of the frame.
        sure: the boxes above `CENTRE_SCORE`, best first.
    """
    matched = match(sure.boxes_px, truth.boxes_px, MATCH_IOU)
    left = box_iou(sure.boxes_px, truth.boxes_px)
    left[matched >= 0] = 0
    left[:, matched[matched >= 0]] = 0
    misplaced = []
    while left.size and left.max() >= NEAR_IOU:
        found, true = np.unravel_index(np.argmax(left), left.shape)
        misplaced.append((found, true))
        left[found], left[:, true] = 0, 0
    pairs = np.array(misplaced, np.int64).reshape(-1, 2)
    found_hit = np.flatnonzero(matched >= 0)
    used = np.concatenate([matched[found_hit], pairs[:, 1]])
    return Verdicts(
        hits=np.stack([found_hit, matched[found_hit]], axis=1),
        misplaced=pairs,
        false=np.setdiff1d(np.flatnonzero(matched < 0), pairs[:, 0]),
        missed=np.setdiff1d(np.arange(len(truth)), used),
    )


@dataclass(frozen=True)
class MistakeMaps:
    """How often each place of the image is covered by boxes of a kind.

    Attributes:
        cell_px: side of a cell.
        vehicles: (rows, columns) float64, true boxes.
        found: of these, found ones.
        missed: of these, ones that no box means.
        false: boxes where nothing is.
        misplaced_from: (D, 2) float64 centres of the vehicles that were heard elsewhere.
        misplaced_to: (D, 2) float64 where they were heard.
        counts: boxes of each kind: hits, misplaced, false, missed.
    """

    cell_px: int
    vehicles: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    false: np.ndarray
    misplaced_from: np.ndarray
    misplaced_to: np.ndarray
    counts: dict[str, int]


def mistake_maps(
    records: Sequence[DriveRecord],
    detector: str,
    image_size_px: tuple[int, int],
    cell_px: int = 20,
) -> MistakeMaps:
    """Add up a detector's boxes over all frames.

    Args:
        records: the drives.
        detector: its name in them.
        image_size_px: width, height.
        cell_px: side of a cell of the maps.
    """
    shape = -(-image_size_px[1] // cell_px), -(-image_size_px[0] // cell_px)
    maps = {name: np.zeros(shape) for name in ('vehicles', 'found', 'missed', 'false')}
    origins, places = [np.zeros((0, 2))], [np.zeros((0, 2))]
    counts = dict.fromkeys(('hits', 'misplaced', 'false', 'missed'), 0)
    for record in records:
        for truth, heard in zip(record.truth, record.detections[detector], strict=True):
            sure = heard.above(CENTRE_SCORE)
            verdicts = judge(truth, sure)
            for name in counts:
                counts[name] += len(getattr(verdicts, name))
            _add(maps['vehicles'], truth.boxes_px, cell_px)
            _add(maps['found'], truth.boxes_px[verdicts.hits[:, 1]], cell_px)
            _add(maps['missed'], truth.boxes_px[verdicts.missed], cell_px)
            _add(maps['false'], sure.boxes_px[verdicts.false], cell_px)
            origins.append(_centres(truth.boxes_px[verdicts.misplaced[:, 1]]))
            places.append(_centres(sure.boxes_px[verdicts.misplaced[:, 0]]))
    return MistakeMaps(
        cell_px,
        **maps,
        misplaced_from=np.concatenate(origins),
        misplaced_to=np.concatenate(places),
        counts=counts,
    )


def _add(grid: np.ndarray, boxes_px: np.ndarray, cell_px: int) -> None:
    for x0, y0, x1, y1 in np.asarray(boxes_px) / cell_px:
        rows = slice(max(int(y0), 0), max(int(np.ceil(y1)), 0))
        grid[rows, max(int(x0), 0) : max(int(np.ceil(x1)), 0)] += 1


def _centres(boxes_px: np.ndarray) -> np.ndarray:
    return (np.asarray(boxes_px, np.float64)[:, :2] + boxes_px[:, 2:]) / 2
