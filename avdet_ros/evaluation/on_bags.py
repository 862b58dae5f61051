"""Bags, heard window by window by several models, with the truth where a bag holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import time

import cv2
import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.bags.input_selection import select_input
from avdet_ros.bags.process import Report, spectrograms
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.show import picture_topic
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.drive_record import DriveRecord, TruthFrame
from avdet_ros.messages.decode import DETECTIONS, decode_picture
from avdet_ros.rig import Rig

TRUTH = 'truth'
"""Last name of the topic with the true boxes, as simulations record it."""


@dataclass(frozen=True)
class HeardBag:
    """What models said of a bag.

    Attributes:
        path: the bag.
        everything: all windows; its truth is empty and means nothing.
        known: the windows at whose instant the bag says what was there; None without a truth.
        start_ns: what the stamps of both count from.
        report: what happened on the way.
    """

    path: Path
    everything: DriveRecord
    known: DriveRecord | None
    start_ns: int
    report: Report


def hear_bag(
    path: Path,
    name: str,
    detectors: dict[str, Detector],
    front_end: FrontEnd,
    tick: Callable[[], None] = lambda: None,
) -> HeardBag:
    """Run models over a bag's windows, one after another so that their times are comparable.

    Args:
        path: the recording.
        name: of its records.
        detectors: models by name; their boxes hold for one and the same instant.
        front_end: computes the features.
        tick: called after each window.

    Raises:
        AvdetError: the bag has no sound, or a message is damaged.
    """
    offset_s = next(iter(detectors.values())).contract.label_offset_s
    with Bag(path) as bag:
        topic = bag.find(TRUTH, DETECTIONS)
        truth = RecordedTruth(bag, topic) if topic else None
        selection = select_input(bag, front_end, offset_s)
        report = Report(selection.topic, partial=bag.partial)
        everything, known = _empty(name, detectors), _empty(name, detectors)
        start_ns = None
        for end_ns, features in spectrograms(bag, selection, front_end, report):
            instant_ns = end_ns + round(offset_s * 1e9)
            start_ns = instant_ns if start_ns is None else start_ns
            there = truth.at(instant_ns) if truth else None
            rows = [(everything, TruthFrame.of([], []))]
            if there is not None:
                rows.append((known, TruthFrame.of(*there)))
            for record, frame in rows:
                record.stamps_s.append((instant_ns - start_ns) * 1e-9)
                record.truth.append(frame)
            for model, detector in detectors.items():
                begin = time.perf_counter()
                found = detector.detect(features)
                taken_ms = 1e3 * (time.perf_counter() - begin)
                for record, _ in rows:
                    record.detections[model].append(found)
                    record.milliseconds[model].append(taken_ms)
            report.windows += 1
            tick()
        report.partial = bag.partial
    return HeardBag(path, everything, known if known.truth else None, start_ns or 0, report)


def _empty(name: str, detectors: dict[str, Detector]) -> DriveRecord:
    return DriveRecord(
        name,
        detections={model: [] for model in detectors},
        milliseconds={model: [] for model in detectors},
    )


def bag_picture(heard: HeardBag, stamp_s: float, rig: Rig) -> np.ndarray | None:
    """The camera's picture nearest to an instant, in the rig's size; None without one near.

    Args:
        heard: the bag.
        stamp_s: as in its records.
        rig: for the size that boxes are given in.
    """
    instant_ns = heard.start_ns + round(stamp_s * 1e9)
    with Bag(heard.path) as bag:
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
        picture = decode_picture(decode(nearest[1]), f'bag {heard.path}: {topic}')
    if picture.ndim == 2:
        grey = (picture / max(float(picture.max()), 1.0) * 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    return cv2.resize(picture, (rig.camera.width_px, rig.camera.height_px))
