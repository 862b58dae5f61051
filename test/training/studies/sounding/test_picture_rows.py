"""Rules on pictures, applied to two boxes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.training.studies.sounding.picture_rows import PICTURE_ROWS, movement, synchrony


@pytest.fixture
def two_boxes():
    """Two drives; one frame has a growing box on the left and a still one on the right."""
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


def test_movement_adds_growth_and_turning(two_boxes):
    frames, _ = two_boxes
    assert movement(frames, None).tolist() == [2.5, 0.0]


def test_synchrony_is_growth_times_rise_in_level(two_boxes):
    frames, level = two_boxes
    heard = SimpleNamespace(level_db=level)
    assert synchrony(frames, heard).tolist() == [0.5 * 14, 0.0]
    frames.boxes.frame = np.array([2, 2])
    assert synchrony(frames, heard)[0] == pytest.approx(0.5 * 10), 'the next drive is not used'


def test_row_titles_are_unique():
    assert len({row.title for row in PICTURE_ROWS}) == len(PICTURE_ROWS)
