"""Vehicles with a right box, at a number of boxes that depends on the vehicles alone."""

from __future__ import annotations

import numpy as np
from right_boxes import boxed

from avdet_ros.training.any_array.fitting.validation import FoundInWindow


def window(*boxes, logits):
    """Detections of one window."""
    count = len(boxes)
    return FoundInWindow(
        np.zeros((count, 4)), np.array(logits, float), np.zeros((count, 3)), np.array(boxes, float)
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
    none = np.zeros((0, 4))
    found.append(FoundInWindow(none, np.zeros(0), np.zeros((0, 3)), none))
    expected = [True, False, False, True, False, False]
    np.testing.assert_array_equal(boxed(found, true), expected)
