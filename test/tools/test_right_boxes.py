"""Vehicles with a right box; how many boxes count depends only on the number of vehicles."""

from __future__ import annotations

import numpy as np
from right_boxes import boxed

from avdet_ros.training.any_array.fitting.validation import FoundInWindow


def window(*boxes, logits):
    """Detections of one window."""
    boxes = np.reshape(boxes, (-1, 4))
    return FoundInWindow(
        np.zeros_like(boxes), np.array(logits, float), np.zeros((len(boxes), 3)), boxes
    )


def test_each_box_matches_one_vehicle_and_unlikely_boxes_are_ignored():
    one, two, three = (np.array([x, 0, x + 10, 10.0]) for x in (0, 100, 200))
    true = [np.stack([one, two]), np.stack([one, three])]
    found = [
        window(one, one + 1, logits=[2.0, 1.0]),  # the second has no vehicle left
        window(three, one, logits=[-1.0, -2.0]),
    ]
    # Four vehicles: the two most likely boxes count.
    np.testing.assert_array_equal(boxed(found, true), [True, False, False, False])
    # With six vehicles, the third most likely box counts as well.
    true.append(np.stack([two, three]))
    found.append(window(logits=[]))
    expected = [True, False, False, True, False, False]
    np.testing.assert_array_equal(boxed(found, true), expected)
