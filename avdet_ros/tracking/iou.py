"""The paper's tracker: overlapping boxes of consecutive windows are the same vehicle.

"There is More than Meets the Eye" (Valverde et al., CVPR 2021), section 3.4: a detection whose
score exceeds 0.8 starts a tracklet; the tracklet's next box is the one in the current window
that overlaps it most; it becomes inactive when no box has an IoU above 0.5.
"""

from __future__ import annotations

from dataclasses import replace
import math
from typing import ClassVar

import numpy as np

from avdet_ros.detection.boxes import Detections, box_iou
from avdet_ros.tracking.track import TRACKERS, Track, require_between, require_finite


@TRACKERS.register
class IouTracker:
    """Links boxes by their overlap alone. A track without a matching box ends at once."""

    name = 'iou'
    for_the_student: ClassVar = {'new_track_threshold': 0.7, 'iou_threshold': 0.1}

    def __init__(
        self,
        new_track_threshold: float = 0.8,
        iou_threshold: float = 0.5,
        longest_gap_s: float = 1.5,
    ) -> None:
        """Set the thresholds; the defaults are the paper's.

        Args:
            new_track_threshold: a detection must exceed it to start a track; any score
                continues one.
            iou_threshold: the IoU of two boxes must exceed it for them to be the same vehicle.
            longest_gap_s: windows further apart are not consecutive, and all tracks end. Recorded
                frames, one per second, still are consecutive.
        """
        self._new_track_threshold = require_between(
            'new_track_threshold', new_track_threshold, 0, 1
        )
        self._iou_threshold = require_between('iou_threshold', iou_threshold, 0, 1)
        self._longest_gap_s = require_between('longest_gap_s', longest_gap_s, 0, 3600)
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; see `Tracker.reset`."""
        self._tracks: list[Track] = []
        self._next_id = first_id
        self._stamp_s = -math.inf

    def update(self, stamp_s: float, detections: Detections) -> list[Track]:
        """Process one window's detections; see `Tracker.update`."""
        require_finite(stamp_s, detections)
        if stamp_s < self._stamp_s:
            self.reset()
        elif stamp_s - self._stamp_s > self._longest_gap_s:
            self._tracks = []
        since_s, self._stamp_s = stamp_s - self._stamp_s, stamp_s

        pairs = greatest_first(
            box_iou([track.box_px for track in self._tracks], detections.boxes_px),
            self._iou_threshold,
        )
        active = [
            replace(
                self._tracks[old],
                box_px=detections.boxes_px[new],
                score=float(detections.scores[new]),
                age_s=self._tracks[old].age_s + since_s,
                last_seen_s=stamp_s,
            )
            for old, new in pairs
        ]
        taken = {new for _, new in pairs}
        for new, score in enumerate(detections.scores):
            if new not in taken and score > self._new_track_threshold:
                box_px = detections.boxes_px[new]
                active.append(Track(self._next_id, box_px, float(score), 0.0, stamp_s))
                self._next_id += 1
        self._tracks = sorted(active, key=lambda track: track.track_id)
        return list(self._tracks)


def greatest_first(overlap: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pair rows with columns, the greatest overlap first, each at most once.

    Args:
        overlap: (N, M) overlaps.
        threshold: only overlaps above it are paired.

    Returns:
        (row, column) pairs; among equal overlaps the lower row, then the lower column, wins.
    """
    pairs: list[tuple[int, int]] = []
    rows, columns = set(), set()
    for flat in np.argsort(-overlap, axis=None, kind='stable'):
        row, column = (int(index) for index in np.unravel_index(flat, overlap.shape))
        if overlap[row, column] <= threshold:
            break
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs
