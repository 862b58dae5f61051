"""A model file with convolutions in 8-bit integers, for CPUs: half the time.

Weights have one scale per channel, activations one per tensor, from their values on some windows.
A convolution that reads the microphones' features stays in float32: levels and coherences have no
common scale, and its cost is negligible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
import io
import logging
from pathlib import Path
import tempfile

import numpy as np
import onnx
import onnxruntime

from avdet_ros.detection.contract import FIXED_RIG
from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.quoting import one_line

Feed = dict[str, np.ndarray]
"""Inputs by name: ``spectrogram`` (1, 32, n_mels, frames), for any array ``steering``, too."""


def write_int8(path: Path, out: Path, feeds: Iterable[Feed]) -> None:
    """Convert a model file, keeping inputs, outputs and metadata as they are.

    The last layers of a model for any array stay in float32: range logits of all columns have no
    common scale. Its scales leave out the largest hundred-thousandth of the values, which few
    windows reach (on validation windows .01 of AP@0.5 better than with the overall maximum).

    Args:
        path: the float32 model.
        out: the model in 8 bits.
        feeds: windows from which the scales are computed: a hundred of the training windows.

    Raises:
        AvdetError: it cannot be converted.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    content, contract = read_model(path)
    for_any_array = contract.contract_version != FIXED_RIG
    scales = CalibrationMethod.Percentile if for_any_array else CalibrationMethod.MinMax
    with tempfile.TemporaryDirectory(prefix='avdet-') as folder:
        whole = Path(folder) / 'float32.onnx'
        model = with_scales_folded(content, whole)
        inner = inner_convolutions(model.graph, with_last=not for_any_array)
        if not inner:
            raise AvdetError(f'{path}: expected convolutions behind a first one, found none')
        made = Path(folder) / out.name
        level = logging.getLogger().level
        try:
            logging.getLogger().setLevel(logging.ERROR)  # it advises to optimise first
            with contextlib.redirect_stdout(io.StringIO()):  # and reports its histograms
                quantize_static(
                    str(whole),
                    str(made),
                    _Windows(feeds),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    # Weights of 7 bits: processors without VNNI add two products of 8 in 16 bits.
                    reduce_range=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    op_types_to_quantize=['Conv'],
                    nodes_to_quantize=inner,
                    calibrate_method=scales,
                )
        except Exception as error:  # it raises errors of many kinds
            raise AvdetError(
                f'{path}: expected a model that 8 bits can hold, found {one_line(error)}'
            ) from error
        finally:
            logging.getLogger().setLevel(level)
        quantised = onnx.load(made)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(onnx.load_from_string(content).metadata_props)
    with write_atomically(out) as file:
        file.write(quantised.SerializeToString())


def with_scales_folded(content: bytes, path: Path) -> onnx.ModelProto:
    """Return a model with any batch normalisation folded into its convolutions.

    Model files for any array keep every weight under its own name; separate scales next to an
    8-bit convolution would be computed in float32, between two conversions.

    Args:
        content: of the model file.
        path: where the folded model is written.
    """
    model = onnx.load_from_string(content)
    if any(node.op_type == 'BatchNormalization' for node in model.graph.node):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
        return onnx.load(path)
    path.write_bytes(content)
    return model


def inner_convolutions(graph: onnx.GraphProto, with_last: bool = True) -> list[str]:
    """Return the names of the convolutions that read the output of another one.

    Args:
        graph: nodes in the order in which they are computed, as ONNX demands.
        with_last: also those whose output no other convolution reads.
    """
    behind: dict[str, set[str]] = {}
    names, read_on = [], set()
    for node in graph.node:
        before = set().union(*(behind.get(name, set()) for name in node.input))
        if node.op_type == 'Conv':
            if before:
                names.append(node.name)
            read_on |= before
            before = {node.name}
        behind.update(dict.fromkeys(node.output, before))
    return [name for name in names if with_last or name in read_on]


def run_on_cpu(path: Path, feeds: Iterable[Feed]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield boxes and scores of a model on windows; boxes are fractions of the image or angles.

    Args:
        path: the model.
        feeds: windows.
    """
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    for feed in feeds:
        yield tuple(session.run(['boxes', 'scores'], feed))


class _Windows:
    """Passes the windows to the quantiser, which reads them one by one."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._next = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._next, None)
