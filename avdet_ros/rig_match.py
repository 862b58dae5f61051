"""Check whether two rigs are the same: training data from another rig gives a wrong model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import Rig, load_rig

WITHIN = {
    'sample_rate_hz': 0.0,
    'image_px': 0.0,
    'microphones_m': 1e-3,
    'focal_px': 2.0,
    'principal_px': 2.0,
    'camera_position_m': 0.01,
    'camera_rotation': 2e-3,
}
"""Values that sound and boxes depend on, with the largest difference allowed within one rig."""


CALIBRATED_M = 0.05
"""Largest distance by which a calibration may move a microphone of a recorded drive's rig."""


def rig_numbers(rig: Rig) -> dict[str, Any]:
    """Return the values for the keys of `WITHIN`, in types that JSON supports."""
    camera = rig.camera
    return {
        'sample_rate_hz': rig.sample_rate_hz,
        'image_px': [camera.width_px, camera.height_px],
        'microphones_m': rig.microphones_m.round(6).tolist(),
        'focal_px': [float(camera.fx), float(camera.fy)],
        'principal_px': [float(camera.cx), float(camera.cy)],
        'camera_position_m': camera.position_m.round(6).tolist(),
        'camera_rotation': camera.rotation.round(6).tolist(),
    }


def rig_digest(rig: Rig) -> str:
    """Return a hash of 16 hexadecimal digits of a rig's values, without comments and layout."""
    text = json.dumps(asdict(rig), default=lambda value: value.tolist(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rig_difference(
    rig: Rig, found: Mapping[str, Any], microphones_within_m: float = WITHIN['microphones_m']
) -> str:
    """Describe the first difference of another rig.

    Args:
        rig: the rig in use.
        found: `rig_numbers` of the other rig, read from a file; any of them may be invalid.
        microphones_within_m: largest distance between equal microphones of one rig.

    Returns:
        Key, expected and found value, for a message; '' if the rigs are the same.
    """
    for key, expected in rig_numbers(rig).items():
        wanted = np.asarray(expected, np.float64)
        other = found.get(key)
        there = 'none' if other is None else brief_repr(other)
        try:
            values = np.asarray(other, np.float64)
        except (TypeError, ValueError):
            values = np.zeros(0)
        apart = np.abs(values - wanted).max() if values.shape == wanted.shape else np.nan
        if apart <= (microphones_within_m if key == 'microphones_m' else WITHIN[key]):
            continue
        if wanted.size > 3 and np.isfinite(apart):
            return f'{key}: expected those of the rig in use, found some {apart:.3f} away'
        return f'{key}: expected {brief_repr(expected)}, found {there}'
    return ''


def recorded_difference(rig: Rig, recorded: Rig) -> str:
    """Describe the first difference between the rig of a recorded drive and the rig in use.

    The rig in use may be a calibrated copy of the recorded one. Then its microphones may be up to
    `CALIBRATED_M` from those with the same names in the recorded file, on the same channels.

    Returns:
        Key, expected and found value, for a message; '' if the rigs are the same.
    """
    numbers = rig_numbers(recorded)
    calibrated = bool(rig.gain_db.any() or rig.delay_s.any() or not rig.alive.all())
    alike = sorted(rig.names) == sorted(recorded.names)
    if not (calibrated and alike and np.array_equal(rig.channels, recorded.channels)):
        return rig_difference(rig, numbers)
    places = [recorded.microphones_m[recorded.names.index(name)] for name in rig.names]
    numbers['microphones_m'] = np.round(places, 6).tolist()
    return rig_difference(rig, numbers, CALIBRATED_M)


def check_recorded_rig(path: Path, rig: Rig) -> None:
    """Check that a recorded drive's rig file matches the rig in use.

    Args:
        path: the drive's ``rig.yaml``; drives of MAVD have none and pass the check.
        rig: the rig in use.

    Raises:
        AvdetError: the file is of another rig.
    """
    if path.is_file() and (difference := recorded_difference(rig, load_rig(path))):
        raise AvdetError(f'{path}: {difference}; use --rig {path}')
