"""Trackers: the same boxes, with identities."""

from __future__ import annotations

import inspect

from avdet_ros.errors import AvdetError
from avdet_ros.tracking.iou import IouTracker
from avdet_ros.tracking.motion import MotionTracker
from avdet_ros.tracking.track import Track, Tracker

TRACKERS = {'iou': IouTracker, 'motion': MotionTracker}
"""The trackers there are, by the name that parameters and commands use."""

DEFAULT_TRACKER = 'motion'
"""The tracker that is used when none is named: the better one by docs/trackers.md."""

FOR_THE_STUDENT = {
    'iou': {'start_score': 0.7, 'iou_threshold': 0.1},
    'motion': {'start_score': 0.4, 'iou_threshold': 0.2, 'coast_s': 0.0},
}
"""Thresholds for the shipped student, chosen on validation drives (docs/trackers.md). Those of the
paper, 0.8 and 0.5, are the defaults of `IouTracker` itself."""

__all__ = [
    'DEFAULT_TRACKER',
    'FOR_THE_STUDENT',
    'TRACKERS',
    'IouTracker',
    'MotionTracker',
    'Track',
    'Tracker',
    'make_tracker',
    'tracker_parameters',
]


def tracker_parameters(name: str) -> dict[str, float]:
    """The parameters of a tracker with their defaults.

    Raises:
        AvdetError: there is no tracker of that name.
    """
    if name not in TRACKERS:
        raise AvdetError(f'tracker: expected one of {", ".join(TRACKERS)}, found {name!r}')
    signature = inspect.signature(TRACKERS[name])
    defaults = {key: parameter.default for key, parameter in signature.parameters.items()}
    return {**defaults, **FOR_THE_STUDENT.get(name, {})}


def make_tracker(name: str = DEFAULT_TRACKER, **parameters: float) -> Tracker:
    """A tracker by name.

    Args:
        name: one of `TRACKERS`.
        **parameters: those of the tracker's constructor that are not to be the default.

    Raises:
        AvdetError: the name or a parameter is unknown, or a value is out of range.
    """
    known = tracker_parameters(name)
    for key in parameters:
        if key not in known:
            raise AvdetError(
                f'tracker {name}: expected parameters among {", ".join(known)}, found {key!r}'
            )
    return TRACKERS[name](**{**known, **parameters})
