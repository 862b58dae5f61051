"""A model file in half precision, for GPUs: half the size, float32 in and out as before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import warnings

import numpy as np
import onnx
import onnxruntime

from avdet_ros.detection.boxes import box_iou
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.quoting import one_line

MIN_SCORE = 0.1
"""Minimum score of the boxes that are compared."""

SAME_IOU = 0.9
SAME_SCORE = 0.03


@dataclass(frozen=True)
class Agreement:
    """How a model's two precisions compare.

    Attributes:
        boxes: boxes of the float32 model above `MIN_SCORE`.
        found: how many of them the float16 model has too, at IoU 0.9 and within 0.03 of the score.
    """

    boxes: int
    found: int

    @property
    def share(self) -> float:
        """Share of the boxes that both have; 1 if there are none."""
        return self.found / self.boxes if self.boxes else 1.0


def write_half(path: Path, out: Path) -> None:
    """Convert a model file, keeping input, outputs and metadata as they are.

    The layers that select the boxes (top-k, suppression) stay in float32.

    Args:
        path: the float32 model.
        out: the float16 model.

    Raises:
        AvdetError: it cannot be converted.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    kept = [*DEFAULT_OP_BLOCK_LIST, 'Log', 'Exp', 'GatherND', 'Resize']
    try:
        model = onnx.load(path)
        with warnings.catch_warnings():
            # Weights below half precision's smallest number become that number.
            warnings.simplefilter('ignore')
            half = convert_float_to_float16(model, keep_io_types=True, op_block_list=kept)
        # The converter puts its casts at the end.
        OnnxModel.graph_topological_sort(half.graph)
        onnx.checker.check_model(half)
    except Exception as error:  # the converter raises errors of many kinds
        raise AvdetError(
            f'{path}: expected a model that half precision can hold, found {one_line(error)}'
        ) from error
    del half.metadata_props[:]
    half.metadata_props.extend(model.metadata_props)
    with write_atomically(out) as file:
        file.write(half.SerializeToString())


def agreement(path: Path, half: Path, spectrograms: list[np.ndarray]) -> Agreement:
    """Run both models on the CPU and compare their boxes.

    Args:
        path: the float32 model.
        half: the float16 model.
        spectrograms: (32, n_mels, frames) windows.
    """
    sessions = [
        onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
        for file in (path, half)
    ]
    boxes = found = 0
    for spectrogram in spectrograms:
        feed = {'spectrogram': np.ascontiguousarray(spectrogram[None], np.float32)}
        (full_boxes, full_scores, _), (half_boxes, half_scores, _) = (
            session.run(['boxes', 'scores', 'labels'], feed) for session in sessions
        )
        confident = full_scores > MIN_SCORE
        same = (box_iou(full_boxes[confident] * 1e4, half_boxes * 1e4) >= SAME_IOU) & (
            np.abs(full_scores[confident][:, None] - half_scores[None]) <= SAME_SCORE
        )
        boxes += int(confident.sum())
        found += int(same.any(axis=1).sum()) if same.size else 0
    return Agreement(boxes, found)
