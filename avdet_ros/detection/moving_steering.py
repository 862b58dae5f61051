"""Cache of a rig's steering by vehicle speed and speed of sound, both rounded to steps.

Computing a steering takes some 15 ms, and a vehicle drives at the same speeds again and again, so
results are kept. Speeds are rounded to steps before the computation, so that a window gets the
same steering live and from a bag.
"""

from __future__ import annotations

from collections import OrderedDict
import threading
from typing import TYPE_CHECKING

import numpy as np

from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.detection.steering import FASTEST_MPS, steering
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig

if TYPE_CHECKING:
    from avdet_ros.audio.features import FrontEnd

STEP_MPS = 1.0
"""Step of the vehicle's speed and of the speed of sound: an error of at most 0.15 % of a lead,
0.1 degrees."""

USUAL_AIR_C = 20.0
"""Temperature assumed if it is unknown, degrees Celsius: 343 m/s."""

AIR_C = (-60.0, 70.0)
"""Accepted air temperatures, degrees Celsius."""

MOST_KEPT = 32
"""Number of steerings kept, 1.4 MB each with all pairs: all forward speeds up to 115 km/h at one
temperature."""


def check_air(air_c: float, where: str) -> float:
    """Check a temperature of air, and return it.

    Args:
        air_c: degrees Celsius.
        where: source of the value, for the message.

    Raises:
        AvdetError: it is not finite, or beyond `AIR_C`.
    """
    low, high = AIR_C
    if not low <= air_c <= high:  # also catches NaN
        raise AvdetError(f'{where}: expected {low:g} to {high:g} degrees Celsius, found {air_c:g}')
    return air_c


class MovingSteering:
    """Cached steerings of one rig; safe for use by several threads."""

    def __init__(self, rig: Rig, front_end: FrontEnd, azimuths_deg: np.ndarray) -> None:
        """Compute the steering of a standing vehicle at the usual temperature.

        Args:
            rig: microphones, array and camera.
            front_end: defines the mel bands.
            azimuths_deg: (A,) relative to the camera's heading.

        Raises:
            AvdetError: the camera has no heading.
        """
        self._rig, self._front_end, self._azimuths_deg = rig, front_end, azimuths_deg
        self._steerings: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self.at(0.0, USUAL_AIR_C)

    def at(self, ahead_mps: float, air_c: float) -> np.ndarray:
        """Return the steering of the nearest step, see `avdet_ros.detection.steering`.

        Args:
            ahead_mps: speed of the vehicle, negative backwards.
            air_c: temperature of the air.

        Returns:
            (n_mels, A, 2 pairs) float32.

        Raises:
            AvdetError: speed or temperature is out of range.
        """
        steps = _steps(ahead_mps, air_c)
        with self._lock:
            if steps not in self._steerings:
                ahead, sound = (STEP_MPS * step for step in steps)
                self._steerings[steps] = steering(
                    self._rig, self._front_end, self._azimuths_deg, ahead, sound
                )
                while len(self._steerings) > MOST_KEPT:
                    self._steerings.popitem(last=False)
            self._steerings.move_to_end(steps)
            return self._steerings[steps]

    def prepare(self, ahead_mps: float, air_c: float) -> bool:
        """Compute the steering of the next step up or down if it is missing; at most one.

        If called between windows, no window has to wait for it when the vehicle's speed changes.

        Args:
            ahead_mps: current speed of the vehicle.
            air_c: temperature of the air.

        Returns:
            Whether one was computed.
        """
        for step_mps in (STEP_MPS, -STEP_MPS):
            near_mps = ahead_mps + step_mps
            if abs(near_mps) <= FASTEST_MPS and _steps(near_mps, air_c) not in self._steerings:
                self.at(near_mps, air_c)
                return True
        return False


def _steps(ahead_mps: float, air_c: float) -> tuple[int, int]:
    """Round the vehicle's speed and the speed of sound to whole steps."""
    if not abs(ahead_mps) <= FASTEST_MPS:  # also catches NaN
        raise AvdetError(f'own speed: expected at most {FASTEST_MPS:g} m/s, found {ahead_mps:g}')
    sound_mps = speed_of_sound_mps(check_air(air_c, 'air temperature'))
    return round(ahead_mps / STEP_MPS), round(sound_mps / STEP_MPS)
