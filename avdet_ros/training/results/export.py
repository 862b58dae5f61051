"""Export a trained student to the model file of the contract, and check that both agree."""

from __future__ import annotations

import io
from pathlib import Path
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from avdet_ros.detection.contract import ModelContract, write_metadata
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically

OPSET = 17
"""ONNX Runtime has supported all of its operators since 1.12."""

TOLERANCE = 1e-4
"""Largest difference of a box coordinate or score between torch and ONNX Runtime."""

EXPORT_WINDOWS = 100
"""Windows on which torch and ONNX Runtime have to agree."""

NUDGE = np.float32(1 + 1e-6)
"""A change of the input that no result should depend on."""


def export(detector: nn.Module, contract: ModelContract, path: Path) -> None:
    """Write the model file; an existing file stays intact until the new one is complete.

    Args:
        detector: trained and calibrated; see `calibrated.StudentDetector`.
        contract: its metadata; gives the input's shape.
        path: the file.
    """
    detector = detector.eval().cpu()
    example = torch.zeros(1, *contract.input_shape)
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter is deprecated but works; the newer one lacks NonMaxSuppression.
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        # Shapes are read as integers on purpose: the input has one shape.
        warnings.filterwarnings('ignore', category=torch.jit.TracerWarning)
        warnings.filterwarnings('ignore', category=UserWarning)
        torch.onnx.export(
            detector,
            (example,),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=['spectrogram'],
            output_names=['boxes', 'scores', 'labels'],
            dynamic_axes={'boxes': {0: 'N'}, 'scores': {0: 'N'}, 'labels': {0: 'N'}},
        )
    model = onnx.load_from_string(buffer.getvalue())
    write_metadata(model, contract)
    onnx.checker.check_model(model)
    with write_atomically(path) as file:
        file.write(model.SerializeToString())


def differences(detector: nn.Module, path: Path, spectrograms: list[np.ndarray]) -> np.ndarray:
    """Measure how far torch and ONNX Runtime differ on each window.

    Each box is compared with the nearest one on the other side, as equal scores have no order.

    Args:
        detector: what was exported.
        path: the model file.
        spectrograms: (32, n_mels, frames) float32 windows.

    Returns:
        Per window the largest difference of a box coordinate (fraction of the image) or score;
        infinity where one side has boxes and the other one none. NaN where the comparison decides
        nothing: torch itself predicts other boxes when its input changes by a millionth, as for
        networks that have learned nothing and score all boxes alike.
    """
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    detector.eval()
    apart = []
    for spectrogram in spectrograms:
        batch = np.ascontiguousarray(spectrogram[None], np.float32)
        boxes, scores, _ = session.run(['boxes', 'scores', 'labels'], {'spectrogram': batch})
        exported = np.column_stack([boxes, scores])
        expected = _boxes_and_scores(detector, batch)
        difference = _farthest(expected, exported)
        if (
            difference > TOLERANCE
            and _farthest(expected, _boxes_and_scores(detector, batch * NUDGE)) > TOLERANCE
        ):
            difference = np.nan
        apart.append(difference)
    return np.array(apart)


def check_export(
    detector: nn.Module, path: Path, spectrograms: list[np.ndarray]
) -> tuple[float, int]:
    """Check that the largest of `differences` is within `TOLERANCE`.

    Returns:
        The largest difference, and the number of windows that decide; NaN if none does.

    Raises:
        AvdetError: file and network differ.
    """
    apart = differences(detector, path, spectrograms)
    decided = apart[~np.isnan(apart)]
    worst = float(decided.max()) if len(decided) else float('nan')
    if worst > TOLERANCE:
        raise AvdetError(
            f'{path}: expected torch and ONNX Runtime within {TOLERANCE:g} on '
            f'{len(spectrograms)} windows, found {worst:g} apart'
        )
    return worst, len(decided)


def _boxes_and_scores(detector: nn.Module, batch: np.ndarray) -> np.ndarray:
    """(N, 5) boxes and scores."""
    with torch.inference_mode():
        boxes, scores, _ = detector(torch.from_numpy(batch))
    return np.column_stack([boxes.numpy(), scores.numpy()])


def _farthest(first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance of a row to the nearest one of the other side, in both directions."""
    if not len(first) or not len(second):
        return 0.0 if len(first) == len(second) else float('inf')
    distance = np.abs(first[:, None] - second[None]).max(axis=2)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))
