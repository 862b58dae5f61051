"""Colours of track identities."""

from __future__ import annotations

import numpy as np

from avdet_ros.drawing.style import colour


def test_neighbouring_identities_differ_in_colour():
    colours = np.array([colour(number) for number in range(1, 9)])
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 1000 * np.eye(8)
    assert apart.min() > 60
