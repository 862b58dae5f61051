"""Find the stretch of a drive in which a vehicle passes most clearly, for a picture of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.array_sources import steered_power
from avdet_ros.audio.self_calibration import SelfCalibration, nominal_array
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.rig import Rig

STRETCH = 54
"""Length of the stretch in segments, about ten seconds."""

DIRECTIONS = 180


@dataclass(frozen=True)
class Passing:
    """Steered response over a stretch of a drive.

    Attributes:
        time_s: (S,) times of the segments.
        azimuths: (A,) radians from 0, all around.
        before: (S, A) share of each wave that comes from the azimuth, for the rig file's array.
        after: (S, A) the same for the calibrated array.
    """

    time_s: np.ndarray
    azimuths: np.ndarray
    before: np.ndarray
    after: np.ndarray


def clearest_passing(fronts: WaveFronts, result: SelfCalibration, rig: Rig) -> Passing:
    """Find the stretch in which a clear source moves furthest around the array."""
    use = result.fit.counts * result.fit.fit
    turn = use * np.exp(1j * result.fit.sources.azimuths)
    window = np.ones(min(STRETCH, len(use)))
    total = np.convolve(use, window, 'valid')
    spread = total - np.abs(np.convolve(turn, window, 'valid'))
    first = int(np.argmax(spread))
    stretch = fronts.chosen(np.arange(first, first + len(window)))
    every = np.ones(len(fronts.frequencies_hz), bool)
    azimuths, before = steered_power(stretch, nominal_array(rig), DIRECTIONS, every)
    _, after = steered_power(stretch, result.fit.array, DIRECTIONS, every)
    return Passing(stretch.time_s, azimuths, before, after)
