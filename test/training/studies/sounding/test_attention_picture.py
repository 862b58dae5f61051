"""The attention picture shows an audible vehicle next to a silent one."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.evaluation.sounding.boxes import AUDIBLE, MASKED, SILENT
from avdet_ros.training.studies.sounding.attention_picture import draw_attention, example_frame


def seen_boxes(*boxes):
    """Make boxes from (frame, state, height) rows."""
    frame, state, height = (np.array(part) for part in zip(*boxes, strict=True))
    boxes_px = np.stack([0 * height + 200, 300 - height, 0 * height + 400, 0 * height + 300], 1)
    frames = [layout.make_id('drive_day_1', 1_900_000_000_000_000_000 + i) for i in range(3)]
    return SimpleNamespace(frame=frame, state=state, boxes_px=boxes_px, frames=frames)


def test_chosen_frame_has_the_largest_pair_of_audible_and_silent_boxes():
    boxes = seen_boxes(
        (0, AUDIBLE, 90), (0, MASKED, 80), (1, AUDIBLE, 40), (1, SILENT, 50), (2, SILENT, 99)
    )
    assert example_frame(boxes) == 1
    assert example_frame(seen_boxes((0, AUDIBLE, 90), (1, SILENT, 90))) is None


def test_attention_picture_is_drawn(tmp_path):
    boxes = seen_boxes((1, AUDIBLE, 40), (1, SILENT, 50))
    (tmp_path / 'drive_day_1' / 'fl_rgb').mkdir(parents=True)
    grey = np.full((650, 1920, 3), 90, np.uint8)
    cv2.imwrite(str(layout.picture_path(tmp_path, boxes.frames[1], 'rgb', '.jpg')), grey)
    heat = np.zeros((3, 8, 24))
    heat[1, 4, 20] = 0.3
    path = tmp_path / 'out' / 'attention.jpg'
    assert draw_attention(tmp_path, boxes, heat, path)
    drawn = cv2.imread(str(path))
    assert drawn.shape == (650, 960, 3)
    assert drawn[325 + 182, 820].mean() > drawn[325 + 182, 300].mean() + 50
    assert not draw_attention(tmp_path, seen_boxes((0, AUDIBLE, 90)), heat, path)
