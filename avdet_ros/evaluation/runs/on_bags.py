"""Runs of models on bags, window by window, with the truth where a bag holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.bags.input_selection import select_input
from avdet_ros.bags.process import Report, spectrograms
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.show import picture_topic
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.runs.detectors import (
    UNKNOWN_STATE,
    DriveState,
    ModelDetector,
    StateCount,
    any_steered,
    detect_window,
)
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.messages.decode import DETECTIONS, decode_picture
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig

TRUTH = 'truth'
"""Last name of the topic with the true boxes, as simulations record it."""


@dataclass(frozen=True)
class BagRecords:
    """Detections of several models on a bag.

    Attributes:
        path: the bag.
        all_windows: all windows, without truth.
        with_truth: the windows that have truth in the bag; None without any.
        start_ns: time from which the stamps of both are counted.
        report: report of the processing: gaps, restarts, damage.
        state_counts: counts of the inputs of steered models; None without such a model.
    """

    path: Path
    all_windows: DriveRecord
    with_truth: DriveRecord | None
    start_ns: int
    report: Report
    state_counts: StateCount | None = None


def run_on_bag(
    path: Path,
    name: str,
    models: dict[str, Detector],
    front_end: FrontEnd,
    rig: Rig,
    progress: Progress = SILENT,
) -> BagRecords:
    """Run models over a bag's windows, one after another so that their times are comparable.

    Models for any array receive the bag's speed and air temperature, see `BagMotion`.

    Args:
        path: the recording.
        name: name of the records.
        models: models by name; the boxes of all hold for the same instant.
        front_end: computes the features.
        rig: rig of the vehicle; the bag's odometry refers to its frame.
        progress: shows how many windows are done.

    Raises:
        AvdetError: the bag has no sound, or a message is damaged.
    """
    offset_s = next(iter(models.values())).contract.label_offset_s
    detectors = {model: ModelDetector(detector) for model, detector in models.items()}
    with Bag(path) as bag, progress.step(name) as advance:
        topic = bag.find(TRUTH, DETECTIONS)
        truth = RecordedTruth(bag, topic) if topic else None
        selection = select_input(bag, front_end, offset_s)
        report = Report(selection.topic, partial=bag.partial)
        motion, state = None, UNKNOWN_STATE
        state_counts = StateCount() if any_steered(detectors) else None
        if state_counts is not None:
            motion = BagMotion(bag, selection.topic, rig.frame_id, front_end.window_s)
        all_windows, windows_with_truth = (DriveRecord.empty(name, detectors) for _ in range(2))
        start_ns = None
        for end_ns, features in spectrograms(bag, selection, front_end, report):
            instant_ns = end_ns + round(offset_s * 1e9)
            start_ns = instant_ns if start_ns is None else start_ns
            true_boxes = truth.at(instant_ns) if truth else None
            stamp_s = (instant_ns - start_ns) * 1e-9
            if motion is not None and state_counts is not None:
                state = DriveState(*motion.known_at(end_ns))
                state_counts.add(state)
            result = detect_window(detectors, None, features, state)
            all_windows.add_window(stamp_s, TruthFrame.of([], []), result)
            if true_boxes is not None:
                windows_with_truth.add_window(stamp_s, TruthFrame.of(*true_boxes), result)
            report.windows += 1
            advance()
        report.partial = bag.partial
    with_truth = windows_with_truth if windows_with_truth.truth else None
    return BagRecords(path, all_windows, with_truth, start_ns or 0, report, state_counts)


def bag_picture(records: BagRecords, stamp_s: float, rig: Rig) -> np.ndarray | None:
    """Return the camera's picture nearest to an instant, in the rig's size; None if none is near.

    Args:
        records: result of `run_on_bag`.
        stamp_s: stamp of a window of the records.
        rig: defines the image size that boxes refer to.
    """
    instant_ns = records.start_ns + round(stamp_s * 1e9)
    with Bag(records.path) as bag:
        topic = picture_topic(bag)
        nearest = None
        for message in bag.messages([topic]) if topic else ():
            apart_ns = abs(message.stamp_ns - instant_ns)
            if apart_ns < 500_000_000 and (nearest is None or apart_ns < nearest[0]):
                nearest = apart_ns, message
            elif nearest is not None:
                break
        if nearest is None:
            return None
        picture = decode_picture(decode(nearest[1]), f'bag {records.path}: {topic}')
    if picture.ndim == 2:
        grey = (picture / max(float(picture.max()), 1.0) * 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    return cv2.resize(picture, (rig.camera.width_px, rig.camera.height_px))
