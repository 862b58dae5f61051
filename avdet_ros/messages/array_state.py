"""The array in use, as node capture publishes it: JSON in a `std_msgs/String`.

Holds positions, yaw, gains and delays of the microphones and which of them work, after calibration
and failures, so that the detector steers by the array that the features were computed for.
Everything else comes from the rig file.
"""

from __future__ import annotations

from dataclasses import replace
import json
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import LARGEST_DELAY_S, LARGEST_GAIN_DB, LEAST_ALIVE, MICROPHONES, Rig

LONGEST = 20_000
"""Longest accepted message, characters; a real one has about 700."""

LARGEST_PLACE_M = 100.0


def array_text(rig: Rig) -> str:
    """Encode a rig's array as JSON for `read_array`."""
    return json.dumps(
        {
            'microphones_m': rig.microphones_m.round(6).tolist(),
            'array_yaw_deg': round(float(rig.array_yaw_deg), 4),
            'gain_db': rig.gain_db.round(3).tolist(),
            'delay_s': rig.delay_s.round(9).tolist(),
            'alive': rig.alive.tolist(),
        }
    )


def read_array(text: str, rig: Rig, where: str) -> Rig:
    """Return the rig with the array from a message.

    Args:
        text: content of the message.
        rig: supplies everything that the message does not hold.
        where: topic, for error messages.

    Raises:
        AvdetError: the message is not in the format of `array_text`.
    """
    if len(text) > LONGEST:
        raise AvdetError(f'{where}: expected at most {LONGEST} characters, found {len(text)}')
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AvdetError(f'{where}: expected JSON, found {brief_repr(text)}') from error
    if not isinstance(tree, dict):
        raise AvdetError(f'{where}: expected a JSON object, found {brief_repr(tree)}')
    places = _numbers(tree, 'microphones_m', (MICROPHONES, 3), LARGEST_PLACE_M, where)
    yaw_deg = _numbers(tree, 'array_yaw_deg', (), 720.0, where)
    gain_db = _numbers(tree, 'gain_db', (MICROPHONES,), LARGEST_GAIN_DB, where)
    delay_s = _numbers(tree, 'delay_s', (MICROPHONES,), LARGEST_DELAY_S, where)
    alive = tree.get('alive')
    if (
        not isinstance(alive, list)
        or len(alive) != MICROPHONES
        or not all(isinstance(each, bool) for each in alive)
        or sum(alive) < LEAST_ALIVE
    ):
        raise AvdetError(
            f'{where}: alive: expected {MICROPHONES} of true or false, at least {LEAST_ALIVE} '
            f'true, found {brief_repr(alive)}'
        )
    return replace(
        rig,
        microphones_m=places,
        array_yaw_deg=float(yaw_deg),
        gain_db=gain_db,
        delay_s=delay_s,
        alive=np.array(alive),
    )


def _numbers(
    tree: dict[str, Any], key: str, shape: tuple[int, ...], largest: float, where: str
) -> np.ndarray:
    """Read finite numbers of this shape, none of a magnitude above `largest`."""
    found = tree.get(key)
    try:
        values = np.array(found, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.full(1, np.nan)
    if found is None or values.shape != shape or not np.all(np.abs(values) <= largest):
        size = ' x '.join(map(str, shape)) or '1'
        raise AvdetError(
            f'{where}: {key}: expected {size} numbers of at most {largest:g}, found '
            f'{brief_repr(found)}'
        )
    return values
