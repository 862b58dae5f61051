"""A label is right if its position and size are those of a vehicle that can be heard."""

from __future__ import annotations

from doubted_labels import judged, vehicles_in_view
import numpy as np


def shard(azimuth_deg, width_deg, **others):
    """A shard of one window."""
    boxes = {'azimuth_deg': np.array([azimuth_deg]), 'width_deg': np.array([width_deg])}
    return {'seed': np.array([1]), 'count': np.array([len(azimuth_deg)]), **boxes, **others}


def test_labels_are_judged_by_position_and_size():
    true = shard([10.0, -30.0, 50.0], [4.0, 6.0, 8.0], visible_fraction=np.array([[1, 0.1, 1]]))
    seen = shard(
        [10.5, 10.5, 13.0, -31.5, 50.0],
        [4.0, 1.0, 4.0, 6.0, 8.0],
        unsure=np.array([[False] * 4 + [True]]),
        seen_deg=np.array([[40.0, -40.0]]),
    )
    assert list(judged(seen, true)) == [
        (0, 0, True),
        (0, 1, False),  # a quarter as wide
        (0, 2, False),  # three degrees off
        (0, 3, True),  # within a third of its width
    ]
    assert vehicles_in_view(seen, true) == 1
