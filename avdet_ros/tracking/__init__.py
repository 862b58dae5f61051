"""Trackers, which add identities to boxes. A new tracker is one class in a file of this folder."""

from __future__ import annotations

from collections.abc import Callable
import inspect
import logging

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import did_you_mean
from avdet_ros.rig import Rig
from avdet_ros.tracking.ground import GroundTracker
from avdet_ros.tracking.ground_track import GroundTrack
from avdet_ros.tracking.iou import IouTracker
from avdet_ros.tracking.motion import MotionTracker
from avdet_ros.tracking.track import TRACKERS, Track, Tracker

DEFAULT_TRACKER = MotionTracker.name
"""Default tracker: the better one by docs/trackers.md."""

RENAMED = {
    'start_score': 'new_track_threshold',
    'sure_score': 'high_threshold',
    'weak_score': 'low_threshold',
}
"""Old names of parameters, which `make_tracker` still accepts."""

__all__ = [
    'DEFAULT_TRACKER',
    'TRACKERS',
    'GroundTrack',
    'GroundTracker',
    'IouTracker',
    'MotionTracker',
    'Track',
    'Tracker',
    'make_tracker',
    'tracker_parameters',
]

_logger = logging.getLogger(__name__)


def tracker_parameters(name: str) -> dict[str, float]:
    """Return the parameters of a tracker with their defaults for the shipped student.

    The thresholds of the paper, 0.8 and 0.5, are the defaults of `IouTracker` itself.

    Raises:
        AvdetError: there is no tracker of that name.
    """
    kind = TRACKERS.find(name)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(kind).parameters.items()
        if isinstance(parameter.default, int | float)
    }
    return {**defaults, **getattr(kind, 'for_the_student', {})}


def make_tracker(
    name: str = DEFAULT_TRACKER, rig: Rig | None = None, **parameters: float
) -> Tracker:
    """Create a tracker by name.

    Args:
        name: one of `TRACKERS`.
        rig: for trackers that need it (`needs_rig`); None for the package's own.
        **parameters: constructor parameters that differ from their defaults.

    Raises:
        AvdetError: the name or a parameter is unknown, or a value is out of range.
    """
    values = tracker_parameters(name)
    known = tuple(values)
    for key, value in parameters.items():
        if key not in known and RENAMED.get(key) in known:
            _logger.warning('tracker %s: parameter %s is now %s', name, key, RENAMED[key])
            key = RENAMED[key]
        if key not in known:
            raise AvdetError(
                f'tracker {name}: expected parameters among {", ".join(known)}, '
                f'found {key!r}{did_you_mean(key, known)}'
            )
        values[key] = value
    kind: Callable[..., Tracker] = TRACKERS.find(name)
    return kind(rig, **values) if getattr(kind, 'needs_rig', False) else kind(**values)
