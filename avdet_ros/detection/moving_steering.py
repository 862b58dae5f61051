"""The steering of one rig by the vehicle's speed and the air, made once for each step of both.

Making it takes some 15 ms, so what was made is kept: a vehicle has the same speeds again and
again. The steps are part of what a model is given, so a window gets the same steering whenever
it is looked at, live or from a bag.
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
"""Of the vehicle's speed and of that of sound: at most 0.15 % of a lead, 0.1 degrees."""

USUAL_AIR_C = 20.0
"""Where nothing is known of the air, degrees Celsius: 343 m/s."""

AIR_C = (-60.0, 70.0)
"""Air that people drive in, degrees Celsius."""

MOST_KEPT = 32
"""Steerings of 1.4 MB each with all pairs: all speeds up to 115 km/h, forwards and in one air."""


def check_air(air_c: float, where: str) -> float:
    """Refuse what is no temperature of air.

    Args:
        air_c: degrees Celsius.
        where: for the message.

    Raises:
        AvdetError: it is not finite, or beyond `AIR_C`.
    """
    low, high = AIR_C
    if not low <= air_c <= high:  # also true of NaN
        raise AvdetError(f'{where}: expected {low:g} to {high:g} degrees Celsius, found {air_c:g}')
    return air_c


class MovingSteering:
    """Steerings of one rig; of use to several threads at once."""

    def __init__(self, rig: Rig, front_end: FrontEnd, azimuths_deg: np.ndarray) -> None:
        """Make the one of a standing vehicle in usual air.

        Args:
            rig: microphones, array and camera.
            front_end: gives the mel bands.
            azimuths_deg: (A,) about the camera's heading.

        Raises:
            AvdetError: the camera has no heading.
        """
        self._rig, self._front_end, self._azimuths_deg = rig, front_end, azimuths_deg
        self._made: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self.at(0.0, USUAL_AIR_C)

    def at(self, ahead_mps: float, air_c: float) -> np.ndarray:
        """(n_mels, A, 2 pairs) float32 of the nearest step, see `avdet_ros.detection.steering`.

        Args:
            ahead_mps: speed of the vehicle, negative backwards.
            air_c: temperature of the air.

        Raises:
            AvdetError: a number is none of a vehicle or of air.
        """
        steps = _steps(ahead_mps, air_c)
        with self._lock:
            if steps not in self._made:
                ahead, sound = (STEP_MPS * step for step in steps)
                self._made[steps] = steering(
                    self._rig, self._front_end, self._azimuths_deg, ahead, sound
                )
                while len(self._made) > MOST_KEPT:
                    self._made.popitem(last=False)
            self._made.move_to_end(steps)
            return self._made[steps]

    def prepare(self, ahead_mps: float, air_c: float) -> bool:
        """Make the one of the next step up or down, if it is not there yet; at most one.

        Asked for between windows it spares them the wait while the vehicle gets faster or slower.

        Args:
            ahead_mps: speed of the vehicle now.
            air_c: temperature of the air.

        Returns:
            Whether one was made.
        """
        for step_mps in (STEP_MPS, -STEP_MPS):
            near_mps = ahead_mps + step_mps
            if abs(near_mps) <= FASTEST_MPS and _steps(near_mps, air_c) not in self._made:
                self.at(near_mps, air_c)
                return True
        return False


def _steps(ahead_mps: float, air_c: float) -> tuple[int, int]:
    """Whole steps of the vehicle's speed and of the speed of sound."""
    if not abs(ahead_mps) <= FASTEST_MPS:  # also true of NaN
        raise AvdetError(f'own speed: expected at most {FASTEST_MPS:g} m/s, found {ahead_mps:g}')
    sound_mps = speed_of_sound_mps(check_air(air_c, 'air temperature'))
    return round(ahead_mps / STEP_MPS), round(sound_mps / STEP_MPS)
