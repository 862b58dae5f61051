"""A student with the decoding into final boxes, for calibration, scoring and export."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.audio.features import POOL_FRAMES, FrontEnd
from avdet_ros.training.boxes.postprocess import scored, suppress_each
from avdet_ros.training.boxes.score_calibration import Calibration, fit_curve, matches
from avdet_ros.training.data.windows import WindowDataset, loader
from avdet_ros.training.networks.base import StudentAdapter


class StudentDetector(nn.Module):
    """Detector for windows in the topic's format: boxes, scores and labels; this is exported.

    Attributes:
        student: predicts boxes.
        calibration: turns logits into scores.
    """

    def __init__(self, student: StudentAdapter) -> None:
        super().__init__()
        self.student = student
        self.calibration = Calibration()

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detect vehicles in one window.

        Args:
            spectrogram: (1, 32, n_mels, frames) float32.

        Returns:
            boxes: (N, 4) float32 x_min, y_min, x_max, y_max in [0, 1].
            scores: (N,) float32, descending.
            labels: (N,) int64, all 0.
        """
        output = self.student(self.student.from_topic(spectrogram), [])
        boxes, logits = self.student.candidates(output.prediction)
        return scored(boxes[0], logits[0], self.calibration)


def found_boxes(student: StudentAdapter, prediction: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return boxes (n, 4), fractions of the image, and logits (n,), best first, per window."""
    return suppress_each(*student.candidates(prediction))


def predict(
    student: StudentAdapter, windows: WindowDataset, batch: int = 32
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Run the student and return `found_boxes` of every window of a set."""
    student.eval()
    device = next(student.parameters()).device
    found = []
    with torch.inference_mode():
        for part in loader(windows, batch):
            output = student(part.spectrogram.to(device), [])
            found += found_boxes(student, output.prediction)
    return found


def calibration_curve(student: StudentAdapter, val: WindowDataset) -> dict[str, list[float]]:
    """Fit the rising curve from logits to scores to the labels of validation windows."""
    found = predict(student, val)
    right = np.concatenate(matches([boxes for boxes, _ in found], val.boxes))
    logits = np.concatenate([values for _, values in found])
    knots, scores = fit_curve(logits, right)
    return {'logits': knots.tolist(), 'scores': scores.tolist()}


def topic_windows(
    input_kind: str, windows: WindowDataset, count: int, front_end: FrontEnd
) -> list[np.ndarray]:
    """Convert windows to the topic's shape: repeat pooled frames, set missing channels to 0."""
    made = []
    for spectrogram in windows.at_most(count).spectrogram:
        spectrogram = np.asarray(spectrogram, np.float32)
        if input_kind == 'window':
            repeated = np.repeat(spectrogram, POOL_FRAMES, axis=-1)
            made.append(repeated[..., : front_end.frames])
        else:
            whole = np.zeros((len(front_end.feature_names), *spectrogram.shape[1:]), np.float32)
            whole[: len(spectrogram)] = spectrogram
            made.append(whole)
    return made
