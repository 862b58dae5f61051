"""Boxes on a picture are drawn, and unusual input is accepted."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.drawing.picture import Box, Painter, View


@pytest.fixture
def painter(rig):
    return Painter(rig)


def test_box_at_image_corner_is_drawn(painter):
    corner = Box(np.array([1890.0, -5.0, 1960.0, 60.0]), 3, 0.5)
    plain = painter.paint(View())
    picture = painter.paint(View(tracks=[corner]))
    changed = np.argwhere((picture != plain).any(axis=2))
    assert len(changed)
    assert picture.shape == plain.shape


@pytest.mark.parametrize(
    'box', [[0, 0, 0, 0], [-50, -50, -10, -10], [3000, 3000, 4000, 4000], [500, 500, 400, 400]]
)
def test_empty_outside_and_inverted_boxes_are_accepted(painter, box):
    painter.paint(
        View(tracks=[Box(np.array(box, float), 1)], truth=[Box(np.array(box, float), 2)])
    )


def test_image_of_another_size_is_resized(painter):
    image = np.full((325, 960, 3), 90, np.uint8)
    picture = painter.paint(View(image=image))
    assert picture.shape == (650, 1920, 3)
    assert tuple(picture[300, 300]) == (90, 90, 90)
