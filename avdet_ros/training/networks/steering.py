"""The directions of an image's columns, and what an array receives from each of them.

To find directions in 24 coherence channels alone, a network would have to learn the array's
geometry from examples. But the geometry is known: networks for one fixed array (contract 1) hold
it as constants; those for any array receive it (contract 2, `avdet_ros.detection.steering`).
"""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.detection.steering import expected_coherences
from avdet_ros.rig import Rig

__all__ = ['SPEED_OF_SOUND_MPS', 'image_directions', 'steering_weights']

NOMINAL_DISTANCE_M = 20.0
"""Assumed distance of the sound along a camera ray; only the parallax between camera and array
depends on it."""


def image_directions(rig: Rig, columns: int, margin_columns: int, around: int) -> np.ndarray:
    """Compute the directions of an image's columns and of the surroundings outside the image.

    Args:
        rig: the vehicle.
        columns: cells across the image; a direction goes through each one's centre.
        margin_columns: more columns of the same width beyond each edge.
        around: directions for the rest of the circle, evenly spread over it.

    Returns:
        (around + margin_columns + columns + margin_columns, 2) float64 unit vectors x, y in the
        array's frame: first those around, then from left to right.
    """
    camera = rig.camera
    centres_px = (np.arange(-margin_columns, columns + margin_columns) + 0.5) * (
        camera.width_px / columns
    )
    pixels = np.stack([centres_px, np.full_like(centres_px, camera.cy)], axis=-1)
    points_m = camera.position_m + NOMINAL_DISTANCE_M * camera.directions(pixels)
    in_view = points_m - rig.array_position_m
    azimuth = np.arctan2(in_view[:, 1], in_view[:, 0])
    # Counter-clockwise from the left edge over the back to the right edge.
    start, stop = azimuth[0], azimuth[-1] + 2 * np.pi
    steps = (np.arange(around) + 1) / (around + 1)
    azimuth = np.concatenate([start + steps * (stop - start), azimuth])
    azimuth -= np.radians(rig.array_yaw_deg)
    return np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)


def steering_weights(
    front_end: FrontEnd, microphones_m: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Compute the expected coherences that a network for a fixed array holds as constants.

    Args:
        front_end: gives the mel bands.
        microphones_m: (8, 3) positions in the array's frame.
        directions: (A, 2) unit vectors in the array's plane.

    Returns:
        (n_mels, A, 24) float32, see `avdet_ros.detection.steering.expected_coherences`.
    """
    return expected_coherences(front_end, microphones_m, directions)
