"""Ranges of boxes on a flat road, against hand calculations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.detection.road_ranges import ranges_on_road


def test_range_is_that_of_the_vehicle_centre(rig):
    """The camera is 1.55 m high and level: 100 px below the middle are 15.5 m ahead of it."""
    boxes = np.array([[860.0, 250, 1060, 400], [1060, 250, 1260, 400], [860, 300, 1060, 350]])
    ahead = rig.camera.position_m[0] - rig.array_position_m[0]
    places = [(ahead + 15.5, 0.0), (ahead + 15.5, 3.1), (ahead + 31.0, 0.0)]
    expected = [np.sqrt(x**2 + y**2 + rig.array_position_m[2] ** 2) + 1.6 for x, y in places]
    assert ranges_on_road(boxes, rig) == pytest.approx(expected)


def test_ranges_are_limited_to_3_to_100_metres(rig):
    boxes = np.array([[0.0, 0, 10, 100], [950, 290, 970, 301], [950, 300, 970, 9000]])
    low = replace(rig, array_position_m=np.array([0.0, 0.0, 0.5]))
    assert ranges_on_road(boxes, low) == pytest.approx([100, 100, 3])
