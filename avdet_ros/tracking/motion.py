"""A tracker with a motion model: predicts, links low scores too, and coasts through gaps.

Boxes move at a constant velocity in the image. Detections with high scores are linked first;
those with low scores then continue the remaining tracks, see `two_stages`. A track without a
detection continues along its velocity for a while, marked as coasting.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import ClassVar

import numpy as np

from avdet_ros.detection.boxes import Detections, box_iou
from avdet_ros.tracking.kalman import BoxFilter
from avdet_ros.tracking.track import TRACKERS, Track, require_between, require_finite
from avdet_ros.tracking.two_stages import link_in_two_stages

_ROUNDING_S = 1e-4
"""Tolerance for the rounding of stamps, which are sums of decimal fractions."""


@TRACKERS.register
class MotionTracker:
    """Links boxes where a constant velocity predicts them."""

    name = 'motion'
    for_the_student: ClassVar = {'new_track_threshold': 0.4, 'iou_threshold': 0.2, 'coast_s': 0.0}

    def __init__(
        self,
        new_track_threshold: float = 0.5,
        high_threshold: float = 0.4,
        low_threshold: float = 0.1,
        iou_threshold: float = 0.2,
        margin: float = 0.2,
        confirm_s: float = 0.1,
        coast_s: float = 0.6,
        longest_gap_s: float = 1.5,
    ) -> None:
        """Set thresholds and times.

        Args:
            new_track_threshold: an unlinked detection must exceed it to start a track.
            high_threshold: detections above it are linked first.
            low_threshold: detections above it may continue a track; the rest is ignored.
            iou_threshold: the overlap of predicted and detected box must exceed it for a link.
            margin: boxes are enlarged by this share of their size on every side before they are
                compared, since detections of a far vehicle jump by more than its box.
            confirm_s: a track is reported once its detections span this long; before, it ends
                at the first window without a detection.
            coast_s: how long a track continues without a detection, at most as long as its
                detections span.
            longest_gap_s: windows further apart are not consecutive, and all tracks end. Recorded
                frames, one per second, still are consecutive.
        """
        self._new_track_threshold = require_between(
            'new_track_threshold', new_track_threshold, 0, 1
        )
        self._high_threshold = require_between('high_threshold', high_threshold, 0, 1)
        self._low_threshold = require_between('low_threshold', low_threshold, 0, 1)
        self._iou_threshold = require_between('iou_threshold', iou_threshold, 0, 1)
        self._margin = require_between('margin', margin, 0, 10)
        self._confirm_s = require_between('confirm_s', confirm_s, 0, 60)
        self._coast_s = require_between('coast_s', coast_s, 0, 60)
        self._longest_gap_s = require_between('longest_gap_s', longest_gap_s, 0, 3600)
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; see `Tracker.reset`."""
        self._vehicles: list[_Vehicle] = []
        self._next_id = first_id
        self._stamp_s = -math.inf

    def update(self, stamp_s: float, detections: Detections) -> list[Track]:
        """Process one window's detections; see `Tracker.update`.

        Tracks that coast are returned too, with the flag `Track.coasting`.
        """
        require_finite(stamp_s, detections)
        if stamp_s < self._stamp_s:
            self.reset()
        elif stamp_s - self._stamp_s > self._longest_gap_s:
            self._vehicles = []
        since_s = stamp_s - self._stamp_s if self._vehicles else 0.0
        self._stamp_s = stamp_s
        for vehicle in self._vehicles:
            vehicle.filter.predict(since_s)
            vehicle.detection = None

        scores = detections.scores
        taken = link_in_two_stages(
            self._vehicles,
            scores,
            self._high_threshold,
            self._low_threshold,
            lambda vehicles, indices: self._cost(vehicles, detections.boxes_px[indices]),
            lambda vehicle, index: vehicle.correct(detections, index, stamp_s),
        )
        self._vehicles = [vehicle for vehicle in self._vehicles if self._continues(vehicle)]
        for index in np.flatnonzero(scores > self._new_track_threshold):
            if index not in taken:
                vehicle = _Vehicle(self._next_id, detections, int(index), stamp_s)
                self._vehicles.append(vehicle)
                self._next_id += 1
        return [vehicle.track(stamp_s) for vehicle in self._vehicles if self._confirmed(vehicle)]

    def _confirmed(self, vehicle: _Vehicle) -> bool:
        return vehicle.last_seen_s - vehicle.born_s >= self._confirm_s - _ROUNDING_S

    def _continues(self, vehicle: _Vehicle) -> bool:
        if vehicle.detection is not None:
            return True
        # Short tracks end soon: none coasts for longer than its detections span.
        span_s = vehicle.last_seen_s - vehicle.born_s
        gap_s = self._stamp_s - vehicle.last_seen_s
        return self._confirmed(vehicle) and gap_s <= min(self._coast_s, span_s) + _ROUNDING_S

    def _cost(self, vehicles: Sequence[_Vehicle], found: np.ndarray) -> np.ndarray:
        """(V, D) costs: 0 minus the overlap, infinite if that is too small."""
        expected = np.stack([vehicle.filter.box_px for vehicle in vehicles])
        overlap = box_iou(grow(expected, self._margin), grow(found, self._margin))
        return np.where(overlap > self._iou_threshold, -overlap, np.inf)


class _Vehicle:
    def __init__(self, track_id: int, detections: Detections, index: int, stamp_s: float) -> None:
        # Detected centres err by some tenths of a box; most vehicles move by their own width in
        # a second or two.
        self.filter = BoxFilter(
            detections.boxes_px[index],
            measurement_noise=0.1,
            velocity_std=0.7,
            acceleration_noise=0.7,
        )
        self.track_id, self.born_s, self.last_seen_s = track_id, stamp_s, stamp_s
        self.detection: int | None = index  # in the current window
        self.score = float(detections.scores[index])

    def correct(self, detections: Detections, index: int, stamp_s: float) -> None:
        self.filter.correct(detections.boxes_px[index])
        self.last_seen_s = stamp_s
        self.detection, self.score = index, float(detections.scores[index])

    def track(self, stamp_s: float) -> Track:
        return Track(
            self.track_id,
            self.filter.box_px,
            self.score,
            age_s=stamp_s - self.born_s,
            last_seen_s=self.last_seen_s,
            coasting=self.detection is None,
        )


def grow(boxes: np.ndarray, margin: float) -> np.ndarray:
    """Enlarge (N, 4) boxes by this share of width and height on every side."""
    extra = margin * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - extra, boxes[:, 2:] + extra], axis=1)
