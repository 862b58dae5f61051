"""Malformed messages, each with words that a node must use to reject it."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.features import FrontEnd
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_sound,
    encode_spectrogram,
)

_STAMP_NS = 5_000_000_000
MANY = 10_000


def bad_spectrograms(front_end: FrontEnd | None = None) -> dict[str, Image]:
    """Return spectrograms for the detector, by words of the rejection."""
    front_end = front_end or FrontEnd()
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)
    features = np.full(shape, -60, np.float32)
    nan = features.copy()
    nan[3, 4, 5] = np.nan
    good = _spectrogram(features)
    step, encoding, empty, short = (_spectrogram(features) for _ in range(4))
    step.step = 4
    encoding.encoding = 'bgr8'
    empty.encoding = '32FC0'
    short.data = short.data[:-4]
    return {
        'expected finite numbers': _spectrogram(nan),
        f'expected shape {shape}': _spectrogram(features[:, :40]),
        "found encoding 'bgr8'": encoding,
        "found encoding '32FC0'": empty,
        'found step 4': step,
        f'and {len(good.data) - 4} bytes': short,
        'expected a stamp in the header': _spectrogram(features, 0),
    }


def bad_sound() -> dict[str, Image]:
    """Return blocks of sound for a capture with source:=topic, by words of the rejection."""
    block = np.ones((882, 8), np.int16)
    head = encode_header(_STAMP_NS, 'microphone_array')
    picture, short, none, step = (encode_sound(head, block) for _ in range(4))
    picture.encoding = 'rgb8'
    short.data = short.data[:-2]
    none.encoding = '16SC0'
    step.step = 3
    nan = block.astype(np.float32)
    nan[5, 4] = np.nan
    return {
        "found encoding '16SC7'": encode_sound(head, block[:, :7]),
        "found encoding 'rgb8'": picture,
        "found encoding '16SC0'": none,
        f'found step 16 and {882 * 16 - 2} bytes': short,
        'found step 3': step,
        'expected a stamp': encode_sound(encode_header(0, 'x'), block),
        'samples are not numbers': encode_sound(head, nan),
    }


def bad_detections(stamp_ns: int = _STAMP_NS) -> dict[str, Detection2DArray]:
    """Return boxes for the tracker, by words of the rejection; only the last has no stamp."""
    box = np.array([[100.0, 200.0, 300.0, 400.0]])
    head = encode_header(stamp_ns, 'camera_optical_frame')
    nan, inside_out, score = (encode_detections(head, box, np.array([0.9])) for _ in range(3))
    nan.detections[0].bbox.size_x = float('nan')
    inside_out.detections[0].bbox.size_y = -5.0
    score.detections[0].results[0].hypothesis.score = 3.0
    corner = np.random.default_rng(2).uniform(0, 1000, (MANY, 2))
    many = encode_detections(
        head, np.concatenate([corner, corner + 20], axis=1), np.full(MANY, 0.9)
    )
    return {
        'expected finite boxes': nan,
        'boxes in pixels': inside_out,
        'scores from 0 to 1': score,
        f'{MANY} detections at once': many,
        'expected a stamp': encode_detections(encode_header(0, 'x'), box, np.array([0.9])),
    }


def _spectrogram(features: np.ndarray, end_ns: int = _STAMP_NS) -> Image:
    return encode_spectrogram(encode_header(end_ns, 'microphone_array'), features)
