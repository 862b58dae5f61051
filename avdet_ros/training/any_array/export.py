"""Export a `BearingDetector` to a model file of contract 2, and check that both agree."""

from __future__ import annotations

from dataclasses import asdict
import io
import json
from pathlib import Path
import warnings

import numpy as np
import onnx
import onnxruntime
import torch

from avdet_ros.detection.contract import ModelContract, write_metadata
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.training.any_array.detector import BearingDetector
from avdet_ros.training.any_array.fitting.start_weights import SHAPE_KEY

OPSET = 17
"""ONNX Runtime has supported all of its operators since 1.12."""

TOLERANCE = 1e-3
"""Largest difference of a box's side (at distance 1), a score or a range's logarithm between torch
and ONNX Runtime: a millimetre per metre."""

NUDGE = np.float32(1 + 1e-6)
"""A change of the input that no result should depend on."""

Window = tuple[np.ndarray, np.ndarray]
"""Spectrogram (32, n_mels, frames) and steering (n_mels, A, 24), float32."""


def export_any_array(detector: BearingDetector, contract: ModelContract, path: Path) -> None:
    """Write the model file; an existing file stays intact until the new one is complete.

    The file holds every weight under its own name, none folded into another, and the network's
    sizes, so that training can start from it (`start_weights`). ONNX Runtime folds on loading.

    Args:
        detector: trained and calibrated.
        contract: the file's metadata; gives the inputs' shapes.
        path: the file.
    """
    detector = detector.eval().cpu()
    if contract.steering_shape is None:
        raise ValueError('steering_shape: expected that of a model for any array, found None')
    example = (torch.zeros(1, *contract.input_shape), torch.zeros(*contract.steering_shape))
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter is deprecated but works; shapes are read as integers on purpose.
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        warnings.filterwarnings('ignore', category=torch.jit.TracerWarning)
        warnings.filterwarnings('ignore', category=UserWarning)
        torch.onnx.export(
            detector,
            example,
            buffer,
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=contract.input_names,
            output_names=contract.output_names,
            dynamic_axes={name: {0: 'N'} for name in contract.output_names},
        )
    model = onnx.load_from_string(buffer.getvalue())
    write_metadata(model, contract)
    model.metadata_props.add(key=SHAPE_KEY, value=json.dumps(asdict(detector.network.shape)))
    onnx.checker.check_model(model)
    with write_atomically(path) as file:
        file.write(model.SerializeToString())


def check_export(detector: BearingDetector, path: Path, windows: list[Window]) -> float:
    """Check that the file finds what the network finds.

    Args:
        detector: what was exported.
        path: the model file.
        windows: to compare on.

    Returns:
        The largest difference, see `TOLERANCE`. Windows where the result of torch itself differs
        when its input changes by a millionth do not count; NaN if there are no others.

    Raises:
        AvdetError: file and network differ.
    """
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    detector.eval()
    worst = np.nan
    for spectrogram, steering in windows:
        feed = {'spectrogram': spectrogram[None], 'steering': steering}
        exported = _rows(session.run(['boxes', 'scores', 'range_m'], feed))
        expected = _torch_rows(detector, spectrogram, steering)
        apart = _farthest(expected, exported)
        if apart > TOLERANCE:
            nudged = _torch_rows(detector, spectrogram * NUDGE, steering)
            if _farthest(expected, nudged) > TOLERANCE:
                continue
        worst = np.fmax(worst, apart)
    if worst > TOLERANCE:
        raise AvdetError(
            f'{path}: expected torch and ONNX Runtime within {TOLERANCE:g} on {len(windows)} '
            f'windows, found {worst:g} apart'
        )
    return float(worst)


def _torch_rows(
    detector: BearingDetector, spectrogram: np.ndarray, steering: np.ndarray
) -> np.ndarray:
    with torch.inference_mode():
        boxes, scores, _, range_m = detector(
            torch.from_numpy(spectrogram[None]), torch.from_numpy(steering)
        )
    return _rows([part.numpy() for part in (boxes, scores, range_m)])


def _rows(parts: list[np.ndarray]) -> np.ndarray:
    boxes, scores, range_m = parts
    return np.column_stack([boxes, scores, np.log(range_m)])


def _farthest(first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance of a row to the nearest one of the other side, in both directions."""
    if not len(first) or not len(second):
        return 0.0 if len(first) == len(second) else float('inf')
    distance = np.abs(first[:, None] - second[None]).max(axis=2)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))
