"""What is run on one window: a model or a baseline, behind one interface, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Protocol

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.moving_steering import USUAL_AIR_C
from avdet_ros.detection.session import Detector


class WindowDetector(Protocol):
    """Finds boxes in one window."""

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Take (8, samples) float32 and (channels, n_mels, frames) float32.

        The waveform is None where only features were recorded.
        """


@dataclass(frozen=True)
class Told:
    """What a model for any array is told of a window beside the rig.

    Attributes:
        ahead_mps: speed of the vehicle in the window's middle, negative backwards; None where it
            is unknown, and the array taken to stand.
        air_c: temperature of the air, None where it is unknown, and taken for `USUAL_AIR_C`.
    """

    ahead_mps: float | None = None
    air_c: float | None = None


NOTHING = Told()


class ModelDetector:
    """A model as a `WindowDetector`.

    Attributes:
        steered: whether it listens to what it is told.
    """

    def __init__(self, detector: Detector) -> None:
        """Wrap a loaded model."""
        self._detector, self.steered = detector, detector.steered

    def detect(
        self, waveform: np.ndarray | None, spectrogram: np.ndarray, told: Told = NOTHING
    ) -> Detections:
        """Boxes of the model, which uses the features and what it is told."""
        air_c = USUAL_AIR_C if told.air_c is None else told.air_c
        return self._detector.detect(spectrogram, False, told.ahead_mps or 0.0, air_c)


@dataclass(frozen=True)
class WindowResult:
    """What every detector found in one window.

    Attributes:
        detections: by detector.
        milliseconds: by detector, the time of its inference.
    """

    detections: dict[str, Detections]
    milliseconds: dict[str, float]


def any_steered(detectors: Mapping[str, WindowDetector]) -> bool:
    """Whether one of them is a model that is told of speed and air."""
    return any(isinstance(each, ModelDetector) and each.steered for each in detectors.values())


class ToldCount:
    """Of how many windows models were told what.

    Attributes:
        windows: how many there were.
        speeds: of so many the vehicle's speed was known.
        airs: of so many the air's temperature.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.windows = self.speeds = self.airs = 0

    def add(self, told: Told) -> None:
        """Count a window."""
        self.windows += 1
        self.speeds += told.ahead_mps is not None
        self.airs += told.air_c is not None

    @property
    def sentence(self) -> str:
        """For people who read the scores."""
        return (
            f'Steered for the own speed in {self.speeds} of {self.windows} windows and for the '
            f'air in {self.airs}, else for a standing array and {USUAL_AIR_C:g} degrees.'
        )


def detect_window(
    detectors: Mapping[str, WindowDetector],
    waveform: np.ndarray | None,
    spectrogram: np.ndarray,
    told: Told = NOTHING,
) -> WindowResult:
    """Run every detector on one window, one after another so that their times are comparable.

    Args:
        detectors: by name.
        waveform: (8, samples) float32; None where only features were recorded.
        spectrogram: (channels, n_mels, frames) float32.
        told: to models.
    """
    found, taken_ms = {}, {}
    for name, detector in detectors.items():
        start = time.perf_counter()
        if isinstance(detector, ModelDetector):
            found[name] = detector.detect(waveform, spectrogram, told)
        else:
            found[name] = detector.detect(waveform, spectrogram)
        taken_ms[name] = 1e3 * (time.perf_counter() - start)
    return WindowResult(found, taken_ms)


def common_front_end(detectors: Mapping[str, Detector]) -> FrontEnd:
    """The front end of the detector that asks for most channels, which serves all."""
    return max((its.front_end for its in detectors.values()), key=lambda its: its.pair_count)
