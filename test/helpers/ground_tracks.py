"""A vehicle on the ground plane, for tests of messages."""

from __future__ import annotations

import numpy as np

from avdet_ros.tracking.ground_track import GroundTrack


def ground_track(covariance: np.ndarray) -> GroundTrack:
    """Vehicle 12, ahead and to the right, at 5 m/s.

    Args:
        covariance: (4, 4) of position and velocity.
    """
    return GroundTrack(
        track_id=12,
        position_m=np.array([20.0, -5.0]),
        velocity_mps=np.array([3.0, 4.0]),
        covariance=covariance,
        size_m=np.array([1.8, 1.5]),
        score=0.75,
        age_s=2.0,
        unseen_s=0.1,
        over_ground=True,
    )
