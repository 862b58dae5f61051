"""Rules that look at pictures, on two boxes of three frames."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.training.studies.sounding.picture_rows import PICTURE_ROWS, movement, synchrony


@pytest.fixture
def two():
    """Two drives; the middle frame has a box at the left that grows and one that stands."""
    level = np.full((4, len(AZIMUTHS_DEG)), -30.0)
    level[2, AZIMUTHS_DEG > 10] = -20
    level[0, AZIMUTHS_DEG > 10] = -34
    level[3] = 0  # of another drive
    motion = torch.tensor([[[8.0, 10.0, 0.5], [0.0, 0.0, 0.0]]])
    padded = SimpleNamespace(
        motion=motion,
        drive=torch.tensor([0, 0, 0, 1]),
        flat=lambda values, many: values[0].numpy(),
    )
    boxes = type('Boxes', (), {'frame': np.array([1, 1]), '__len__': lambda self: 2})()
    sides = np.array([[24.0, 20.0], [-20.0, -24.0]])
    return SimpleNamespace(padded=padded, boxes=boxes, sides_deg=sides), level


def test_what_grows_and_turns_moves(two):
    frames, _ = two
    assert movement(frames, None).tolist() == [2.5, 0.0]


def test_what_grows_as_it_gets_louder_is_in_step(two):
    frames, level = two
    heard = SimpleNamespace(level_db=level)
    assert synchrony(frames, heard).tolist() == [0.5 * 14, 0.0]
    frames.boxes.frame = np.array([2, 2])
    assert synchrony(frames, heard)[0] == pytest.approx(0.5 * 10), 'nothing of the next drive'


def test_rows_have_names_of_their_own():
    assert len({row.title for row in PICTURE_ROWS}) == len(PICTURE_ROWS)
