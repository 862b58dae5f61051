"""Rows of the bearing tables: models and baselines, each run on a drive's windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time
from typing import Any, Protocol

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.bearing_study.assumptions import MotionOf, RigOf, rig_file, standing
from avdet_ros.evaluation.runs.detectors import WindowDetector
from avdet_ros.evaluation.runs.windows import DriveWindows
from avdet_ros.rig import Rig

CALIBRATED = ', calibrated'
"""Suffix of the name of a model that uses the calibrated geometry of each drive."""

BOUND = ', true geometry'
"""Suffix of the name of a model that uses the true geometry of each drive."""


WITHOUT = ', without microphone '
"""Suffix, before the microphone's number, of the name of a model with that microphone dead."""


class Row(Protocol):
    """Finds boxes in a drive's windows."""

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Return the boxes and the milliseconds of each window, without the features' time."""


class ModelRow:
    """A model with the rig that it assumes.

    Attributes:
        detector: the model.
    """

    def __init__(
        self,
        path: Path,
        rig: Rig,
        rig_of: RigOf = rig_file,
        motion_of: MotionOf = standing,
        threads: int = 1,
    ) -> None:
        """Load the model.

        Args:
            path: ONNX file.
            rig: a rig that the model accepts.
            rig_of: gives the rig to assume on each drive.
            motion_of: gives speed and air temperature to assume for each window.
            threads: threads of one inference.
        """
        self._rig, self._rig_of, self._motion_of = rig, rig_of, motion_of
        self.detector = Detector(path, rig, threads=threads)

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Find boxes in each window, with the rig and motion from `rig_of` and `motion_of`."""
        rig = self._rig_of(drive)
        if rig is not self._rig:
            self._rig = rig
            self.detector.use_rig(rig)
        found, times = [], []
        front_end = self.detector.front_end
        waveforms = drive.waveforms(front_end.samples)
        for waveform, (ahead_mps, air_c) in zip(waveforms, self._motion_of(drive), strict=True):
            features = front_end.compute(waveform)
            start = time.perf_counter()
            found.append(self.detector.detect(features, False, ahead_mps, air_c))
            times.append(1e3 * (time.perf_counter() - start))
        return found, times


class BaselineRow:
    """A baseline, which uses the waveform."""

    def __init__(self, make: Callable[[Rig], WindowDetector], rig: Rig) -> None:
        """Make the baseline; it is made again whenever a drive has another rig.

        Args:
            make: makes a baseline that uses no features.
            rig: rig of the first drive.
        """
        self._make, self._rig, self._detector = make, rig, make(rig)

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Find boxes in each window."""
        if drive.rig is not self._rig:
            self._rig, self._detector = drive.rig, self._make(drive.rig)
        found, times = [], []
        nothing = np.zeros(0, np.float32)
        for waveform in drive.waveforms(FrontEnd.of(drive.rig).samples):
            start = time.perf_counter()
            found.append(self._detector.detect(waveform, nothing))
            times.append(1e3 * (time.perf_counter() - start))
        return found, times


def about(detector: Detector, path: Path) -> dict[str, Any]:
    """Describe a model for JSON."""
    return {
        'file': str(path),
        'sha256': detector.sha256,
        'bytes': detector.size_bytes,
        'contract': detector.contract.contract_version,
        'recipe': detector.contract.recipe,
    }
