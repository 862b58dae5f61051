"""A public library's tracker behind our interface, for comparison on the same detections.

Only the comparison uses it; no node does. The library counts in frames, so it needs the rate of
the windows.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.tracking import Track


class PublicByteTrack:
    """ByteTrack of the ``trackers`` package (Roboflow, Apache-2.0)."""

    def __init__(
        self,
        rate_hz: float,
        new_track_threshold: float = 0.7,
        high_threshold: float = 0.6,
        iou_threshold: float = 0.1,
        coast_s: float = 1.0,
        confirm_windows: int = 2,
    ) -> None:
        """Set it up; the defaults are the library's.

        Args:
            rate_hz: windows a second.
            new_track_threshold: its ``track_activation_threshold``.
            high_threshold: its ``high_conf_det_threshold``.
            iou_threshold: its ``minimum_iou_threshold``.
            coast_s: time in which a lost track may resume; it is not reported meanwhile.
            confirm_windows: its ``minimum_consecutive_frames``.

        Raises:
            AvdetError: the library is not installed.
        """
        try:
            import supervision
            import trackers
        except ImportError as error:
            raise AvdetError(
                'the public tracker needs the packages of tools/requirements/test.txt: expected '
                f'trackers, found {error}'
            ) from error
        self._boxes_of: Any = supervision.Detections
        self._make: Callable[[], Any] = lambda: trackers.ByteTrackTracker(
            # The library's buffer is in frames at 30 a second, scaled by its own rate.
            lost_track_buffer=round(30 * coast_s),
            frame_rate=rate_hz,
            track_activation_threshold=new_track_threshold,
            minimum_consecutive_frames=confirm_windows,
            minimum_iou_threshold=iou_threshold,
            high_conf_det_threshold=high_threshold,
        )
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; see `avdet_ros.tracking.Tracker.reset`."""
        self._tracker = self._make()
        self._first_id = first_id
        self._numbers: dict[int, int] = {}
        self._born_s: dict[int, float] = {}
        self._stamp_s = -math.inf

    def update(self, stamp_s: float, detections: Detections) -> list[Track]:
        """Take one window's detections; see `avdet_ros.tracking.Tracker.update`."""
        if stamp_s < self._stamp_s:
            self.reset()
        self._stamp_s = stamp_s
        found = self._tracker.update(
            self._boxes_of(
                xyxy=np.asarray(detections.boxes_px, np.float32),
                confidence=np.asarray(detections.scores, np.float32),
                class_id=np.zeros(len(detections), int),
            )
        )
        tracks = []
        for box, score, identity in zip(
            found.xyxy, found.confidence, found.tracker_id, strict=True
        ):
            if identity < 0:  # not confirmed yet
                continue
            # The library's identities continue from one instance to the next.
            number = self._numbers.setdefault(int(identity), self._first_id + len(self._numbers))
            born_s = self._born_s.setdefault(number, stamp_s)
            tracks.append(
                Track(number, np.asarray(box, np.float32), float(score), stamp_s - born_s, stamp_s)
            )
        return sorted(tracks, key=lambda track: track.track_id)
