"""Common interface of all trackers."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.fields import Field
from avdet_ros.registry import Registry


@dataclass(frozen=True)
class Track:
    """One vehicle at one instant.

    Attributes:
        track_id: ascending number, unique between two resets of one tracker.
        box_px: (4,) float32 x_min, y_min, x_max, y_max.
        score: score of its last detection, in [0, 1].
        age_s: time since its first detection.
        last_seen_s: stamp of its last detection.
        coasting: whether the box is only predicted, without a detection in this window.
    """

    track_id: int
    box_px: np.ndarray
    score: float
    age_s: float
    last_seen_s: float
    coasting: bool = False


class Tracker(Protocol):
    """Assigns identities to detections, one window after another.

    Trackers are deterministic, have no state outside the instance and take time only from the
    stamps, in seconds. They must receive windows without detections too: that is how a track ends.

    A tracker, in this package or another one, is a class registered in `TRACKERS` with a ``name``,
    which parameters and commands use. Optional attributes: ``for_the_student``, parameters for
    the shipped student that differ from the constructor's defaults, chosen on validation drives
    (docs/trackers.md); ``needs_rig``, true if the constructor's first argument is the rig;
    ``remembers``, true if a track that was not reported for a while may return with the same
    identity.
    """

    def update(self, stamp_s: float, detections: Detections) -> list[Track]:
        """Process one window's detections.

        Args:
            stamp_s: the instant at which the boxes are valid. If it is earlier than the previous
                one, as when a bag starts over, the tracker is reset first.
            detections: detections of the window, possibly none.

        Returns:
            The tracks active at that instant, by id.

        Raises:
            AvdetError: stamp or boxes are not finite numbers; the state is unchanged.
        """

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks.

        Args:
            first_id: first of the new identities. A tracker that replaces another one continues
                where that one ended.
        """


TRACKERS: Registry[Tracker] = Registry('tracker', 'avdet_ros.tracking')
"""All registered trackers."""


def require_finite(stamp_s: float, detections: Detections) -> None:
    """Refuse an update that would corrupt a tracker's state."""
    if not math.isfinite(stamp_s):
        raise AvdetError(f'tracker: stamp: expected a finite time in seconds, found {stamp_s}')
    if not (np.isfinite(detections.boxes_px).all() and np.isfinite(detections.scores).all()):
        raise AvdetError('tracker: detections: expected finite numbers, found NaN or infinity')


def require_between(name: str, value: float, low: float, high: float) -> float:
    """Check a tracker's parameter and return it."""
    return Field(float, low, high).check(value, f'tracker: {name}')
