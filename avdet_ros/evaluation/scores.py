"""Metrics of a detector on drives: on all data, and on parts of the data.

Parts are made by light, motion, vehicles in the image, distance and view: a part is a set of
drives, frames, or vehicles. In a part made of vehicles, the other vehicles and the boxes that
match them are left out, as COCO does with sizes. A box without a match has neither distance nor
visibility and counts as a false alarm in each such part. So AP is comparable between detectors
within a part, but not between parts: use `recall50` for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
import math
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import (
    CENTRE_SCORE,
    MATCH_IOU,
    detection_metrics,
    match,
)
from avdet_ros.evaluation.boxes.released_metrics import released_metrics
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.evaluation.tracks.metrics import TrackMetrics, track_metrics
from avdet_ros.rig import Rig
from avdet_ros.tracking import Track, Tracker

DISTANCES_M = (0, 10, 20, 40, 70)
HIDDEN_BELOW = 0.5
"""A vehicle of which the camera sees less than this share counts as hidden."""

MANY = 4
"""Frames with at least this many vehicles form one part."""

NO_TRACKING = dict.fromkeys((field.name for field in fields(TrackMetrics)), math.nan)
"""Values of the track metrics where the truth has no identities."""


@dataclass(frozen=True)
class ScoredDrive:
    """Truth, boxes and tracks of one detector on one drive, one entry a frame."""

    truth: list[TruthFrame]
    detections: list[Detections]
    tracks: list[list[Track]]
    identified: bool
    conditions: dict[str, str]


@dataclass(frozen=True)
class Part:
    """Metrics of one part of the data.

    Attributes:
        family: criterion of the division: light, motion, setting, vehicles, distance, view.
        name: name of the part, such as ``night``.
        false_alarms: boxes a frame above `CENTRE_SCORE` without a match.
        detection: `DetectionMetrics` by name.
        tracking: `TrackMetrics` by name, all NaN where the truth has no identities.
    """

    family: str
    name: str
    false_alarms: float
    detection: dict[str, float]
    tracking: dict[str, float]


def score(
    records: Sequence[DriveRecord],
    detector: str,
    rig: Rig,
    tracker: Tracker,
    parts: bool = True,
) -> dict[str, Any]:
    """Compute all metrics of one detector on these drives.

    Args:
        records: the drives.
        detector: name of the detector in the records.
        rig: defines the image size.
        tracker: links the detector's boxes.
        parts: also compute the metrics of each part.

    Returns:
        ``detection`` and ``tracking`` (the metrics by name), ``as_released`` (see
        `released_metrics`), ``false_alarms`` a frame, ``parts`` (a list, see `Part`) and
        ``milliseconds`` a window: median and 99th percentile.
    """
    size = rig.camera.width_px, rig.camera.height_px
    times = np.concatenate([record.milliseconds[detector] for record in records])
    drives = scored_drives(
        records, detector, [record.track(detector, tracker) for record in records]
    )
    whole = measure(drives, size)
    return {
        'detection': whole.detection,
        'tracking': whole.tracking,
        'as_released': released_metrics(
            [frame for drive in drives for frame in drive.truth],
            [frame for drive in drives for frame in drive.detections],
            size[0],
        ),
        'false_alarms': whole.false_alarms,
        'parts': [asdict(part) for part in break_down(drives, size)] if parts else [],
        'milliseconds': {
            'p50': float(np.median(times)) if len(times) else math.nan,
            'p99': float(np.percentile(times, 99)) if len(times) else math.nan,
        },
    }


def scored_drives(
    records: Sequence[DriveRecord], detector: str, tracks: Sequence[list[list[Track]]]
) -> list[ScoredDrive]:
    """Combine one detector's boxes and tracks on every drive with the truth."""
    return [
        ScoredDrive(
            record.truth, record.detections[detector], found, record.identified, record.conditions
        )
        for record, found in zip(records, tracks, strict=True)
    ]


