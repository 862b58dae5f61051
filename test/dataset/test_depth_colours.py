"""Disparity as colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avdet_ros.dataset.depth_colours import box_disparities, colour_coded, disparities


def test_disparity_colours_are_jet() -> None:
    colours = colour_coded(np.array([[0.0, 96.0, 192.0, 500.0]], np.float32))
    assert colours[0, 0].tolist() == [128, 0, 0]  # dark blue, BGR
    assert colours[0, 1, 1] > 240
    assert colours[0, 2].tolist() == colours[0, 3].tolist() == [0, 0, 128]


def through_jpeg(disparity_px: np.ndarray) -> np.ndarray:
    """The picture as a data set keeps it."""
    _, data = cv2.imencode('.jpg', colour_coded(disparity_px), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_disparities_come_back_out_of_a_jpeg():
    wanted = np.repeat(np.linspace(4, 180, 89)[:, None], 64, axis=1).repeat(4, axis=0)
    found = disparities(through_jpeg(wanted))
    assert np.median(np.abs(found - wanted)) < 1
    assert np.percentile(np.abs(found - wanted), 95) < 2.5


def test_a_box_is_as_far_away_as_what_fills_it():
    picture = np.full((300, 400), 8.0)
    picture[100:200, 50:150] = 40.0
    picture[:50] = 0
    boxes = [[45, 90, 155, 205], [200, 100, 220, 110], [10, 5, 60, 40], [300, 40, 320, 60]]
    found = box_disparities(through_jpeg(picture), np.array(boxes))
    assert found[:2] == pytest.approx([40, 8], abs=1)
    assert np.isnan(found[2])
    assert found[3] == pytest.approx(8, abs=1)
    assert box_disparities(through_jpeg(picture), np.zeros((0, 4))).shape == (0,)
