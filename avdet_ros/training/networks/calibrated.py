"""A listener and what turns its answer into final boxes: calibrated, scored and exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.audio.features import FrontEnd
from avdet_ros.training.data.windows import TaughtWindows, lessons
from avdet_ros.training.networks.adapters import Listener
from avdet_ros.training.networks.compact import POOLED_FRAMES
from avdet_ros.training.networks.postprocess import scored, suppress_each
from avdet_ros.training.networks.score_calibration import Calibration, fit_curve, matches


class ListenerDetector(nn.Module):
    """From a window as the topic carries it to boxes, scores and labels.

    Attributes:
        listener: the student.
        calibration: turns logits into scores.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener = listener
        self.calibration = Calibration()

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One window; this is what is exported.

        Args:
            spectrogram: (1, 32, n_mels, frames) float32.

        Returns:
            boxes: (N, 4) float32 x_min, y_min, x_max, y_max in [0, 1].
            scores: (N,) float32, descending.
            labels: (N,) int64, all 0.
        """
        heard = self.listener(self.listener.from_topic(spectrogram), [])
        boxes, logits = self.listener.candidates(heard.said)
        return scored(boxes[0], logits[0], self.calibration)


def calibration_curve(listener: Listener, val: TaughtWindows) -> dict[str, list[float]]:
    """The rising curve from logits to scores, from the teachers' boxes on validation windows."""
    found = hear(listener, val)
    right = np.concatenate(matches([boxes for boxes, _ in found], val.boxes))
    logits = np.concatenate([values for _, values in found])
    knots, scores = fit_curve(logits, right)
    return {'logits': knots.tolist(), 'scores': scores.tolist()}


def topic_windows(
    listener: Listener, windows: TaughtWindows, count: int, front_end: FrontEnd
) -> list[np.ndarray]:
    """Windows in the shape of the topic: pooled frames are repeated, missing channels are 0."""
    made = []
    for sound in windows.first(count).sound:
        sound = np.asarray(sound, np.float32)
        if listener.kind == 'window':
            made.append(np.repeat(sound, POOLED_FRAMES, axis=-1)[..., : front_end.frames])
        else:
            whole = np.zeros((len(front_end.feature_names), *sound.shape[1:]), np.float32)
            whole[: len(sound)] = sound
            made.append(whole)
    return made


def found_boxes(listener: Listener, said: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (n, 4) in parts of the image and logits (n,), best first, of each window."""
    return suppress_each(*listener.candidates(said))


def hear(
    listener: Listener, windows: TaughtWindows, batch: int = 32
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`found_boxes` of every window of a set."""
    listener.eval()
    device = next(listener.parameters()).device
    found = []
    with torch.inference_mode():
        for lesson in lessons(windows, batch, None, 0):
            found += found_boxes(listener, listener(lesson.sound.to(device), []).said)
    return found
