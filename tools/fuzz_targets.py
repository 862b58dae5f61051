"""Fuzz targets: readers of untrusted bytes, which may raise only `AvdetError`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
import json
from pathlib import Path
import struct
import tempfile
from types import SimpleNamespace

import numpy as np

from avdet_ros.bags.reader import Bag, BagMessage, decode
from avdet_ros.bags.writer import BagWriter
from avdet_ros.dataset.coco import read_coco_boxes
from avdet_ros.detection.contract import contract_for, contract_for_any_array, write_metadata
from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.detection.taught_ranges import TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    COMPRESSED_IMAGE,
    DETECTIONS,
    decode_detections,
    decode_picture,
    decode_sound,
    decode_spectrogram,
)
from avdet_ros.messages.encode_offline import make_detections, make_header, make_image
from avdet_ros.paths import share
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import read_whole
from avdet_ros.training.recipes.read import read_recipe

RATE_HZ = 44100
_IMAGE = 'sensor_msgs/msg/Image'
_TYPES = (_IMAGE, COMPRESSED_IMAGE, DETECTIONS)
_LONGEST_S = 60.0
_HEAD = struct.Struct('<BHIIIBi')
_ENCODINGS = (
    '16SC8',
    '32FC8',
    '32FC32',
    'bgr8',
    'rgb8',
    'rgba8',
    'bgra8',
    'mono8',
    'mono16',
    '32FC1',
    '32FC0',
    '16SC7',
    '32FC²',
    '32FC' + '9' * 5000,
)
_OF_CAMERAS = (
    'bayer_rggb8',
    'bayer_gbrg16',
    'yuv422',
    'yuv422_yuy2',
    'nv12',
    'nv21',
    'rgb16',
    '16UC1',
    '8UC3',
)
_CAMERA = 64
"""Kinds from this number on use encodings of cameras."""

_FREE = 128
"""Kinds from this number on take their encoding from the end of the data."""


def image(data: bytes) -> None:
    """Pass an Image whose fields contradict its data to every reader of images."""
    if len(data) < _HEAD.size:
        return
    kind, length, height, width, step, big, stamp = _HEAD.unpack_from(data)
    known = _ENCODINGS if kind < _CAMERA else _OF_CAMERAS
    encoding = known[(kind % _CAMERA) % len(known)]
    if kind >= _FREE:
        encoding = data[max(0, len(data) - length) :].decode('latin-1')
    message = SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp, nanosec=0), frame_id=''),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big,
        step=step,
        data=np.frombuffer(data[_HEAD.size :], np.uint8),
    )
    for read in (decode_sound, decode_spectrogram, decode_picture):
        with suppress(AvdetError):
            read(message, 'fuzz')


def cdr(data: bytes) -> None:
    """Read a serialized message; the first byte selects one of our types."""
    if not data:
        return
    msgtype = _TYPES[data[0] % len(_TYPES)]
    message = decode(BagMessage('/fuzz', msgtype, 0, data[1:]))
    if msgtype == DETECTIONS:
        decode_detections(message)
    else:
        decode_picture(message, 'fuzz')


def rig(data: bytes) -> None:
    """Read a rig file."""
    with _file(data, '.yaml') as path:
        load_rig(path)


def recipe(data: bytes) -> None:
    """Read a recipe."""
    with _file(data, '.yaml') as path:
        read_recipe(path)


def model(data: bytes) -> None:
    """Read a model file."""
    with _file(data, '.onnx') as path:
        read_model(path)


def metadata(data: bytes) -> None:
    """Read a valid model file with one metadata value replaced."""
    _with_another_value(_model(), data)


def metadata_any_array(data: bytes) -> None:
    """Read a valid model file for any array with one metadata value replaced."""
    _with_another_value(_model(any_array=True), data)


def _with_another_value(content: bytes, data: bytes) -> None:
    import onnx

    proto = onnx.load_model_from_string(content)
    if data:
        entry = proto.metadata_props[data[0] % len(proto.metadata_props)]
        entry.value = data[1:].decode('utf-8', 'replace')
    with _file(proto.SerializeToString(), '.onnx') as path:
        read_model(path)


def sound(data: bytes) -> None:
    """Read a sound file."""
    with _file(data, '.wav') as path:
        read_whole(path, RATE_HZ, _LONGEST_S)


def bag(data: bytes) -> None:
    """Read a recording and decode every message."""
    with _file(data, '.mcap') as path, Bag(path) as opened:
        for message in opened.messages(list(opened.topics)):
            with suppress(AvdetError):
                decode(message)


def annotations(data: bytes) -> None:
    """Read boxes in COCO format."""
    with _file(data, '.json') as path:
        read_coco_boxes(path)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(image, cdr, rig, recipe, model, metadata, metadata_any_array, sound, bag),
        annotations,
    )
}
"""Fuzz targets by name."""


def run(name: str, data: bytes) -> bool:
    """Feed a target; return True if it accepts the input, False if it rejects it properly."""
    try:
        TARGETS[name](data)
    except AvdetError as error:
        if '\n' in str(error):
            raise AssertionError(f'more than one line: {error}') from error
        return False
    return True


def seeds(name: str) -> list[bytes]:
    """Return valid inputs to start from."""
    block = np.arange(64 * 8, dtype=np.int16).reshape(64, 8)
    found = {
        'image': lambda: _image_seeds(block),
        'cdr': _cdr_seeds,
        'rig': lambda: [share('config/rig.yaml').read_bytes()],
        'recipe': lambda: [
            path.read_bytes() for path in sorted(share('config/recipes').glob('*.yaml'))
        ],
        'model': lambda: [_model(), _model(any_array=True)],
        'metadata': lambda: _metadata_seeds(_model()),
        'metadata_any_array': lambda: _metadata_seeds(_model(any_array=True)),
        'sound': lambda: _sound_seeds(block),
        'bag': _bag_seeds,
        'annotations': _annotation_seeds,
    }
    return found[name]()


@cache
def _model(any_array: bool = False) -> bytes:
    from onnx import TensorProto, helper

    loaded = load_rig()
    from avdet_ros.audio.features import FrontEnd

    front_end = FrontEnd()
    shape = (1, len(front_end.feature_names), front_end.n_mels, front_end.frames)
    value = helper.make_tensor_value_info
    about = {'recipe': 'none', 'data': 'none'}
    inputs = [value('spectrogram', TensorProto.FLOAT, shape)]
    outputs = [
        value('boxes', TensorProto.FLOAT, ['n', 4]),
        value('scores', TensorProto.FLOAT, ['n']),
        value('labels', TensorProto.INT64, ['n']),
    ]
    contract = contract_for(loaded, front_end, -0.5, **about)
    if any_array:
        ranges = TaughtRanges((0.2, 1.5), (0.05, 0.8), (0.4, 2.2), (20.0, 56.0), (6.0, 8.0))
        contract = contract_for_any_array(front_end, -0.5, azimuth_grid(), ranges, **about)
        inputs.append(value('steering', TensorProto.FLOAT, contract.steering_shape))
        outputs.append(value('range_m', TensorProto.FLOAT, ['n', 3]))
    graph = helper.make_graph(
        [helper.make_node('Identity', ['spectrogram'], ['boxes'])], 'fuzz', inputs, outputs
    )
    proto = helper.make_model(graph)
    write_metadata(proto, contract)
    return proto.SerializeToString()


def _metadata_seeds(content: bytes) -> list[bytes]:
    import onnx

    values = onnx.load_model_from_string(content).metadata_props
    return [bytes([index]) + entry.value.encode() for index, entry in enumerate(values)]


def _image_seeds(block: np.ndarray) -> list[bytes]:
    data = block.tobytes()
    pictures = [
        _HEAD.pack(_ENCODINGS.index(encoding), 0, 16, 16, len(data) // 16, 0, 1) + data
        for encoding in ('bgra8', 'rgb8', 'mono16', '32FC1')
    ]
    pictures += [
        _HEAD.pack(_CAMERA + place, 0, 16, width, 64, 0, 1) + data
        for place, width in ((0, 64), (1, 32), (2, 32), (3, 32), (7, 32))
    ]
    free = b'32FC4'
    return [
        _HEAD.pack(_ENCODINGS.index('16SC8'), 0, 64, 1, 16, 0, 1) + data,
        *pictures,
        _HEAD.pack(_FREE, len(free), 1, 1, 16 + len(free), 0, 1) + bytes(16) + free,
    ]


def _cdr_seeds() -> list[bytes]:
    from avdet_ros.detection.boxes import Detections
    from avdet_ros.messages.typestore import typestore

    head = make_header(1_000_000_000, 'frame')
    picture = make_image(head, 'bgr8', 4, 4, np.zeros((4, 4, 3), np.uint8))
    boxes = Detections(np.array([[1, 2, 3, 4]], np.float32), np.array([0.5], np.float32))
    found = make_detections(head, boxes)
    serialize = typestore().serialize_cdr
    return [
        b'\0' + bytes(serialize(picture, _IMAGE)),
        b'\2' + bytes(serialize(found, DETECTIONS)),
    ]


def _sound_seeds(block: np.ndarray) -> list[bytes]:
    import soundfile

    found = []
    for kind in ('WAV', 'FLAC', 'WAVEX', 'W64', 'AIFF'):
        with tempfile.NamedTemporaryFile(suffix='.wav') as file:
            soundfile.write(file.name, block, RATE_HZ, format=kind, subtype='PCM_16')
            found.append(Path(file.name).read_bytes())
    return found


def _annotation_seeds() -> list[bytes]:
    images = [{'id': 1, 'file_name': 'a.jpg', 'width': 640, 'height': 480}]
    box = {'image_id': 1, 'category_id': 3, 'bbox': [10, 20, 30.5, 40], 'iscrowd': 0}
    found = []
    for name, number in (('car', 3), ('Vehicle.Truck', '3')):
        tree = {
            'images': images,
            'categories': [{'id': number, 'name': name}, {'id': 9, 'name': 'person'}],
            'annotations': [{'id': 1, **box, 'category_id': number}],
        }
        found.append(json.dumps(tree).encode())
    return found


def _bag_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        writer = BagWriter(Path(folder) / 'bag')
        for stamp_ns, data in enumerate(_cdr_seeds()[:1] * 3, 1):
            writer.write('/camera', _IMAGE, data[1:], stamp_ns)
        writer.close()
        return [path.read_bytes() for path in sorted(Path(folder).rglob('*.mcap'))]


@contextmanager
def _file(data: bytes, suffix: str) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        yield Path(file.name)
