"""Features of a single plane wave, and the image column of its direction."""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.detection.steering import heading_rad
from avdet_ros.evaluation.sounding.directions import band_middles_hz


def plane_wave(rig, azimuth_deg, level_db=-40.0):
    """Return features of a plane wave relative to the heading, with phases of band centres."""
    front_end = FrontEnd.of(rig)
    azimuth = heading_rad(rig.camera) + np.radians(azimuth_deg)
    delay_s = rig.microphones_m[:, :2] @ [np.cos(azimuth), np.sin(azimuth)] / 343.0
    hz = band_middles_hz(front_end)
    features = np.zeros((32, front_end.n_mels, 3), np.float32)
    features[:8] = level_db
    for row, (first, second) in enumerate(PAIRS):
        phase = 2 * np.pi * hz * (delay_s[first] - delay_s[second])
        features[8 + 2 * row], features[9 + 2 * row] = (
            np.cos(phase)[:, None],
            np.sin(phase)[:, None],
        )
    return features


def column_px(rig, azimuth_deg):
    """Return the image column of a far point on the road in that direction."""
    azimuth = heading_rad(rig.camera) + np.radians(azimuth_deg)
    point = rig.array_position_m + 20 * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    point[2] = 0.5
    return float(rig.camera.project(point)[0][0])
