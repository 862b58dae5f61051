"""What every tracker gives and takes."""

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
        track_id: ascends, never given twice between two resets of one tracker.
        box_px: (4,) float32 x_min, y_min, x_max, y_max.
        score: of the detection it was last seen with, in [0, 1].
        age_s: since its first detection.
        last_seen_s: stamp of its last detection.
        coasting: the box is predicted, nothing was detected there now.
    """

    track_id: int
    box_px: np.ndarray
    score: float
    age_s: float
    last_seen_s: float
    coasting: bool = False


class Tracker(Protocol):
    """Gives detections identities, one window after another.

    Trackers are deterministic, hold no state outside the instance and keep time in seconds of
    the stamps alone. They must be given windows without detections too: that is how a track ends.

    A tracker of this package or of another one is a class of its own, registered in `TRACKERS`
    with a ``name``, as parameters and commands have it, and optionally more attributes:
    ``for_the_student``, the parameters that differ from the constructor's defaults for the
    shipped student, chosen on validation drives (docs/trackers.md); ``needs_rig``, true if the
    constructor's first argument is the rig; ``remembers``, true if a track that was not reported
    for a while may come back under its identity.
    """

    def update(self, stamp_s: float, detections: Detections) -> list[Track]:
        """Take one window's detections.

        Args:
            stamp_s: the instant the boxes hold for. When it is earlier than the one before, as
                when a bag starts over, the tracker is reset first.
            detections: possibly none.

        Returns:
            The tracks active at that instant, by id.

        Raises:
            AvdetError: stamp or boxes are not finite numbers; nothing has changed then.
        """

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks.

        Args:
            first_id: what the next identities count from. A tracker that takes another's place
                goes on where that one ended.
        """


TRACKERS: Registry[Tracker] = Registry('tracker', 'avdet_ros.tracking')
"""Every tracker."""


def require_finite(stamp_s: float, detections: Detections) -> None:
    """Refuse an update that would poison a tracker's state."""
    if not math.isfinite(stamp_s):
        raise AvdetError(f'tracker: stamp: expected a finite time in seconds, found {stamp_s}')
    if not (np.isfinite(detections.boxes_px).all() and np.isfinite(detections.scores).all()):
        raise AvdetError('tracker: detections: expected finite numbers, found NaN or infinity')


def require_between(name: str, value: float, low: float, high: float) -> float:
    """A tracker's parameter, checked."""
    return Field(float, low, high).check(value, f'tracker: {name}')
