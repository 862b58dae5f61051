"""Scores of detectors over drives: boxes, tracks, and where the errors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import math
from typing import Any

import numpy as np

from avdet_ros.evaluation.breakdown import break_down, measure, prepare
from avdet_ros.evaluation.drive_record import DriveRecord
from avdet_ros.rig import Rig
from avdet_ros.tracking import Tracker


def score(
    records: Sequence[DriveRecord],
    detector: str,
    rig: Rig,
    tracker: Tracker,
    parts: bool = True,
) -> dict[str, Any]:
    """All metrics of one detector on these drives.

    Args:
        records: the drives.
        detector: its name in the records.
        rig: for the image's size.
        tracker: links its boxes.
        parts: break the metrics down too.

    Returns:
        ``detection`` and ``tracking`` (the metrics by name), ``false_alarms`` a frame, ``parts``
        (a list, see `breakdown.Part`) and ``milliseconds`` a window: median and 99th percentile.
    """
    size = rig.camera.width_px, rig.camera.height_px
    times = np.concatenate([record.milliseconds[detector] for record in records])
    drives = prepare(records, detector, [record.track(detector, tracker) for record in records])
    whole = measure(drives, size)
    return {
        'detection': whole.detection,
        'tracking': whole.tracking,
        'false_alarms': whole.false_alarms,
        'parts': [asdict(part) for part in break_down(drives, size)] if parts else [],
        'milliseconds': {
            'p50': float(np.median(times)) if len(times) else math.nan,
            'p99': float(np.percentile(times, 99)) if len(times) else math.nan,
        },
    }


def jsonable(value: Any) -> Any:
    """Numbers, lists and mappings as JSON has them: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
