"""A tracker with a motion model: predicts, links weak detections too, and coasts in silence.

Boxes follow a constant velocity in the image. Sure detections are linked first, doubtful ones
then continue the tracks that are left (the two stages of ByteTrack, Zhang et al., ECCV 2022).
A track that is not heard goes on along its velocity for a while and says so.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from avdet_ros.detection.boxes import Detections, box_iou
from avdet_ros.tracking.kalman import BoxFilter
from avdet_ros.tracking.track import Track, require_between, require_finite

_ROUNDING_S = 1e-4
"""Stamps are sums of decimal fractions: what their rounding may cost."""


class MotionTracker:
    """Links boxes where a constant velocity expects them."""

    def __init__(
        self,
        start_score: float = 0.5,
        sure_score: float = 0.4,
        weak_score: float = 0.1,
        iou_threshold: float = 0.2,
        margin: float = 0.2,
        confirm_s: float = 0.1,
        coast_s: float = 0.6,
        longest_gap_s: float = 1.5,
    ) -> None:
        """Set thresholds and times.

        Args:
            start_score: a detection that no track claims must exceed it to start one.
            sure_score: detections above it are linked first.
            weak_score: detections above it may continue a track; the rest is ignored.
            iou_threshold: expected and detected box must exceed it to be linked.
            margin: boxes are grown by this share of their size on every side before they are
                compared, since what is heard of a far vehicle jumps by more than its box.
            confirm_s: a track is reported once it has been heard over this long; before, it
                ends at the first window that does not hear it.
            coast_s: how long a track goes on unheard, never for longer than it was heard.
            longest_gap_s: windows further apart are not consecutive, and all tracks end; recorded
                frames, one a second, still are.
        """
        self._start_score = require_between('start_score', start_score, 0, 1)
        self._sure_score = require_between('sure_score', sure_score, 0, 1)
        self._weak_score = require_between('weak_score', weak_score, 0, 1)
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
        """Take one window's detections; see `Tracker.update`.

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
        sure = np.flatnonzero(scores > self._sure_score)
        weak = np.flatnonzero((scores > self._weak_score) & (scores <= self._sure_score))
        waiting = self._link(self._vehicles, sure, detections, stamp_s)
        self._link(waiting, weak, detections, stamp_s)
        taken = {vehicle.detection for vehicle in self._vehicles if vehicle.last_seen_s == stamp_s}

        self._vehicles = [vehicle for vehicle in self._vehicles if self._goes_on(vehicle)]
        for index in np.flatnonzero(scores > self._start_score):
            if index not in taken:
                vehicle = _Vehicle(self._next_id, detections, int(index), stamp_s)
                self._vehicles.append(vehicle)
                self._next_id += 1
        return [vehicle.track(stamp_s) for vehicle in self._vehicles if self._confirmed(vehicle)]

    def _confirmed(self, vehicle: _Vehicle) -> bool:
        return vehicle.last_seen_s - vehicle.born_s >= self._confirm_s - _ROUNDING_S

    def _goes_on(self, vehicle: _Vehicle) -> bool:
        if vehicle.detection is not None:
            return True
        # What was heard briefly is soon forgotten: nothing coasts for longer than it was heard.
        heard_s = vehicle.last_seen_s - vehicle.born_s
        silent_s = self._stamp_s - vehicle.last_seen_s
        return self._confirmed(vehicle) and silent_s <= min(self._coast_s, heard_s) + _ROUNDING_S

    def _link(
        self,
        vehicles: list[_Vehicle],
        indices: np.ndarray,
        detections: Detections,
        stamp_s: float,
    ) -> list[_Vehicle]:
        """Link vehicles with detections, most overlap in all; returns the vehicles left over."""
        if not vehicles or not len(indices):
            return vehicles
        expected = np.stack([vehicle.filter.box_px for vehicle in vehicles])
        found = detections.boxes_px[indices]
        overlap = box_iou(grow(expected, self._margin), grow(found, self._margin))
        fits = overlap > self._iou_threshold
        rows, columns = linear_sum_assignment(np.where(fits, overlap, 0), maximize=True)
        linked = set()
        for row, column in zip(rows, columns, strict=True):
            if fits[row, column]:
                vehicles[row].hear(detections, int(indices[column]), stamp_s)
                linked.add(row)
        return [vehicle for row, vehicle in enumerate(vehicles) if row not in linked]


class _Vehicle:
    def __init__(self, track_id: int, detections: Detections, index: int, stamp_s: float) -> None:
        # A heard centre is off by some tenths of a box; most vehicles cross their own width in
        # a second or two.
        self.filter = BoxFilter(detections.boxes_px[index], measured=0.1, speed=0.7, shake=0.7)
        self.track_id, self.born_s, self.last_seen_s = track_id, stamp_s, stamp_s
        self.detection: int | None = index  # in the present window
        self.score = float(detections.scores[index])

    def hear(self, detections: Detections, index: int, stamp_s: float) -> None:
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
    """(N, 4) boxes with a margin of this share of width and height on every side."""
    extra = margin * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - extra, boxes[:, 2:] + extra], axis=1)
