"""Bearings of found and true boxes, seen from the camera of their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.metrics import FoundBearings, TrueBearings
from avdet_ros.evaluation.bearings.scores import Windows
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.rig import Rig


@dataclass(frozen=True)
class WindowRecord:
    """Boxes of every detector on one drive.

    Attributes:
        record: truth and boxes.
        rig: contents of the rig file; the boxes are in the image of its camera.
    """

    record: DriveRecord
    rig: Rig


def found_bearings(detections: Detections, rig: Rig) -> FoundBearings:
    """Compute the bearings of boxes, seen from the rig's camera."""
    range_m = detections.range_m
    return FoundBearings(
        box_azimuth_deg(detections.boxes_px, rig),
        np.asarray(detections.scores, np.float64),
        None if range_m is None else np.asarray(range_m, np.float64),
    )


def true_bearings(truth: TruthFrame, rig: Rig) -> TrueBearings:
    """Compute the bearings of true boxes, seen from the rig's camera."""
    return TrueBearings(
        box_azimuth_deg(truth.boxes_px, rig), truth.distance_m, truth.level_db, truth.visible
    )


def box_azimuth_deg(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """Return the (N,) azimuths of the centres of (N, 4) boxes from the camera, left positive."""
    boxes = np.asarray(boxes_px, np.float64).reshape(-1, 4)
    rays = rig.camera.directions((boxes[:, :2] + boxes[:, 2:]) / 2)
    return np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))


def bearings_of(records: Sequence[WindowRecord], detector: str) -> list[Windows]:
    """Return one detector's found bearings and the true ones, seen from each drive's camera."""
    drives: list[Windows] = []
    for window_record in records:
        windows = zip(
            window_record.record.detections[detector], window_record.record.truth, strict=True
        )
        drives.append(
            [
                (found_bearings(found, window_record.rig), true_bearings(truth, window_record.rig))
                for found, truth in windows
            ]
        )
    return drives
