"""Counts and image maps of boxes that are right, displaced, false or missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import Detections, box_centres, box_iou
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE, MATCH_IOU, match
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame

NEAR_IOU = 0.1
"""A box that overlaps an unmatched vehicle by at least this, but less than `MATCH_IOU`, is
assigned to it as displaced (Hoiem et al., ECCV 2012: localisation errors)."""


@dataclass(frozen=True)
class BoxErrors:
    """The boxes of one frame above `CENTRE_SCORE`, by kind of error.

    Attributes:
        hits: (H, 2) int64, found box and true box that match at `MATCH_IOU`.
        displaced: (D, 2) int64, found box and the true box it is assigned to.
        false: (F,) int64, found boxes assigned to no vehicle.
        missed: (M,) int64, true boxes without a found box.
    """

    hits: np.ndarray
    displaced: np.ndarray
    false: np.ndarray
    missed: np.ndarray

    @property
    def errors(self) -> int:
        """Number of boxes that are displaced, false or missed."""
        return len(self.displaced) + len(self.false) + len(self.missed)


def classify_boxes(truth: TruthFrame, confident: Detections) -> BoxErrors:
    """Assign the boxes of one frame to true boxes, and classify the errors.

    Args:
        truth: truth of the frame.
        confident: the boxes above `CENTRE_SCORE`, best first.
    """
    matched = match(confident.boxes_px, truth.boxes_px, MATCH_IOU)
    overlap = box_iou(confident.boxes_px, truth.boxes_px)
    overlap[matched >= 0] = 0
    overlap[:, matched[matched >= 0]] = 0
    displaced = []
    while overlap.size and overlap.max() >= NEAR_IOU:
        found, true = np.unravel_index(np.argmax(overlap), overlap.shape)
        displaced.append((found, true))
        overlap[found], overlap[:, true] = 0, 0
    pairs = np.array(displaced, np.int64).reshape(-1, 2)
    found_hit = np.flatnonzero(matched >= 0)
    used = np.concatenate([matched[found_hit], pairs[:, 1]])
    return BoxErrors(
        hits=np.stack([found_hit, matched[found_hit]], axis=1),
        displaced=pairs,
        false=np.setdiff1d(np.flatnonzero(matched < 0), pairs[:, 0]),
        missed=np.setdiff1d(np.arange(len(truth)), used),
    )


@dataclass(frozen=True)
class ErrorMaps:
    """How often boxes of each kind cover each cell of the image.

    Attributes:
        cell_px: side of a cell.
        vehicles: (rows, columns) float64, true boxes.
        found: the same for true boxes that are found.
        missed: the same for true boxes without a found box.
        false: the same for found boxes assigned to no vehicle.
        displaced_from: (D, 2) float64 centres of the true boxes.
        displaced_to: (D, 2) float64 centres of the displaced boxes assigned to them.
        counts: boxes of each kind: hits, displaced, false, missed.
    """

    cell_px: int
    vehicles: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    false: np.ndarray
    displaced_from: np.ndarray
    displaced_to: np.ndarray
    counts: dict[str, int]


def error_maps(
    records: Sequence[DriveRecord],
    detector: str,
    image_size_px: tuple[int, int],
    cell_px: int = 20,
) -> ErrorMaps:
    """Add up a detector's boxes over all frames.

    Args:
        records: the drives.
        detector: name of the detector in the records.
        image_size_px: width, height.
        cell_px: side of a cell of the maps.
    """
    shape = -(-image_size_px[1] // cell_px), -(-image_size_px[0] // cell_px)
    maps = {name: np.zeros(shape) for name in ('vehicles', 'found', 'missed', 'false')}
    origins, places = [np.zeros((0, 2))], [np.zeros((0, 2))]
    counts = dict.fromkeys(('hits', 'displaced', 'false', 'missed'), 0)
    for record in records:
        for truth, predicted in zip(record.truth, record.detections[detector], strict=True):
            confident = predicted.above(CENTRE_SCORE)
            errors = classify_boxes(truth, confident)
            for name in counts:
                counts[name] += len(getattr(errors, name))
            _add(maps['vehicles'], truth.boxes_px, cell_px)
            _add(maps['found'], truth.boxes_px[errors.hits[:, 1]], cell_px)
            _add(maps['missed'], truth.boxes_px[errors.missed], cell_px)
            _add(maps['false'], confident.boxes_px[errors.false], cell_px)
            origins.append(box_centres(truth.boxes_px[errors.displaced[:, 1]]))
            places.append(box_centres(confident.boxes_px[errors.displaced[:, 0]]))
    return ErrorMaps(
        cell_px,
        **maps,
        displaced_from=np.concatenate(origins),
        displaced_to=np.concatenate(places),
        counts=counts,
    )


def _add(grid: np.ndarray, boxes_px: np.ndarray, cell_px: int) -> None:
    for x0, y0, x1, y1 in np.asarray(boxes_px) / cell_px:
        rows = slice(max(int(y0), 0), max(int(np.ceil(y1)), 0))
        grid[rows, max(int(x0), 0) : max(int(np.ceil(x1)), 0)] += 1
