"""Vehicles with a right box, at a number of boxes that depends on the vehicles alone."""

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


def test_each_box_takes_one_vehicle_and_unlikely_boxes_do_not_count():
    one, two, three = (np.array([x, 0, x + 10, 10.0]) for x in (0, 100, 200))
    true = [np.stack([one, two]), np.stack([one, three])]
    found = [
        window(one, one + 1, logits=[2.0, 1.0]),  # the second has no vehicle left
        window(three, one, logits=[-1.0, -2.0]),
    ]
    # Four vehicles: the two most likely boxes count.
    np.testing.assert_array_equal(boxed(found, true), [True, False, False, False])
    # The third most likely box counts as well where there are six.
    true.append(np.stack([two, three]))
    found.append(window(logits=[]))
    expected = [True, False, False, True, False, False]
    np.testing.assert_array_equal(boxed(found, true), expected)
