"""Detectors that run on one window: models and baselines behind one interface, with timing."""

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
        """Find boxes from (8, samples) float32 and (channels, n_mels, frames) float32.

        The waveform is None where only features were recorded.
        """


@dataclass(frozen=True)
class DriveState:
    """Inputs that a model for any array receives with a window, besides the rig.

    Attributes:
        ahead_mps: speed of the ego vehicle in the middle of the window, negative backwards; None
            if unknown, the model then assumes a standing array.
        air_c: air temperature; None if unknown, the model then assumes `USUAL_AIR_C`.
    """

    ahead_mps: float | None = None
    air_c: float | None = None


UNKNOWN_STATE = DriveState()


class ModelDetector:
    """A model as a `WindowDetector`.

    Attributes:
        steered: whether the model uses the inputs in `DriveState`.
    """

    def __init__(self, detector: Detector) -> None:
        """Wrap a loaded model."""
        self._detector, self.steered = detector, detector.steered

    def detect(
        self,
        waveform: np.ndarray | None,
        spectrogram: np.ndarray,
        state: DriveState = UNKNOWN_STATE,
    ) -> Detections:
        """Find boxes from the features and the inputs in `state`."""
        air_c = USUAL_AIR_C if state.air_c is None else state.air_c
        return self._detector.detect(spectrogram, False, state.ahead_mps or 0.0, air_c)


@dataclass(frozen=True)
class WindowResult:
    """Results of every detector for one window.

    Attributes:
        detections: detections by detector.
        milliseconds: inference time by detector.
    """

    detections: dict[str, Detections]
    milliseconds: dict[str, float]


def any_steered(detectors: Mapping[str, WindowDetector]) -> bool:
    """Return whether any detector is a model that uses speed and air temperature."""
    return any(isinstance(each, ModelDetector) and each.steered for each in detectors.values())


class StateCount:
    """Counts of the windows for which models received speed and air temperature.

    Attributes:
        windows: number of windows.
        speeds: number of windows with known speed.
        airs: number of windows with known air temperature.
    """

    def __init__(self) -> None:
        """Start with no windows counted."""
        self.windows = self.speeds = self.airs = 0

    def add(self, state: DriveState) -> None:
        """Count a window."""
        self.windows += 1
        self.speeds += state.ahead_mps is not None
        self.airs += state.air_c is not None

    @property
    def sentence(self) -> str:
        """A sentence for readers of the scores."""
        return (
            f'Steered for the own speed in {self.speeds} of {self.windows} windows and for the '
            f'air in {self.airs}, else for a standing array and {USUAL_AIR_C:g} degrees.'
        )


def detect_window(
    detectors: Mapping[str, WindowDetector],
    waveform: np.ndarray | None,
    spectrogram: np.ndarray,
    state: DriveState = UNKNOWN_STATE,
) -> WindowResult:
    """Run every detector on one window, one after another so that their times are comparable.

    Args:
        detectors: detectors by name.
        waveform: (8, samples) float32; None where only features were recorded.
        spectrogram: (channels, n_mels, frames) float32.
        state: further inputs for models.
    """
    found, taken_ms = {}, {}
    for name, detector in detectors.items():
        start = time.perf_counter()
        if isinstance(detector, ModelDetector):
            found[name] = detector.detect(waveform, spectrogram, state)
        else:
            found[name] = detector.detect(waveform, spectrogram)
        taken_ms[name] = 1e3 * (time.perf_counter() - start)
    return WindowResult(found, taken_ms)


def common_front_end(detectors: Mapping[str, Detector]) -> FrontEnd:
    """Return the front end of the detector that needs most channels; it serves all detectors."""
    return max((its.front_end for its in detectors.values()), key=lambda its: its.pair_count)
