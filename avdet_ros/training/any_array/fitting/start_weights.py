"""Weights that a fitting begins with: those of another run, or of a model file.

A network that hears already is taught further: on one's own array and drives, or to the end of a
schedule that was broken off. The optimiser begins afresh, so the learning rate rises again from
nothing; it should be a third or less of the one that the weights were learned with.
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
"""Of a model file's metadata: sizes of its `BearingFirst`, JSON."""

CURVE = ('calibration.logits', 'calibration.scores')
"""Names of a model file's curve of scores."""

PREFIX = 'network.'
"""Of the names of the network's weights in a model file."""


@dataclass(frozen=True)
class StartWeights:
    """A network as it was left.

    Attributes:
        shape: its sizes.
        weights: its parameters and buffers, on the CPU.
        ranges: the arrays it was taught with; None where a run of an older version says nothing.
    """

    shape: BearingShape
    weights: dict[str, Tensor]
    ranges: TaughtRanges | None = None

    def network(self) -> BearingFirst:
        """A network with these weights."""
        network = BearingFirst(self.shape)
        network.load_state_dict(self.weights)
        return network

    def with_own_columns(self) -> StartWeights:
        """The same, with own columns that are copies of the others, see `BearingShape`."""
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
    """Read the weights to begin with.

    Args:
        path: a run's folder, its ``best.pt``, or a model file that `export_any_array` wrote, also
            by the name of a shipped one.

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


def check_same_shape(path: str | Path, found: BearingShape, asked: BearingShape) -> None:
    """See that a run asks for a network like the one it begins with.

    Raises:
        AvdetError: it asks for another one.
    """
    for key, theirs in asdict(found).items():
        if (ours := asdict(asked)[key]) != theirs:
            raise AvdetError(f'{path}: {key}: expected {ours}, found {theirs}')


def read_ranges(saved: dict[str, Any]) -> TaughtRanges | None:
    """The arrays that a run was taught with, from its file; None where it does not say."""
    ranges = saved.get('ranges')
    return ranges and TaughtRanges(**{name: tuple(ends) for name, ends in ranges.items()})


def joined_ranges(ours: TaughtRanges | None, theirs: TaughtRanges) -> TaughtRanges:
    """From the lower low ends to the higher high ones."""
    if ours is None:
        return theirs
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in RANGE_NAMES}
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
    """The curve from logits to scores of a model file that `export_any_array` wrote.

    Args:
        path: the file, also by the name of a shipped one.

    Returns:
        logits, scores: see `Calibration.set`.

    Raises:
        AvdetError: it is no such file, or has no curve.
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
    # A file that is run needs no count of the batches it has seen.
    fresh = BearingFirst(shape).state_dict()
    counts = {name: value for name, value in fresh.items() if name.endswith('batches_tracked')}
    return StartWeights(shape, counts | weights, contract.ranges)


def _values(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Weights and other constants of a model file by name."""
    values = {value.name: value for value in model.graph.initializer}
    # The exporter keeps equal weights once: the others are made from it.
    copies = {
        node.output[0]: values[node.input[0]]
        for node in model.graph.node
        if node.op_type == 'Identity' and node.input[0] in values
    }
    return values | copies


def _bands(shape: dict[str, Any]) -> tuple[int, ...]:
    return tuple(shape['unblurred_bands'])  # JSON knows lists only