def measure(
    drives: Sequence[ScoredDrive],
    image_size_px: tuple[int, int],
    family: str = '',
    name: str = 'all',
) -> Part:
    """Compute the metrics of drives without any selection."""
    truth = [frame for drive in drives for frame in drive.truth]
    detections = [frame for drive in drives for frame in drive.detections]
    alarms = [
        int(np.sum(match(confident.boxes_px, true.boxes_px, MATCH_IOU) < 0))
        for true, confident in zip(truth, (f.above(CENTRE_SCORE) for f in detections), strict=True)
    ]
    tracking = NO_TRACKING
    if all(drive.identified for drive in drives):
        scores = track_metrics(
            [drive.truth for drive in drives], [drive.tracks for drive in drives]
        )
        tracking = asdict(scores)
    return Part(
        family=family,
        name=name,
        false_alarms=float(np.mean(alarms)) if alarms else math.nan,
        detection=asdict(detection_metrics(truth, detections, image_size_px)),
        tracking=tracking,
    )


def break_down(drives: Sequence[ScoredDrive], image_size_px: tuple[int, int]) -> list[Part]:
    """Compute the metrics of every part; families without any information are left out."""
    return [
        measure(part, image_size_px, family, name) for family, name, part in _parts(list(drives))
    ]


def _parts(drives: list[ScoredDrive]) -> list[tuple[str, str, list[ScoredDrive]]]:
    parts = []
    families = dict.fromkeys(family for drive in drives for family in drive.conditions)
    for family in families:
        values = dict.fromkeys(drive.conditions.get(family, 'unknown') for drive in drives)
        for value in sorted(values):
            members = [d for d in drives if d.conditions.get(family, 'unknown') == value]
            parts.append((family, value, members))
    for count in range(MANY + 1):
        members = [_frames(drive, count) for drive in drives]
        if any(member.truth for member in members):
            parts.append(('vehicles', f'{count}' if count < MANY else f'{MANY}+', members))
    for low, high in pairwise(DISTANCES_M):
        parts.append(('distance', f'{low}-{high} m', _near(drives, low, high)))
    parts.append(('view', 'visible', _vehicles(drives, lambda f: f.visible >= HIDDEN_BELOW)))
    parts.append(('view', 'hidden', _vehicles(drives, lambda f: f.visible < HIDDEN_BELOW)))
    of_vehicles = ('distance', 'view')
    return [part for part in parts if part[0] not in of_vehicles or _boxes(part[2])]


def _boxes(drives: Sequence[ScoredDrive]) -> int:
    return sum(len(frame) for drive in drives for frame in drive.truth)


def _frames(drive: ScoredDrive, count: int) -> ScoredDrive:
    """Select the frames with `count` vehicles, in order."""
    members = [i for i, frame in enumerate(drive.truth) if min(len(frame), MANY) == count]
    return ScoredDrive(
        [drive.truth[i] for i in members],
        [drive.detections[i] for i in members],
        [drive.tracks[i] for i in members],
        drive.identified,
        drive.conditions,
    )


def _near(drives: Sequence[ScoredDrive], low: float, high: float) -> list[ScoredDrive]:
    return _vehicles(drives, lambda f: (f.distance_m >= low) & (f.distance_m < high))


def _vehicles(
    drives: Sequence[ScoredDrive], wanted: Callable[[TruthFrame], np.ndarray]
) -> list[ScoredDrive]:
    """Keep all frames, with the wanted vehicles and the boxes that match no other vehicle."""
    return [
        ScoredDrive(
            [frame.only(wanted(frame)) for frame in drive.truth],
            [
                _without_others(frame, found, wanted(frame))
                for frame, found in zip(drive.truth, drive.detections, strict=True)
            ],
            [
                _tracks_without_others(frame, found, wanted(frame))
                for frame, found in zip(drive.truth, drive.tracks, strict=True)
            ],
            drive.identified,
            drive.conditions,
        )
        for drive in drives
    ]


def _without_others(truth: TruthFrame, found: Detections, wanted: np.ndarray) -> Detections:
    keep = _keep(truth, found.boxes_px, wanted)
    return found.only(keep)


def _tracks_without_others(
    truth: TruthFrame, tracks: Sequence[Track], wanted: np.ndarray
) -> list[Track]:
    best_first = sorted(tracks, key=lambda track: -track.score)
    boxes = np.array([track.box_px for track in best_first]).reshape(-1, 4)
    keep = _keep(truth, boxes, wanted)
    return [track for track, kept in zip(best_first, keep, strict=True) if kept]


def _keep(truth: TruthFrame, boxes_px: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    matched = match(boxes_px, truth.boxes_px, MATCH_IOU)
    return np.array([index < 0 or wanted[index] for index in matched], bool)
