"""A model file whose convolutions are in whole numbers of 8 bits, for CPUs: half the time.

Weights get one scale a channel, activations one each, from what they are on some windows. A
convolution that reads what the microphones gave stays in float32: levels and coherences share no
scale, and it costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def write_int8(path: Path, out: Path, spectrograms: Sequence[np.ndarray]) -> None:
    """Convert a model file, keeping input, outputs and metadata as they are.

    Args:
        path: the float32 model, for one rig (contract 1).
        out: the model in 8 bits.
        spectrograms: (32, n_mels, frames) windows, which the scales are taken from: a hundred of
            the training windows.

    Raises:
        AvdetError: it cannot be converted.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    _, contract = read_model(path)
    if contract.contract_version != FIXED_RIG:
        raise AvdetError(
            f'{path}: expected a model for one rig (contract {FIXED_RIG}), '
            f'found contract {contract.contract_version}'
        )
    model = onnx.load(path)
    inner = inner_convolutions(model.graph)
    if not inner:
        raise AvdetError(f'{path}: expected convolutions behind a first one, found none')
    with tempfile.TemporaryDirectory(prefix='avdet-') as folder:
        made = Path(folder) / out.name
        level = logging.getLogger().level
        try:
            logging.getLogger().setLevel(logging.ERROR)  # it advises to optimise first
            quantize_static(
                str(path),
                str(made),
                _Windows(spectrograms),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                # Weights of 7 bits: processors without VNNI add two products of 8 in 16 bits.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=['Conv'],
                nodes_to_quantize=inner,
            )
        except Exception as error:  # it raises errors of many kinds
            raise AvdetError(
                f'{path}: expected a model that 8 bits can hold, found {one_line(error)}'
            ) from error
        finally:
            logging.getLogger().setLevel(level)
        whole = onnx.load(made)
    del whole.metadata_props[:]
    whole.metadata_props.extend(model.metadata_props)
    with write_atomically(out) as file:
        file.write(whole.SerializeToString())


def inner_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that read what another one gave.

    Args:
        graph: nodes in the order in which they are computed, as ONNX demands.
    """
    behind: set[str] = set()
    names = []
    for node in graph.node:
        is_behind = any(name in behind for name in node.input)
        if node.op_type == 'Conv' and is_behind:
            names.append(node.name)
        if node.op_type == 'Conv' or is_behind:
            behind.update(node.output)
    return names


def run_on_cpu(
    path: Path, spectrograms: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Boxes, in parts of the image, and scores of a model for one rig on windows.

    Args:
        path: the model.
        spectrograms: (32, n_mels, frames) each.
    """
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    for spectrogram in spectrograms:
        yield tuple(session.run(['boxes', 'scores'], {'spectrogram': spectrogram[None]}))


class _Windows:
    """Hands the windows to the quantiser, which asks for one after the other."""

    def __init__(self, spectrograms: Sequence[np.ndarray]) -> None:
        self._next = iter(spectrograms)

    def get_next(self) -> dict[str, np.ndarray] | None:
        spectrogram = next(self._next, None)
        return None if spectrogram is None else {'spectrogram': spectrogram[None]}
