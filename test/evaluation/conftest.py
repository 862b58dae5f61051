"""Drives whose detections are the truth with known errors."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.record import DriveRecord, TruthFrame
from avdet_ros.rig import load_rig


@pytest.fixture(scope='session')
def rig():
    return load_rig()


def imperfect(frame, rng, shift_px, missed, score=0.9):
    boxes = frame.boxes_px[rng.random(len(frame)) >= missed]
    boxes = boxes + rng.normal(0, shift_px, (len(boxes), 1)) * [1, 0, 1, 0]
    scores = np.sort(np.clip(rng.normal(score, 0.05, len(boxes)), 0, 1))[::-1]
    return Detections(boxes.astype(np.float32), scores.astype(np.float32))


def make_drive(seed, errors, windows=40):
    """Vehicles that cross the image; ``errors`` maps a detector to (shift, missed)."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    start, speed = rng.uniform(0, 1400, count), rng.uniform(-150, 150, count)
    record = DriveRecord(f'seed {seed}', detections={name: [] for name in errors})
    for index in range(windows):
        left = start + speed * index / 10
        boxes = np.stack([left, 300 + 0 * left, left + 220, 400 + 0 * left], axis=1)
        truth = TruthFrame(
            boxes, np.arange(count), rng.uniform(5, 60, count), rng.uniform(0, 1, count)
        )
        record.stamps_s.append(0.5 + index / 10)
        record.truth.append(truth)
        for name, (shift_px, missed) in errors.items():
            record.detections[name].append(imperfect(truth, rng, shift_px, missed))
            record.milliseconds.setdefault(name, []).append(1.0)
    return record


@pytest.fixture(scope='session')
def drive():
    return make_drive
