"""False vehicles: what is tracked on roads that nobody else drives on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avdet_ros.evaluation.drive_record import DriveRecord
from avdet_ros.evaluation.window_store import Cut
from avdet_ros.tracking import Tracker

QUIET_CUT = Cut(windows=0, seconds=20.0, rate_hz=10.0)
"""Of drives without vehicles: whole stretches, since a tracker needs what comes one after the
other."""


def quiet_drives(minutes: float) -> int:
    """How many drives of `QUIET_CUT` make so many minutes of windows."""
    a_drive_s = QUIET_CUT.seconds - 1.0 + 1 / QUIET_CUT.rate_hz
    return max(round(60 * minutes / a_drive_s), 1)


def quiet_scores(
    records: Sequence[DriveRecord], detector: str, tracker: Tracker, rate_hz: float
) -> dict[str, Any]:
    """Count what one detector's boxes make a tracker report where there is nobody.

    Args:
        records: drives without a vehicle.
        detector: its name in them.
        tracker: links its boxes.
        rate_hz: windows a second.

    Returns:
        ``minutes`` listened to, ``vehicles`` tracked, these ``a_minute``, and ``shown``, the share
        of the windows with at least one.
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
    }
