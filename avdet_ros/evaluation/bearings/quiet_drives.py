"""False vehicles: tracks on roads without other vehicles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avdet_ros.evaluation.bearings.score_thresholds import false_boxes
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.runs.window_store import Cut
from avdet_ros.tracking import Tracker

QUIET_CUT = Cut(windows=0, seconds=20.0, rate_hz=10.0)
"""Cut for drives without vehicles: whole drives, since a tracker needs consecutive windows."""


OTHER_CUT = Cut(windows=0, seconds=10.0, rate_hz=10.0)
"""Cut for such drives with one other sound in view: shorter, to include many sounds."""

OTHER_DB = (0.0, 10.0)
"""Levels of that sound relative to all other sound."""


def quiet_drives(minutes: float, cut: Cut = QUIET_CUT) -> int:
    """Return how many drives of a cut are needed for `minutes` of windows."""
    drive_s = cut.seconds - 1.0 + 1 / cut.rate_hz
    return max(round(60 * minutes / drive_s), 1)


def quiet_scores(
    records: Sequence[DriveRecord], detector: str, tracker: Tracker, rate_hz: float
) -> dict[str, Any]:
    """Count the tracks that one detector's boxes make on empty roads.

    Args:
        records: drives without a vehicle.
        detector: name in the records.
        tracker: links its boxes.
        rate_hz: windows a second.

    Returns:
        ``minutes`` of drives, number of tracked ``vehicles``, the same ``a_minute``, ``shown``,
        the share of windows with at least one track, and ``false_boxes`` a minute by score.
    """
    windows = vehicles = shown = 0
    for record in records:
        frames = record.track(detector, tracker)
        windows += len(frames)
        shown += sum(bool(frame) for frame in frames)
        vehicles += len({track.track_id for frame in frames for track in frame})
    minutes = windows / rate_hz / 60
    return {
        'minutes': minutes,
        'vehicles': vehicles,
        'a_minute': vehicles / minutes,
        'shown': shown / windows,
        'false_boxes': false_boxes(
            [detections for drive in records for detections in drive.detections[detector]]
        ),
    }
