"""Weights that training starts from: those of another run, or of a model file.

A trained network is fine-tuned, on one's own array and drives, or trained to the end of an
interrupted schedule. The optimiser starts fresh, so the learning rate rises again from zero; it
should be a third or less of the one that the weights were trained with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.taught_ranges import RANGE_NAMES, TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.paths import found_or_shipped
from avdet_ros.training.any_array.bearing_first import OWN, BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.run_file import BEST, no_run_file, read_run_file

if TYPE_CHECKING:
    import onnx

SHAPE_KEY = 'avdet.shape'
"""Key in a model file's metadata: sizes of its `BearingFirst`, JSON."""

CURVE = ('calibration.logits', 'calibration.scores')
"""Names of the score curve's tensors in a model file."""

PREFIX = 'network.'
"""Prefix of the names of the network's weights in a model file."""


@dataclass(frozen=True)
class StartWeights:
    """A saved network.

    Attributes:
        shape: its sizes.
        weights: its parameters and buffers, on the CPU.
        ranges: the arrays it was trained with; None if an older version did not record them.
    """

    shape: BearingShape
    weights: dict[str, Tensor]
    ranges: TaughtRanges | None = None

    def network(self) -> BearingFirst:
        """Return a network with these weights."""
        network = BearingFirst(self.shape)
        network.load_state_dict(self.weights)
        return network

    def with_own_columns(self) -> StartWeights:
        """Return these with own columns, copies of the shared ones, see `BearingShape`."""
        if self.shape.own_columns:
            return self
        own = {
            f'own.{name}': value
            for name, value in self.weights.items()
            if name.split('.')[0] in OWN
        }
        shape = replace(self.shape, own_columns=True)
        return StartWeights(shape, {**self.weights, **own}, self.ranges)


def read_start_weights(path: str | Path) -> StartWeights:
    """Read the weights to start from.

    Args:
        path: a run's folder, its ``best.pt``, or a model file that `export_any_array` wrote; the
            name of a shipped one is enough.

    Raises:
        AvdetError: it is none of these, or cannot be read.
    """
    path = found_or_shipped(path)
    if path.is_dir():
        path = path / BEST
    if path.suffix == '.onnx':
        start = _of_model_file(path)
    else:
        start = _of_run(path)
    try:
        start.network()
    except RuntimeError as error:
        raise AvdetError(
            f'{path}: expected the weights of a bearing-first network, found '
            f'{" ".join(str(error).split()):.120}'
        ) from error
    return start


def check_same_shape(path: str | Path, found: BearingShape, required: BearingShape) -> None:
    """Check that a run's network has the shape of the weights it starts from.

    Raises:
        AvdetError: the shapes differ.
    """
    for key, value in asdict(found).items():
        if (expected := asdict(required)[key]) != value:
            raise AvdetError(f'{path}: {key}: expected {expected}, found {value}')


def read_ranges(saved: dict[str, Any]) -> TaughtRanges | None:
    """Return the arrays that a run was trained with, from its file; None if not recorded."""
    ranges = saved.get('ranges')
    return ranges and TaughtRanges(**{name: tuple(ends) for name, ends in ranges.items()})


def joined_ranges(first: TaughtRanges | None, second: TaughtRanges) -> TaughtRanges:
    """Merge two sets of ranges: from the lower minimum to the higher maximum of each."""
    if first is None:
        return second
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in RANGE_NAMES}
    return TaughtRanges(
        **{name: (min(a[0], b[0]), max(a[1], b[1])) for name, (a, b) in pairs.items()}
    )


def _of_run(path: Path) -> StartWeights:
    saved = read_run_file(path, 'shape', 'network')
    try:
        shape = BearingShape(**{**saved['shape'], 'unblurred_bands': _bands(saved['shape'])})
        return StartWeights(shape, saved['network'], read_ranges(saved))
    except (KeyError, TypeError, AttributeError) as error:
        raise no_run_file(path, repr(error)) from error


def read_curve(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the curve from logits to scores of a model file that `export_any_array` wrote.

    Args:
        path: the file; the name of a shipped one is enough.

    Returns:
        logits, scores: see `Calibration.set`.

    Raises:
        AvdetError: it is not such a file, or has no curve.
    """
    import onnx

    path = found_or_shipped(path)
    values = _values(onnx.load_from_string(read_model(path)[0]))
    if missing := [name for name in CURVE if name not in values]:
        raise AvdetError(f'{path}: expected a curve of scores, found no {missing[0]}')
    logits, scores = (np.array(onnx.numpy_helper.to_array(values[name])) for name in CURVE)
    return logits, scores


def _of_model_file(path: Path) -> StartWeights:
    import onnx

    try:
        content, contract = read_model(path)
        model = onnx.load_from_string(content)
        about = {entry.key: entry.value for entry in model.metadata_props}
        if SHAPE_KEY not in about:
            raise AvdetError(
                f"{path}: expected a model file that holds its network's sizes ({SHAPE_KEY}), "
                'found none; begin with best.pt of its run'
            )
        shape = json.loads(about[SHAPE_KEY])
        shape = BearingShape(**{**shape, 'unblurred_bands': _bands(shape)})
        weights = {
            name.removeprefix(PREFIX): torch.from_numpy(
                np.array(onnx.numpy_helper.to_array(value))
            )
            for name, value in _values(model).items()
            if name.startswith(PREFIX)
        }
    except AvdetError:
        raise
    except Exception as error:  # protobuf, JSON and the system have no common base class
        raise AvdetError(
            f'{path}: expected a model file of any-array, found '
            f'{" ".join(str(error).split()):.120}'
        ) from error
    # Model files omit the batch counters of batch normalisation.
    fresh = BearingFirst(shape).state_dict()
    counts = {name: value for name, value in fresh.items() if name.endswith('batches_tracked')}
    return StartWeights(shape, counts | weights, contract.ranges)


def _values(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the weights and other constants of a model file by name."""
    values = {value.name: value for value in model.graph.initializer}
    # The exporter keeps equal weights only once; Identity nodes make the others.
    copies = {
        node.output[0]: values[node.input[0]]
        for node in model.graph.node
        if node.op_type == 'Identity' and node.input[0] in values
    }
    return values | copies


def _bands(shape: dict[str, Any]) -> tuple[int, ...]:
    return tuple(shape['unblurred_bands'])  # JSON knows lists only
