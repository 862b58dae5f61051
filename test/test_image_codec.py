"""Small files of huge pictures, and files that are not pictures."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from types import SimpleNamespace
import zlib

import cv2
import numpy as np
import pytest

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.errors import AvdetError
from avdet_ros.image_codec import decode_bytes
from avdet_ros.messages.decode import decode_picture


def png(width: int, height: int) -> bytes:
    """Return a black PNG of one bit per pixel: a few kilobytes for any number of pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack('>I', len(content)) + whole + struct.pack('>I', zlib.crc32(whole))

    head = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + -(-width // 8))), 9)
    chunks = chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + chunks


def as_bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def test_picture_is_decoded():
    whole = np.random.default_rng(0).integers(0, 65535, (48, 64), np.uint16)
    data = cv2.imencode('.png', whole)[1]
    np.testing.assert_array_equal(decode_bytes(data), whole)
    assert decode_bytes(as_bytes(png(640, 480)), cv2.IMREAD_COLOR).shape == (480, 640, 3)


@pytest.mark.parametrize(
    'data',
    [b'', b'no picture', png(64, 64)[:20], png(8200, 8200)],
    ids=['empty', 'text', 'cut off', 'huge'],
)
def test_invalid_or_oversized_pictures_decode_to_none(data):
    assert decode_bytes(as_bytes(data)) is None


def test_message_with_a_huge_picture_is_rejected():
    message = SimpleNamespace(format='png', data=as_bytes(png(8200, 8200)))
    expected = f'/camera: expected a JPEG or PNG picture of at most {LARGEST_IMAGE_PX} pixels'
    with pytest.raises(AvdetError, match=expected):
        decode_picture(message, '/camera')


DECODE = """
import sys
import avdet_ros
import cv2, numpy as np

try:
    cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), cv2.IMREAD_UNCHANGED)
except cv2.error:
    print('refused')
"""


def test_opencv_rejects_huge_pictures_before_decoding():
    """In a separate process, as this one may have loaded OpenCV before the package."""
    environment = {**os.environ}
    environment.pop('OPENCV_IO_MAX_IMAGE_PIXELS', None)
    done = subprocess.run(
        [sys.executable, '-c', DECODE],
        input=png(8200, 8200),
        capture_output=True,
        env=environment,
        check=True,
    )
    assert done.stdout == b'refused\n'
