"""Detections of a network in a window, written as pairs of numbers."""

from __future__ import annotations

import numpy as np

from avdet_ros.training.any_array.fitting.validation import FoundInWindow


def window(*bearings):
    """Return detections from (azimuth, logit) pairs, the likeliest first."""
    bearings = np.array(bearings, np.float32).reshape(-1, 2)
    angles = np.zeros((len(bearings), 4), np.float32)
    angles[:, 0] = bearings[:, 0]
    return FoundInWindow(angles, bearings[:, 1], np.ones((len(bearings), 3)), angles)
