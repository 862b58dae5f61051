"""Reader for model files, which are not trusted.

A model file is input like any other. Before anything runs it, it is read once with a size limit,
parsed, searched for references to other files and checked against the contract.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import CHANNELS, PAIRS, PAIRS_BY_COUNT
from avdet_ros.detection.contract import ANY_ARRAY, FIXED_RIG, KEY_PREFIX, ModelContract
from avdet_ros.detection.mounting import Mounting
from avdet_ros.detection.taught_ranges import RANGE_NAMES, TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.fields import Field
from avdet_ros.files import read_bounded
from avdet_ros.paths import found_or_shipped
from avdet_ros.quoting import brief_repr, one_line
from avdet_ros.rig import MICROPHONES, Rig

if TYPE_CHECKING:
    import onnx

LARGEST_MODEL_BYTES = 512 << 20
"""Larger files are refused unread: protobuf's limit is 2 GiB, a student has a few MB."""

_LARGEST_VALUE_CHARS = 1 << 20

_MOST_VALUES = 1024
"""Largest number of directions in the input `steering`."""

_POINTS = f'a JSON list of {MICROPHONES} points of 3 numbers in metres'


def read_model(path: str | Path) -> tuple[bytes, ModelContract]:
    """Read a model file and its contract, without running it.

    Args:
        path: an ONNX file.

    Returns:
        The file's bytes, from which a session can be created, and its contract.

    Raises:
        AvdetError: the file is missing, too large or corrupt, refers to other files, or a key is
            missing or invalid; the message names file and key.
    """
    import onnx

    content = read_bounded(Path(path), LARGEST_MODEL_BYTES, 'model file')
    if not content:
        raise AvdetError(f'{path}: expected an ONNX model, found an empty file')
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's decode errors differ between its implementations
        raise AvdetError(
            f'{path}: expected an ONNX model, found other bytes ({one_line(error)})'
        ) from error
    if not model.graph.node:
        raise AvdetError(f'{path}: expected an ONNX model, found a file without a graph')
    _refuse_other_files(model, path)
    contract = _parse_metadata(model, path)
    _check_graph(model.graph, contract, path)
    return content, contract


def _refuse_other_files(model: onnx.ModelProto, path: str | Path) -> None:
    import onnx

    for message in _messages(model):
        if isinstance(message, onnx.TensorProto):
            if message.data_location == onnx.TensorProto.EXTERNAL or message.external_data:
                raise AvdetError(
                    f'{path}: expected a model that holds all its weights, found the tensor '
                    f'{message.name[:80]!r} in another file'
                )
        # ONNX Runtime's compiled-context node refers to another file if it is not embedded.
        elif isinstance(message, onnx.NodeProto) and message.op_type == 'EPContext':
            raise AvdetError(f'{path}: expected a plain ONNX model, found an EPContext node')


def _messages(message: Any) -> Iterator[Any]:
    """Iterate over every message inside a protobuf message, such as subgraphs and attributes."""
    waiting = [message]
    while waiting:
        current = waiting.pop()
        yield current
        for descriptor, value in current.ListFields():
            if descriptor.message_type is not None:
                waiting.extend([value] if hasattr(value, 'ListFields') else value)


def _parse_metadata(model: onnx.ModelProto, path: str | Path) -> ModelContract:
    values: dict[str, str] = {}
    for entry in model.metadata_props:
        if entry.key in values and entry.key.startswith(KEY_PREFIX):
            raise AvdetError(f'{path}: {entry.key}: expected once, found twice')
        values[entry.key] = entry.value
    keys = _Keys(values, path)
    version = keys.integer('contract_version', 0, 1 << 20)
    if version not in (FIXED_RIG, ANY_ARRAY):
        raise keys.error('contract_version', f'{FIXED_RIG} or {ANY_ARRAY}', str(version))
    return ModelContract(
        contract_version=version,
        sample_rate_hz=keys.integer('sample_rate', 8000, 192000),
        window_s=keys.number('window_s', 0.01, 60),
        n_fft=keys.integer('n_fft', 16, 1 << 16),
        hop_length=keys.integer('hop_length', 1, 1 << 16),
        n_mels=keys.integer('n_mels', 1, 1024),
        features=keys.names('features', 1, 1024),
        label_offset_s=keys.number('label_offset_s', -60, 60),
        classes=keys.names('classes', 1, 1),
        recipe=keys.text('recipe'),
        data=keys.text('data'),
        metrics=keys.mapping('metrics'),
        git_commit=keys.text('git_commit'),
        **(_parse_fixed_rig(keys) if version == FIXED_RIG else _parse_any_array(keys)),
    )


