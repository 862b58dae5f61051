"""Frames to show in a report: a random draw, and the frames with the most errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.drawing.style import dashed_box, tag
from avdet_ros.evaluation.boxes.error_maps import classify_boxes
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame, keep_apart

RIGHT_BGR, DISPLACED_BGR, WRONG_BGR = (110, 200, 80), (40, 170, 255), (80, 80, 245)
TRUE_BGR = (240, 240, 240)

APART_S = 1.0
"""Two frames of one drive closer in time than this look the same."""


@dataclass(frozen=True)
class Sample:
    """A frame to show.

    Attributes:
        record: the drive's index.
        index: the frame's index in it.
        why: ``drawn`` at random or ``worst``.
    """

    record: int
    index: int
    why: str


def choose_samples(
    records: Sequence[DriveRecord], detector: str, count: int, seed: int = 0
) -> list[Sample]:
    """Choose half at random from the frames with a vehicle or a box, half by the most errors."""
    errors = {}
    for number, record in enumerate(records):
        for index, predicted in enumerate(record.detections[detector]):
            confident = predicted.above(CENTRE_SCORE)
            if len(confident) or len(record.truth[index]):
                errors[number, index] = classify_boxes(record.truth[index], confident).errors
    places = list(errors)
    np.random.default_rng(seed).shuffle(places)
    drawn = keep_apart(records, places, (count + 1) // 2, APART_S)
    worst = sorted(errors, key=lambda place: -errors[place])
    worst = [place for place in worst if errors[place]]
    with_errors = keep_apart(records, worst, count - len(drawn), APART_S, drawn)
    return [
        *(Sample(*place, 'drawn') for place in drawn),
        *(Sample(*place, 'worst') for place in with_errors),
    ]


def draw_sample(picture: np.ndarray, truth: TruthFrame, predicted: Detections) -> np.ndarray:
    """Draw true and found boxes on a picture, coloured by whether they are right.

    Args:
        picture: (H, W, 3) uint8 BGR, not changed.
        truth: truth of the frame.
        predicted: a detector's boxes; those above `CENTRE_SCORE` are drawn.

    Returns:
        A new picture: true boxes dashed, white if found and red if missed; found boxes green if
        right, amber if displaced and red if false, with their scores.
    """
    picture = np.ascontiguousarray(picture).copy()
    confident = predicted.above(CENTRE_SCORE)
    errors = classify_boxes(truth, confident)
    for index, box in enumerate(truth.boxes_px):
        missed = index in errors.missed
        dashed_box(picture, box, WRONG_BGR if missed else TRUE_BGR, 3)
        if missed:
            tag(picture, 'missed', (box[0], box[1]), WRONG_BGR, 0.8)
    for members, colour in (
        (errors.hits[:, 0], RIGHT_BGR),
        (errors.displaced[:, 0], DISPLACED_BGR),
        (errors.false, WRONG_BGR),
    ):
        for index in members:
            x0, y0, x1, y1 = (round(float(value)) for value in confident.boxes_px[index])
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 4)
            tag(picture, f'{confident.scores[index]:.2f}', (x0, y0), colour, 0.8)
    return picture
