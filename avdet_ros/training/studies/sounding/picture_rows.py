"""Rows without learning, including rules on pictures: warmth, movement, synchrony.

The rules on pictures use nothing from the truth. The last one is the old idea of correlating
low-level movement and energy (J. Hershey and J. Movellan, "Audio vision", NIPS 1999): what comes
nearer gets louder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avdet_ros.evaluation.sounding.directions import Received, at_boxes
from avdet_ros.evaluation.sounding.hand_made import ROWS, ranks
from avdet_ros.evaluation.sounding.tables import RowScores
from avdet_ros.training.studies.sounding.selector_rows import RIGHT, Frames, hand_made_scores

TURN_DEG = 5.0
"""Motion per second relative to other boxes that counts as much as growth by a factor of e."""


@dataclass(frozen=True)
class PictureRow:
    """A rule that scores boxes by their appearance in the pictures.

    Attributes:
        title: title in tables.
        hears: whether it uses the sound.
        score: function from frames and the received sound to (N,) float64 scores.
    """

    title: str
    hears: bool
    score: Callable[[Frames, Received], np.ndarray]


def warmth(frames: Frames, sound: Received) -> np.ndarray:
    """Return (N,) kelvin above the surroundings, 0 without thermal pictures."""
    return frames.padded.flat(frames.padded.warmth[..., 0], len(frames.boxes))


def movement(frames: Frames, sound: Received) -> np.ndarray:
    """Return (N,) speeds of boxes relative to the others, plus rates of growth or shrinking."""
    motion = frames.padded.motion
    moved = motion[..., 1].abs() / TURN_DEG + motion[..., 2].abs()
    return frames.padded.flat(moved, len(frames.boxes))


def movement_and_level(frames: Frames, sound: Received) -> np.ndarray:
    """Return (N,) sums of the ranks of `movement` and of the received level."""
    level = at_boxes(sound.level_db, frames.boxes.frame, frames.sides_deg)
    return ranks(movement(frames, sound)) + ranks(level)


def synchrony(frames: Frames, sound: Received) -> np.ndarray:
    """Return (N,) growth of each box times the rise of its level over the adjacent frames."""
    frame, drive = frames.boxes.frame, frames.padded.drive.numpy()
    numbers = np.arange(len(drive))
    after, before = np.minimum(numbers + 1, len(drive) - 1), np.maximum(numbers - 1, 0)
    after = np.where(drive[after] == drive, after, numbers)
    before = np.where(drive[before] == drive, before, numbers)
    later, earlier = (
        at_boxes(sound.level_db, places[frame], frames.sides_deg) for places in (after, before)
    )
    grown = frames.padded.flat(frames.padded.motion[..., 2], len(frames.boxes))
    return grown * (later - earlier)


PICTURE_ROWS = (
    PictureRow('warm in the thermal picture', False, warmth),
    PictureRow('moves in the picture', False, movement),
    PictureRow('moves in the picture, and steered level', True, movement_and_level),
    PictureRow('grows as it gets louder', True, synchrony),
)


def picture_scores(row: PictureRow, val: Frames, test: Frames) -> RowScores:
    """Score a row with the right sound and, if it uses sound, with wrong ones."""
    names = test.sound if row.hears else (RIGHT,)
    return RowScores(
        row.title,
        row.hears,
        '',
        [row.score(val, val.sound[RIGHT])],
        {name: [row.score(test, test.sound[name])] for name in names},
        RIGHT,
    )


def rows_without_learning(val: Frames, test: Frames) -> list[RowScores]:
    """Score every row without learning: hand-made rules and rules on pictures."""
    rows = [
        RowScores(
            row.title,
            row.hears,
            row.knows,
            [hand_made_scores(row, val)[RIGHT]],
            {name: [scores] for name, scores in hand_made_scores(row, test).items()},
            RIGHT,
        )
        for row in ROWS
    ]
    return rows + [picture_scores(row, val, test) for row in PICTURE_ROWS]
