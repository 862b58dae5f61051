"""Detections for trackers, written as rows of numbers, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st
import numpy as np

from avdet_ros.detection.boxes import Detections


def detections_of(*rows):
    """Detections from x, y, width, height, score."""
    rows = sorted(rows, key=lambda row: -row[4])
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(
        np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4]
    )


def ids(tracks):
    return [track.track_id for track in tracks]


@st.composite
def drives(draw):
    """Draw windows of random boxes at random time steps, some empty."""
    windows, stamp_s = [], draw(st.floats(0, 2e9))
    for _ in range(draw(st.integers(1, 12))):
        stamp_s += draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 2.0]))
        count = draw(st.integers(0, 4))
        rows = [
            (
                draw(st.integers(0, 8)) * 40.0,
                draw(st.integers(0, 3)) * 40.0,
                draw(st.sampled_from([50.0, 80.0, 200.0])),
                draw(st.sampled_from([50.0, 80.0])),
                draw(st.sampled_from([0.05, 0.3, 0.5, 0.81, 0.95])),
            )
            for _ in range(count)
        ]
        windows.append((stamp_s, detections_of(*rows)))
    return windows
