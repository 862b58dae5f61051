"""Hand-made selectors of the visible vehicles that sound; a learned selector has to beat them.

Without sound, the order "moving vehicles first, then near ones" is hard to beat in our simulated
world, in which parked vehicles and standing electric ones make no sound at all. A selector that
does not beat it has learned traffic. With sound, the steered response at a box's bearing is the
minimum to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from avdet_ros.evaluation.sounding.boxes import SeenBoxes
from avdet_ros.evaluation.sounding.directions import Received, at_boxes, best_of_others


@dataclass(frozen=True)
class Row:
    """A hand-made selector.

    Attributes:
        title: name in tables.
        hears: whether it uses the sound.
        knows: values that it takes from the truth, '' for none.
        score: computes (N,) float64 from boxes, received sound, and the boxes' sides in degrees.
    """

    title: str
    hears: bool
    knows: str
    score: Callable[[SeenBoxes, Received, np.ndarray], np.ndarray]


def height_px(boxes: SeenBoxes) -> np.ndarray:
    """Return the (N,) heights of the boxes."""
    return (boxes.boxes_px[:, 3] - boxes.boxes_px[:, 1]).astype(np.float64)


def steered(boxes: SeenBoxes, received: Received, sides_deg: np.ndarray) -> np.ndarray:
    """Return the (N,) whitened responses at the boxes, minus the median over all directions."""
    above = received.coherent - np.median(received.coherent, axis=1, keepdims=True)
    return at_boxes(above, boxes.frame, sides_deg)


def steered_level(boxes: SeenBoxes, received: Received, sides_deg: np.ndarray) -> np.ndarray:
    """Return the (N,) A-weighted levels from the boxes' directions relative to all sound, dB."""
    return at_boxes(received.level_db, boxes.frame, sides_deg)


def steered_alone(boxes: SeenBoxes, received: Received, sides_deg: np.ndarray) -> np.ndarray:
    """Return `steered_level` minus a third of the best other box's level, (N,) dB."""
    levels = steered_level(boxes, received, sides_deg)
    others = best_of_others(levels, boxes.frame)
    return levels - np.where(np.isfinite(others), others, levels) / 3


def first_then(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Return (N,) scores that rank boxes where `first` is true above others, then by `then`."""
    return np.asarray(first, bool) + ranks(then)


def ranks(values: np.ndarray) -> np.ndarray:
    """Return (N,) ranks in (0, 1), equal for equal values; NaN stays NaN."""
    return rankdata(values, nan_policy='omit') / (len(values) + 1)


ROWS = (
    Row('constant', False, '', lambda boxes, received, sides: np.zeros(len(boxes))),
    Row('height of the box', False, '', lambda boxes, received, sides: height_px(boxes)),
    Row('nearest', False, 'distance', lambda boxes, received, sides: -boxes.distance_m),
    Row('moves', False, 'speed', lambda boxes, received, sides: boxes.moves.astype(float)),
    Row(
        'moves first, then nearness',
        False,
        'speed, distance',
        lambda boxes, received, sides: first_then(boxes.moves, -boxes.distance_m),
    ),
    Row(
        'moves first, then height',
        False,
        'speed',
        lambda boxes, received, sides: first_then(boxes.moves, height_px(boxes)),
    ),
    Row('steered response', True, '', steered),
    Row('steered level', True, '', steered_level),
    Row('steered level against the other boxes', True, '', steered_alone),
    Row(
        'steered level and height',
        True,
        '',
        lambda boxes, received, sides: (
            ranks(steered_level(boxes, received, sides)) + ranks(height_px(boxes))
        ),
    ),
    Row(
        'moves first, then steered level',
        True,
        'speed',
        lambda boxes, received, sides: first_then(
            boxes.moves, steered_level(boxes, received, sides)
        ),
    ),
    Row(
        'moves first, then steered level and nearness',
        True,
        'speed, distance',
        lambda boxes, received, sides: first_then(
            boxes.moves, ranks(steered_level(boxes, received, sides)) + ranks(-boxes.distance_m)
        ),
    ),
)
"""All selectors. Those that need the true distance score NaN for teachers' boxes of no vehicle."""


def scored(row: Row, boxes: SeenBoxes, received: Received, sides_deg: np.ndarray) -> np.ndarray:
    """Return (N,) float64 scores; boxes that the row cannot score get the median score."""
    scores = np.asarray(row.score(boxes, received, sides_deg), np.float64)
    finite = np.isfinite(scores)
    return np.where(finite, scores, np.median(scores[finite]) if finite.any() else 0.0)