def _parse_fixed_rig(keys: _Keys) -> dict[str, Any]:
    """Parse the fields that only contract 1 has."""
    return {
        'image_width_px': keys.integer('image_width', 16, 16384),
        'image_height_px': keys.integer('image_height', 16, 16384),
        'microphones_m': keys.array('microphones', (MICROPHONES, 3), 1e3, _POINTS),
        'mounting': _parse_mounting(keys),
    }


def _parse_mounting(keys: _Keys) -> Mounting | None:
    """Parse the mounting of camera and array in training; None in older files without it."""
    shapes: dict[str, tuple[int, ...]] = {
        'focal_px': (2,),
        'principal_px': (2,),
        'camera_position_m': (3,),
        'camera_rotation': (3, 3),
        'array_position_m': (3,),
        'array_yaw_deg': (),
    }
    if not any(KEY_PREFIX + key in keys.values for key in shapes):
        return None
    values: dict[str, Any] = {key: keys.array(key, shape, 1e5) for key, shape in shapes.items()}
    if values['focal_px'].min() <= 0:
        raise keys.error('focal_px', 'positive numbers', brief_repr(keys.text('focal_px')))
    turn = values['camera_rotation']
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3:
        raise keys.error('camera_rotation', 'a rotation', brief_repr(keys.text('camera_rotation')))
    return Mounting(**{**values, 'array_yaw_deg': float(values['array_yaw_deg'])})


def front_end_for(rig: Rig, *paths: str | Path) -> FrontEnd:
    """Return the front end that models require on a rig: with 12 microphone pairs or with all 28.

    A front end with all pairs serves models of both kinds, see `Detector.detect`. For a model that
    is already loaded, use `Detector.front_end`, which reads no file.

    Args:
        rig: the vehicle's rig.
        *paths: the models' files, or names of shipped ones.

    Raises:
        AvdetError: a file is not a model that fulfils the contract.
    """
    counts = [read_model(found_or_shipped(path))[1].pair_count for path in paths]
    return FrontEnd.of(rig, max(counts, default=len(PAIRS)))


def _parse_any_array(keys: _Keys) -> dict[str, Any]:
    """Parse the fields that only contract 2 has."""
    count = len(keys.names('features', 1, 1024))
    if count not in CHANNELS:
        words = ' or '.join(str(2 * pairs) for pairs in PAIRS_BY_COUNT)
        expected = f'{MICROPHONES} levels and {words} coherences'
        raise keys.error('features', expected, f'{count} names')
    # In files without this key, boxes are seen from the array's centre.
    eye_height_m = None
    if KEY_PREFIX + 'eye_height_m' in keys.values:
        eye_height_m = keys.number('eye_height_m', 0, 10)
    ranges = {}
    for name in RANGE_NAMES:
        ends = keys.array(name, (2,), 1e3)
        if not 0 <= ends[0] <= ends[1]:
            raise keys.error(name, 'two rising numbers', brief_repr(keys.text(name)))
        ranges[name] = (float(ends[0]), float(ends[1]))
    return {
        'image_width_px': None,
        'image_height_px': None,
        'microphones_m': None,
        'azimuths_deg': keys.array('azimuths_deg', (None,), 720.0),
        'ranges': TaughtRanges(**ranges),
        'eye_height_m': eye_height_m,
    }


