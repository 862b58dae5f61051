"""Detect changes of an array against its rig: a loose microphone, swapped plugs, a new gain.

Some differences are poorly determined by the sound of one drive and do not count as changes: a
rotation, stretch or scaling of the whole array (air temperature has the same effect), and delays
that grow across it (an unknown speed has the same effect). A microphone counts as changed when it
alone is off after these are removed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.self_calibration import SelfCalibration
from avdet_ros.rig import Rig

LEAST_LEAD_S = 1.5e-5
"""Smallest difference of a microphone's lead that counts as a change; corresponds to 5 mm."""

LEAST_GAIN_DB = 1.5
SURE = 4.0
"""Minimum size of a change, in standard errors."""


@dataclass(frozen=True)
class Change:
    """One channel that differs from the rig.

    Attributes:
        channel: index of the microphone in the rig.
        sentence: message that names the microphone and the size of the difference.
    """

    channel: int
    sentence: str


def array_changes(result: SelfCalibration, rig: Rig) -> list[Change]:
    """Return the channels that differ from a rig.

    Args:
        result: calibration estimated from the sound, starting from this rig.
        rig: the rig in use.
    """
    alive = result.alive
    moved_m = (result.positions_m - rig.microphones_m[result.order])[:, :2]
    later_s = result.delay_s - rig.delay_s
    louder_db = result.gain_db - rig.gain_db
    places = (rig.microphones_m - rig.array_position_m)[result.order][:, :2]
    alone_m = _without_common(moved_m, places, alive)
    alone_s = _without_common(later_s[:, None], places, alive)[:, 0]
    lead_s = np.sqrt((alone_m**2).sum(axis=1) / 2 / SPEED_OF_SOUND_MPS**2 + alone_s**2)
    louder_db = louder_db - np.median(louder_db[alive])
    found = []
    for i, name in enumerate(rig.names):
        words = []
        if rig.alive[i] and not alive[i]:
            words.append('is dead')
        if result.order[i] != i:
            words.append(f'hears what {rig.names[result.order[i]]} should: plugs exchanged')
        if alive[i] and lead_s[i] > max(LEAST_LEAD_S, SURE * result.lead_sd_s[i]):
            away_mm = 1000 * float(np.hypot(*alone_m[i]))
            words.append(f'is off by {away_mm:.0f} mm and {1e6 * alone_s[i]:+.0f} µs')
        if alive[i] and abs(louder_db[i]) > max(LEAST_GAIN_DB, SURE * result.gain_sd_db[i]):
            words.append(f'is {louder_db[i]:+.1f} dB louder')
        if words:
            found.append(Change(i, f'{name} (channel {rig.channels[i]}) {", ".join(words)}'))
    return found


def _without_common(values: np.ndarray, places: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Subtract from (8, k) values the part that is linear in the (8, 2) positions.

    The linear part is fitted by least absolute deviations, so that one microphone that is far off
    does not make others look changed.
    """
    design = np.column_stack([places, np.ones(len(places))])[alive]
    weights = np.ones(len(design))
    target = values[alive]
    left = target
    for _ in range(20):
        weighted = design * weights[:, None]
        normal = weighted.T @ design + 1e-12 * np.eye(3)
        left = target - design @ np.linalg.lstsq(normal, weighted.T @ target, rcond=None)[0]
        size = np.sqrt((left**2).sum(axis=1))
        weights = 1 / np.maximum(size, 1e-2 * max(float(size.max()), 1e-12))
    result = np.zeros_like(values)
    result[alive] = left
    return result
