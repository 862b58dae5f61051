"""Rows of `array_windows`: ground truth of a window, and of the array that recorded it."""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import MAX_LABELS
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.detection.steering import heading_rad
from avdet_ros.simulation.angles import AngleLabels, angle_labels
from avdet_ros.simulation.arrays import DrawnArray
from avdet_ros.simulation.blind_corners import coming_sides
from avdet_ros.simulation.fleet import only_near
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.vehicles import KINDS
from avdet_ros.simulation.windows import WindowRow


def array_row(scene: Scene, array: DrawnArray) -> WindowRow:
    """Return the fields of a row about the drive and its array."""
    rig, errors = scene.rig, scene.corruption
    turned = np.radians(rig.array_yaw_deg + errors.array_yaw_deg)
    heading = heading_rad(rig.camera)
    centre = rig.array_position_m
    return {
        'microphones_m': _turned(scene.microphones_m() - centre, -turned).astype(np.float32),
        'array_yaw_deg': np.float32(np.degrees(turned - heading)),
        'rig_microphones_m': _turned(
            rig.microphones_m - centre, -np.radians(rig.array_yaw_deg)
        ).astype(np.float32),
        'rig_array_yaw_deg': np.float32(rig.array_yaw_deg - np.degrees(heading)),
        'gain_db': errors.gain_db.astype(np.float32),
        # the corruption counts early samples, a row counts delays
        'delay_s': (-errors.delay_samples / rig.sample_rate_hz).astype(np.float32),
        'alive': ~errors.dead,
        'order': errors.order.astype(np.int64),
        'family': np.array(array.family, 'U16'),
        'care': np.array(array.care, 'U16'),
        'setting': np.array(scene.setting, 'U10'),
        'temperature_c': np.float32(scene.temperature_c),
        'camera_heading_deg': np.float32(np.degrees(heading)),
        'seed': np.int64(scene.seed),
    }


def label_row(scene: Scene, start_s: float, window_s: float) -> WindowRow:
    """Compute labels at a window's centre and end, and the coming vehicles at its end."""
    middle_s, end_s = start_s + window_s / 2, start_s + window_s
    now, end = (angle_labels(only_near(scene, t_s), t_s) for t_s in (middle_s, end_s))
    return labels_row(now, end, coming_sides(scene, end_s))


def labels_row(now: AngleLabels, end: AngleLabels, coming: np.ndarray) -> WindowRow:
    """Return the fields of `label_row` from labels that are already computed.

    Args:
        now: labels at the window's centre.
        end: labels at its end.
        coming: see `blind_corners.coming_sides`.
    """
    return {
        **_labels(now),
        **{f'end_{name}': value for name, value in _labels(end).items()},
        'eye_height_m': np.float32(EYE_HEIGHT_M),
        'coming': coming,
    }


def _labels(labels: AngleLabels) -> WindowRow:
    truth = labels.truth
    kinds = np.array([KINDS.index(kind) for kind in truth.kinds], np.int64)
    return {
        'azimuth_deg': _padded(labels.azimuth_deg, 0.0, np.float32),
        'elevation_deg': _padded(labels.elevation_deg, 0.0, np.float32),
        'width_deg': _padded(labels.width_deg, 0.0, np.float32),
        'height_deg': _padded(labels.height_deg, 0.0, np.float32),
        'range_m': _padded(truth.distance_m, 0.0, np.float32),
        'in_image': _padded(labels.in_image, False, np.bool_),
        'boxes_px': _padded(truth.boxes_px, 0.0, np.float32),
        'ids': _padded(truth.ids, -1, np.int64),
        'kinds': _padded(kinds, -1, np.int64),
        'visible_fraction': _padded(truth.visible_fraction, 0.0, np.float32),
        'level_db': _padded(truth.level_db - truth.rest_db, 0.0, np.float32),
        'count': np.int64(min(len(labels), MAX_LABELS)),
    }


def _padded(values: np.ndarray, fill: float, dtype: type) -> np.ndarray:
    out = np.full((MAX_LABELS, *values.shape[1:]), fill, dtype)
    out[: len(values)] = values[:MAX_LABELS]
    return out


def _turned(points_m: np.ndarray, angle_rad: float) -> np.ndarray:
    """Rotate (M, 3) points about z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return points_m @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
