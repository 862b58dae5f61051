"""One vehicle of the ground-plane tracker: its filter, and its box in the image."""

from __future__ import annotations

import math

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.rig import Camera, Rig
from avdet_ros.tracking.bearing_range import VEHICLE_HEIGHT_M
from avdet_ros.tracking.ground_filter import LOG_RANGE, GroundFilter, wrap
from avdet_ros.tracking.kalman import BoxFilter
from avdet_ros.tracking.track import Track

SAME_BEARING_RAD = math.radians(3.0)
SAME_LOG_RANGE = 0.5
"""Two tracks closer than both limits are the same vehicle."""

_SIZE_SHARE = 0.1
_SMALLEST_M, _LARGEST_M = 0.5, 20.0


class GroundVehicle:
    """State of one vehicle.

    Attributes:
        track_id: its identity.
        filter: position and velocity.
        box: its box in the image, smoothed.
        size_m: (2,) width across the line of sight, and height.
        born_s: stamp of its first detection.
        last_seen_s: stamp of its last detection.
        detection: index of its detection in the current window, None without one.
        score: score of its last detection.
        sized: whether its ranges come from the size of its boxes, as the model predicts none.
    """

    def __init__(
        self,
        track_id: int,
        ground: GroundFilter,
        detections: Detections,
        index: int,
        stamp_s: float,
        rig: Rig,
    ) -> None:
        """Start with a detection."""
        self.track_id, self.filter, self._rig = track_id, ground, rig
        self.born_s = self.last_seen_s = stamp_s
        self.detection: int | None = index
        self.score = float(detections.scores[index])
        self.sized = detections.range_m is None
        # Same smoothing as in `MotionTracker`: detected centres err by some tenths of a box.
        self.box = BoxFilter(
            detections.boxes_px[index],
            measurement_noise=0.1,
            velocity_std=0.7,
            acceleration_noise=0.7,
        )
        self.size_m = np.array([VEHICLE_HEIGHT_M * 1.2, VEHICLE_HEIGHT_M])
        self._grow(detections.boxes_px[index])

    @property
    def in_image(self) -> bool:
        """Whether any of its box lies in the image."""
        return inside_image(self.box.box_px, self._rig.camera)

    def see(self, detections: Detections, index: int, stamp_s: float) -> None:
        """Update with its detection in this window."""
        self.box.correct(detections.boxes_px[index])
        self.last_seen_s = stamp_s
        self.detection, self.score = index, float(detections.scores[index])
        self._grow(detections.boxes_px[index])

    def track(self, stamp_s: float) -> Track:
        """Return the vehicle as a track in the image."""
        return Track(
            self.track_id,
            self.box.box_px,
            self.score,
            age_s=stamp_s - self.born_s,
            last_seen_s=self.last_seen_s,
            coasting=self.detection is None,
        )

    def matches(self, other: GroundVehicle) -> bool:
        """Whether both may be the same vehicle: equal bearings, and ranges that agree."""
        state, other_state = self.filter.state, other.filter.state
        near = abs(wrap(state[0] - other_state[0])) < SAME_BEARING_RAD
        return near and abs(state[LOG_RANGE] - other_state[LOG_RANGE]) < SAME_LOG_RANGE

    def _grow(self, box_px: np.ndarray) -> None:
        """Update the running average of its size from a box and its range."""
        camera = self._rig.camera
        middle = (float(box_px[0] + box_px[2]) / 2 - camera.cx) / camera.fx
        depth_m = math.exp(self.filter.state[LOG_RANGE]) / math.hypot(1.0, middle)
        seen = np.array([box_px[2] - box_px[0], box_px[3] - box_px[1]], np.float64)
        size = np.clip(depth_m * seen / [camera.fx, camera.fy], _SMALLEST_M, _LARGEST_M)
        self.size_m = self.size_m * (size / self.size_m) ** _SIZE_SHARE


def inside_image(box_px: np.ndarray, camera: Camera) -> bool:
    """Whether any of a box lies in the image."""
    low, high = (
        np.maximum(box_px[:2], 0),
        np.minimum(box_px[2:], [camera.width_px, camera.height_px]),
    )
    return bool((high > low).all())
