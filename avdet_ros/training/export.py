"""From a trained student to the model file of the contract, and the proof that it is the same."""

from __future__ import annotations

import io
from pathlib import Path
import warnings

import numpy as np
import onnx
import onnxruntime
import torch

from avdet_ros.detection.contract import ModelContract, write_metadata
from avdet_ros.errors import AvdetError
from avdet_ros.training.detector import StudentDetector

OPSET = 17
"""Every operator in it is in ONNX Runtime since 1.12."""

TOLERANCE = 1e-4
"""Largest difference of a box coordinate or score between torch and ONNX Runtime."""


def export(detector: StudentDetector, contract: ModelContract, path: Path) -> None:
    """Write the model file; a file that is there stays whole until the new one is.

    Args:
        detector: trained and calibrated.
        contract: what the file says about itself; gives the input's shape.
        path: the file.
    """
    detector = detector.eval().cpu()
    example = torch.zeros(1, *contract.input_shape)
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter is frozen, not gone; the newer one cannot say NonMaxSuppression.
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        # Shapes are read as whole numbers on purpose: the input has one shape.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)


def largest_difference(
    detector: StudentDetector, path: Path, spectrograms: list[np.ndarray]
) -> float:
    """How far torch and ONNX Runtime are apart on some windows.

    Args:
        detector: what was exported.
        path: the model file.
        spectrograms: (32, n_mels, frames) float32 windows.

    Returns:
        Largest absolute difference of any box coordinate (in parts of the image) or score;
        infinity where they do not even report equally many boxes.
    """
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.0
    for spectrogram in spectrograms:
        batch = np.ascontiguousarray(spectrogram[None], np.float32)
        boxes, scores, _ = session.run(['boxes', 'scores', 'labels'], {'spectrogram': batch})
        with torch.inference_mode():
            ours, our_scores, _ = detector.eval()(torch.from_numpy(batch))
        if len(scores) != len(our_scores):
            return float('inf')
        if len(scores):
            worst = max(
                worst,
                float(np.abs(boxes - ours.numpy()).max()),
                float(np.abs(scores - our_scores.numpy()).max()),
            )
    return worst


def check_export(detector: StudentDetector, path: Path, spectrograms: list[np.ndarray]) -> float:
    """`largest_difference`, refused where it exceeds `TOLERANCE`.

    Raises:
        AvdetError: the file does not say what the network says.
    """
    worst = largest_difference(detector, path, spectrograms)
    if worst > TOLERANCE:
        raise AvdetError(
            f'{path}: expected torch and ONNX Runtime within {TOLERANCE:g} on '
            f'{len(spectrograms)} windows, found {worst:g} apart'
        )
    return worst
