"""Visible and hidden vehicles are counted separately."""

from __future__ import annotations

from found_in_sight import shares
from helpers.found_windows import window
import numpy as np
import pytest


class Store:
    """The columns of a set that `shares` reads: two windows of two labels each."""

    def __init__(self, azimuths, visible):
        angles = np.zeros((2, 2, 4), np.float32)
        angles[..., 0] = azimuths
        self.columns = {
            'angles_deg': angles,
            'visible_fraction': np.array(visible, np.float32),
            'count': np.array([2, 2]),
            'unsure': np.zeros((2, 2), bool),
        }

    def column(self, name):
        return self.columns[name]


def test_visible_and_hidden_labels_are_counted_separately():
    store = Store([[0, 30], [-20, 20]], [[1.0, 0.0], [0.4, 0.1]])
    found = [window([1, 2.0], [36, 1.0], [-50, 0.5]), window([-28, 1.5], [20, -1.0])]
    seen, near, roughly, hidden, hidden_near, hidden_roughly, false = shares(found, store, 0.0)
    assert (seen, hidden) == (2, 1), 'one is neither'
    assert (near, roughly) == (0.5, 1.0)
    assert (hidden_near, hidden_roughly) == (0.0, 1.0)
    assert false == pytest.approx(3 / 2), 'bearings at 36, -50 and -28 degrees'