def _check_graph(graph: onnx.GraphProto, contract: ModelContract, path: str | Path) -> None:
    import onnx

    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    tensors: dict[str, tuple[int, tuple[int | None, ...]]] = {
        'spectrogram': (onnx.TensorProto.FLOAT, (1, *contract.input_shape)),
        'boxes': (onnx.TensorProto.FLOAT, (None, 4)),
        'scores': (onnx.TensorProto.FLOAT, (None,)),
        'labels': (onnx.TensorProto.INT64, (None,)),
        'range_m': (onnx.TensorProto.FLOAT, (None, 3)),
    }
    if contract.steering_shape is not None:
        tensors['steering'] = (onnx.TensorProto.FLOAT, contract.steering_shape)
    for kind, values, names in (
        ('input', inputs, contract.input_names),
        ('output', list(graph.output), contract.output_names),
    ):
        found = {value.name: value.type.tensor_type for value in values}
        if found.keys() != set(names) or len(values) != len(names):
            # A name that is not UTF-8 is bytes.
            listed = ', '.join(str(name) for name in found)[:200] or 'none'
            raise AvdetError(f'{path}: {kind}s: expected {", ".join(names)}, found {listed}')
        for name in names:
            type_, shape = tensors[name]
            expected = f'{_type_name(type_)} {_shape_text(shape)}'
            actual = tuple(
                dim.dim_value if dim.HasField('dim_value') else None
                for dim in found[name].shape.dim
            )
            unranked = not found[name].HasField('shape') and kind == 'output'
            fits = unranked or (
                len(actual) == len(shape)
                and all(
                    a == b or a is None or b is None for a, b in zip(actual, shape, strict=True)
                )
            )
            if found[name].elem_type != type_ or not fits:
                actual_text = f'{_type_name(found[name].elem_type)} {_shape_text(actual)}'
                raise AvdetError(
                    f'{path}: {kind} {name}: expected {expected}, found {actual_text}'
                )


def _type_name(elem_type: int) -> str:
    import onnx

    try:
        return onnx.TensorProto.DataType.Name(elem_type).lower()
    except ValueError:
        return f'type {elem_type}'


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return '[' + ', '.join('N' if size is None else str(size) for size in shape) + ']'


class _Keys:
    """The metadata of a file, with errors that name file and key."""

    def __init__(self, values: dict[str, str], path: str | Path) -> None:
        self.values, self.path = values, path

    def error(self, key: str, expected: str, found: str) -> AvdetError:
        return AvdetError(f'{self.path}: {KEY_PREFIX}{key}: expected {expected}, found {found}')

    def text(self, key: str) -> str:
        value = self.values.get(KEY_PREFIX + key)
        if value is None:
            raise self.error(key, 'a value', 'none: the key is missing')
        if len(value) > _LARGEST_VALUE_CHARS:
            raise self.error(key, f'at most {_LARGEST_VALUE_CHARS} characters', str(len(value)))
        return value

    def number(self, key: str, low: float, high: float) -> float:
        where = f'{self.path}: {KEY_PREFIX}{key}'
        return Field(float, low, high).parse(self.text(key), where)

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.number(key, low, high)
        if value % 1:
            raise self.error(
                key, f'a whole number from {low} to {high}', brief_repr(self.text(key))
            )
        return int(value)

    def json(self, key: str, expected: str) -> Any:
        text = self.text(key)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(key, expected, brief_repr(text)) from error

    def names(self, key: str, fewest: int, most: int) -> tuple[str, ...]:
        expected = 'a JSON list of ' + (
            f'{fewest} to {most} names' if most > fewest else 'one name'
        )
        value = self.json(key, expected)
        if (
            not isinstance(value, list)
            or not fewest <= len(value) <= most
            or not all(isinstance(name, str) and 1 <= len(name) <= 200 for name in value)
        ):
            raise self.error(key, expected, brief_repr(value))
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.json(key, 'a JSON object')
        if not isinstance(value, dict):
            raise self.error(key, 'a JSON object', brief_repr(value))
        return value

    def array(
        self, key: str, shape: tuple[int | None, ...], largest: float, description: str = ''
    ) -> np.ndarray:
        """Parse numbers of a given shape; None stands for a size of 1 to `_MOST_VALUES`."""
        sizes = ' x '.join(f'1 to {_MOST_VALUES}' if size is None else str(size) for size in shape)
        expected = description or (f'a JSON list of {sizes} numbers' if shape else 'a number')
        value = self.json(key, expected)
        try:
            numbers = np.array(value, np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(key, expected, brief_repr(value)) from error
        fits = numbers.ndim == len(shape) and all(
            size == length or (length is None and 1 <= size <= _MOST_VALUES)
            for size, length in zip(numbers.shape, shape, strict=True)
        )
        if not fits or not np.all(np.abs(numbers) < largest):
            raise self.error(key, expected, brief_repr(value))
        return numbers
