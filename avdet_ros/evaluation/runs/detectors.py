"""What is run on one window: a model or a baseline, behind one interface, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Protocol

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector


class WindowDetector(Protocol):
    """Finds boxes in one window."""

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Take (8, samples) float32 and (channels, n_mels, frames) float32.

        The waveform is None where only features were recorded.
        """


class ModelDetector:
    """A model as a `WindowDetector`."""

    def __init__(self, detector: Detector) -> None:
        """Wrap a loaded model."""
        self._detector = detector

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Boxes of the model, which uses the features alone."""
        return self._detector.detect(spectrogram)


@dataclass(frozen=True)
class WindowResult:
    """What every detector found in one window.

    Attributes:
        detections: by detector.
        milliseconds: by detector, the time of its inference.
    """

    detections: dict[str, Detections]
    milliseconds: dict[str, float]


def detect_window(
    detectors: Mapping[str, WindowDetector], waveform: np.ndarray | None, spectrogram: np.ndarray
) -> WindowResult:
    """Run every detector on one window, one after another so that their times are comparable.

    Args:
        detectors: by name.
        waveform: (8, samples) float32; None where only features were recorded.
        spectrogram: (channels, n_mels, frames) float32.
    """
    found, taken_ms = {}, {}
    for name, detector in detectors.items():
        start = time.perf_counter()
        found[name] = detector.detect(waveform, spectrogram)
        taken_ms[name] = 1e3 * (time.perf_counter() - start)
    return WindowResult(found, taken_ms)
