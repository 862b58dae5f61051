"""Truth and detections of one drive, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.runs.detectors import WindowResult
from avdet_ros.tracking import Track, Tracker


@dataclass(frozen=True)
class TruthFrame:
    """Vehicles that should be reported at one instant.

    Attributes:
        boxes_px: (N, 4) float64.
        ids: (N,) int64, a vehicle's identity within its drive; -1 where unknown.
        distance_m: (N,) float64, NaN where unknown.
        visible: (N,) float64, the share of the vehicle that the camera sees, NaN where unknown.
        level_db: (N,) float64, A-weighted level relative to all other sound, NaN where unknown;
            None if all are unknown.
    """

    boxes_px: np.ndarray
    ids: np.ndarray
    distance_m: np.ndarray
    visible: np.ndarray
    level_db: np.ndarray = None  # type: ignore[assignment]  # filled below

    def __post_init__(self) -> None:
        """Fill missing levels with NaN."""
        if self.level_db is None:
            object.__setattr__(self, 'level_db', np.full(len(self.ids), np.nan))

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, wanted: np.ndarray) -> TruthFrame:
        """Keep the vehicles of an (N,) mask."""
        return TruthFrame(
            self.boxes_px[wanted],
            self.ids[wanted],
            self.distance_m[wanted],
            self.visible[wanted],
            self.level_db[wanted],
        )

    @staticmethod
    def of(boxes_px: ArrayLike, ids: ArrayLike) -> TruthFrame:
        """Make a frame that has only boxes and identities."""
        known = np.asarray(ids, np.int64).reshape(-1)
        unknown = np.full(len(known), np.nan)
        return TruthFrame(
            np.asarray(boxes_px, np.float64).reshape(-1, 4),
            known,
            unknown,
            unknown,
        )


@dataclass
class DriveRecord:
    """One drive's windows: truth and the detections of every detector.

    Attributes:
        name: name of the drive.
        stamps_s: instants the boxes hold for.
        truth: one frame an instant.
        detections: by detector, one entry an instant.
        milliseconds: by detector, the inference time of each window.
        conditions: properties of the whole drive, as ``{'light': 'night', 'motion': 'static'}``.
    """

    name: str
    stamps_s: list[float] = field(default_factory=list)
    truth: list[TruthFrame] = field(default_factory=list)
    detections: dict[str, list[Detections]] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def empty(
        name: str, detectors: Iterable[str], conditions: dict[str, str] | None = None
    ) -> DriveRecord:
        """Make a drive without windows yet.

        Args:
            name: name of the drive.
            detectors: names of the detectors to run on it.
            conditions: see the class.
        """
        names = list(detectors)
        return DriveRecord(
            name,
            detections={detector: [] for detector in names},
            milliseconds={detector: [] for detector in names},
            conditions=conditions or {},
        )

    def add_window(self, stamp_s: float, truth: TruthFrame, result: WindowResult) -> None:
        """Append one window.

        Args:
            stamp_s: instant its boxes hold for.
            truth: vehicles at that instant.
            result: results of every detector.
        """
        self.stamps_s.append(stamp_s)
        self.truth.append(truth)
        for name, found in result.detections.items():
            self.detections[name].append(found)
            self.milliseconds[name].append(result.milliseconds[name])

    @property
    def identified(self) -> bool:
        """Whether every true box has an identity, which track metrics need."""
        return all(bool(np.all(frame.ids >= 0)) for frame in self.truth)

    def every(self, step: int) -> DriveRecord:
        """Return the same drive with only every step-th window."""
        return DriveRecord(
            self.name,
            self.stamps_s[::step],
            self.truth[::step],
            {name: frames[::step] for name, frames in self.detections.items()},
            {name: times[::step] for name, times in self.milliseconds.items()},
            self.conditions,
        )

    def pieces(self, length_s: float) -> list[DriveRecord]:
        """Cut the drive into pieces of at least `length_s`; the last one takes the rest."""
        stamps = np.array(self.stamps_s)
        count = int((stamps[-1] - stamps[0]) / length_s) if len(stamps) else 0
        if count < 2:
            return [self]
        edges = np.searchsorted(stamps, stamps[0] + length_s * np.arange(1, count))
        cuts = [0, *map(int, edges), len(stamps)]
        return [
            DriveRecord(
                f'{self.name} {stamps[first]:.0f} s',
                self.stamps_s[first:last],
                self.truth[first:last],
                {name: frames[first:last] for name, frames in self.detections.items()},
                {name: times[first:last] for name, times in self.milliseconds.items()},
                self.conditions,
            )
            for first, last in pairwise(cuts)
        ]

    def track(self, detector: str, tracker: Tracker) -> list[list[Track]]:
        """Reset a tracker and run it over one detector's boxes."""
        tracker.reset()
        return [
            tracker.update(stamp_s, detections)
            for stamp_s, detections in zip(self.stamps_s, self.detections[detector], strict=True)
        ]


def keep_apart(
    records: Sequence[DriveRecord],
    places: Iterable[tuple[int, int]],
    count: int,
    apart_s: float,
    others: Sequence[tuple[int, int]] = (),
) -> list[tuple[int, int]]:
    """Choose the first windows, no two of one drive close together, as those look the same.

    Args:
        records: the drives.
        places: (drive, window) indices, best first.
        count: maximum number of windows.
        apart_s: minimum distance in time.
        others: windows that are already chosen.
    """
    chosen: list[tuple[int, int]] = []
    for drive, window in places:
        stamps_s = records[drive].stamps_s
        if len(chosen) < count and not any(
            other == drive and abs(stamps_s[at] - stamps_s[window]) < apart_s
            for other, at in (*chosen, *others)
        ):
            chosen.append((drive, window))
    return chosen
