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
    """Return the picture after JPEG compression, as a data set stores it."""
    _, data = cv2.imencode('.jpg', colour_coded(disparity_px), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_disparities_are_recovered_from_a_jpeg():
    wanted = np.repeat(np.linspace(4, 180, 89)[:, None], 64, axis=1).repeat(4, axis=0)
    found = disparities(through_jpeg(wanted))
    assert np.median(np.abs(found - wanted)) < 1
    assert np.percentile(np.abs(found - wanted), 95) < 2.5


def test_box_disparity_is_that_of_the_object_filling_it():
    picture = np.full((300, 400), 8.0)
    picture[100:200, 50:150] = 40.0
    picture[:50] = 0
    boxes = [[45, 90, 155, 205], [200, 100, 220, 110], [10, 5, 60, 40], [300, 40, 320, 60]]
    found = box_disparities(through_jpeg(picture), np.array(boxes))
    assert found[:2] == pytest.approx([40, 8], abs=1)
    assert np.isnan(found[2])
    assert found[3] == pytest.approx(8, abs=1)
    assert box_disparities(through_jpeg(picture), np.zeros((0, 4))).shape == (0,)
    # With coordinates as bytes, the sum of two of them would overflow.
    (small,) = box_disparities(through_jpeg(picture), np.array([boxes[0]], np.uint8))
    assert small == found[0]


def test_box_disparity_needs_30_percent_of_the_box_centre():
    """In a box of 40 x 20, the centre is columns 10 to 30 and rows 5 to 15."""
    for known, there in ((60, True), (59, False)):
        disparity = np.full((40, 60), 0.0)
        disparity[12:32, 10:50] = 100.0  # the box except its centre
        middle = np.zeros(200)
        middle[:known] = 30.0
        disparity[17:27, 20:40] = middle.reshape(10, 20)
        (found,) = box_disparities(colour_coded(disparity), np.array([[10, 12, 50, 32]]))
        assert np.isnan(found) != there
        if there:
            assert found == pytest.approx(30, abs=1)


def test_tiny_boxes_and_boxes_at_the_edge_get_a_disparity():
    disparity = np.full((40, 60), 20.0)
    disparity[:, 30:] = 80.0
    boxes = np.array([[5, 5, 5.5, 5.5], [54, 33, 62, 43], [-8, -6, 10, 8], [70, 10, 90, 20]])
    found = box_disparities(colour_coded(disparity), boxes)
    assert found[:3] == pytest.approx([20, 80, 20], abs=1)
    assert np.isnan(found[3])


def test_disparities_below_three_pixels_are_unknown():
    boxes = np.array([[0, 0, 20, 20]])
    assert np.isnan(box_disparities(colour_coded(np.full((20, 20), 2.0)), boxes)[0])
    assert box_disparities(colour_coded(np.full((20, 20), 4.6)), boxes)[0] == pytest.approx(
        4.6, abs=1
    )
