"""Hand-made ways to say which visible vehicle sounds; a learned one has to beat them.

Without hearing, "what moves first, then what is near" is hard to beat in our simulated world, in
which parked vehicles and standing electric ones make no sound at all; a selector that does not
beat it has learned traffic. With hearing, the steered response at a box's bearing is the least.
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
    """A way to score boxes.

    Attributes:
        title: in tables.
        hears: whether it looks at the sound.
        knows: what it takes from the truth, '' for nothing.
        score: (N,) float64 from boxes, what is received, and the boxes' sides in degrees.
    """

    title: str
    hears: bool
    knows: str
    score: Callable[[SeenBoxes, Received, np.ndarray], np.ndarray]


def height_px(boxes: SeenBoxes) -> np.ndarray:
    """(N,) heights of the boxes."""
    return (boxes.boxes_px[:, 3] - boxes.boxes_px[:, 1]).astype(np.float64)


def steered(boxes: SeenBoxes, heard: Received, sides_deg: np.ndarray) -> np.ndarray:
    """(N,) the whitened response at each box, less the median over all directions."""
    above = heard.coherent - np.median(heard.coherent, axis=1, keepdims=True)
    return at_boxes(above, boxes.frame, sides_deg)


def steered_level(boxes: SeenBoxes, heard: Received, sides_deg: np.ndarray) -> np.ndarray:
    """(N,) dB, the A-weighted level from each box's directions against all the sound."""
    return at_boxes(heard.level_db, boxes.frame, sides_deg)


def steered_alone(boxes: SeenBoxes, heard: Received, sides_deg: np.ndarray) -> np.ndarray:
    """(N,) dB, `steered_level` less a third of what the best other box has."""
    own = steered_level(boxes, heard, sides_deg)
    others = best_of_others(own, boxes.frame)
    return own - np.where(np.isfinite(others), others, own) / 3


def first_then(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """(N,) those of which `first` is true before all others, each kind by `then`."""
    return np.asarray(first, bool) + ranks(then)


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) in (0, 1), equal for equal values; NaN stays NaN."""
    return rankdata(values, nan_policy='omit') / (len(values) + 1)


ROWS = (
    Row('constant', False, '', lambda boxes, heard, sides: np.zeros(len(boxes))),
    Row('height of the box', False, '', lambda boxes, heard, sides: height_px(boxes)),
    Row('nearest', False, 'distance', lambda boxes, heard, sides: -boxes.distance_m),
    Row('moves', False, 'speed', lambda boxes, heard, sides: boxes.moves.astype(float)),
    Row(
        'moves first, then nearness',
        False,
        'speed, distance',
        lambda boxes, heard, sides: first_then(boxes.moves, -boxes.distance_m),
    ),
    Row(
        'moves first, then height',
        False,
        'speed',
        lambda boxes, heard, sides: first_then(boxes.moves, height_px(boxes)),
    ),
    Row('steered response', True, '', steered),
    Row('steered level', True, '', steered_level),
    Row('steered level against the other boxes', True, '', steered_alone),
    Row(
        'steered level and height',
        True,
        '',
        lambda boxes, heard, sides: (
            ranks(steered_level(boxes, heard, sides)) + ranks(height_px(boxes))
        ),
    ),
    Row(
        'moves first, then steered level',
        True,
        'speed',
        lambda boxes, heard, sides: first_then(boxes.moves, steered_level(boxes, heard, sides)),
    ),
    Row(
        'moves first, then steered level and nearness',
        True,
        'speed, distance',
        lambda boxes, heard, sides: first_then(
            boxes.moves, ranks(steered_level(boxes, heard, sides)) + ranks(-boxes.distance_m)
        ),
    ),
)
"""All of them. What needs the truth's distance scores NaN where a teacher's box is of nothing."""


def scored(row: Row, boxes: SeenBoxes, heard: Received, sides_deg: np.ndarray) -> np.ndarray:
    """(N,) float64 scores; a box of which the row knows nothing scores as the median does."""
    scores = np.asarray(row.score(boxes, heard, sides_deg), np.float64)
    known = np.isfinite(scores)
    return np.where(known, scores, np.median(scores[known]) if known.any() else 0.0)
