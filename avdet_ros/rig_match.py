"""Whether two rigs are the same: data of another rig would train a wrong model."""

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
"""What the sound and the boxes depend on, and how far apart values of one rig may be."""


CALIBRATED_M = 0.05
"""How far a calibration may move a microphone of the rig that a drive was recorded with."""


def rig_numbers(rig: Rig) -> dict[str, Any]:
    """The values of `WITHIN`'s keys, as JSON has them."""
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
    """16 hexadecimal digits of all that a rig file says; comments and layout play no part."""
    text = json.dumps(asdict(rig), default=lambda value: value.tolist(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rig_difference(
    rig: Rig, found: Mapping[str, Any], microphones_within_m: float = WITHIN['microphones_m']
) -> str:
    """The first thing that another rig has otherwise.

    Args:
        rig: the one in use.
        found: `rig_numbers` of the other one, as a file has them; anything may be wrong there.
        microphones_within_m: how far apart microphones of one rig may be.

    Returns:
        key, expected and found, for a message; '' if both are one rig.
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
    """The first thing in which the rig of a recorded drive is not the rig in use.

    The rig in use may be the recorded one calibrated: then its microphones may be `CALIBRATED_M`
    from where the recorded file has those of their names, on the same channels.

    Returns:
        key, expected and found, for a message; '' if both are one rig.
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
    """See that a recorded drive's rig file is of the rig in use.

    Args:
        path: the drive's ``rig.yaml``; drives of MAVD have none, and pass.
        rig: in use.

    Raises:
        AvdetError: it is of another one.
    """
    if path.is_file() and (difference := recorded_difference(rig, load_rig(path))):
        raise AvdetError(f'{path}: {difference}; use --rig {path}')
