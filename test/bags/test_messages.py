"""Messages whose fields contradict their data, or ask for more than any picture needs."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.bags import messages
from avdet_ros.bags.typestore import typestore
from avdet_ros.errors import AvdetError

READERS = [messages.sound, messages.spectrogram, messages.picture]


def make(encoding: str, height: int, width: int, step: int, size: int) -> object:
    image = typestore().types[messages.IMAGE]
    head = messages.make_header(1, 'x')
    return image(head, height, width, encoding, 0, step, np.zeros(size, np.uint8))


def compressed(data: bytes, kind: str = 'png') -> object:
    image = typestore().types[messages.COMPRESSED_IMAGE]
    return image(messages.make_header(1, 'x'), kind, np.frombuffer(data, np.uint8))


def refused(read, message) -> str:
    with pytest.raises(AvdetError) as caught:
        read(message, 'drive: /topic')
    sentence = str(caught.value)
    assert sentence.startswith('drive: /topic: expected ')
    assert '\n' not in sentence
    assert len(sentence) < 300
    return sentence


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize(
    'encoding', ['32FC' + '9' * 5000, '32FC' + '0' * 5000, '32FC²', '32FC٣', 'x\n' * 10_000, '']
)
def test_an_encoding_that_is_none_is_shown_short(read, encoding):
    assert 'found ' in refused(read, make(encoding, 4, 1, 16, 64))


def test_a_format_that_is_not_read_is_shown_short():
    message = compressed(b'', 'compressedDepth' + 'x' * 10_000)
    assert 'record the uncompressed topic' in refused(messages.picture, message)


@pytest.mark.parametrize(('height', 'width'), [(2, 0), (0, 2), (0, 0)])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono16', '32FC1'])
def test_a_picture_without_pixels_is_refused(encoding, height, width):
    sentence = refused(messages.picture, make(encoding, height, width, 8, 8 * height))
    assert f'found {width} x {height}' in sentence


def test_a_spectrogram_without_frames_is_refused():
    assert 'found 0 x 80' in refused(messages.spectrogram, make('32FC8', 80, 0, 4, 320))


def test_a_picture_of_too_many_pixels_is_refused():
    message = make('mono8', LARGEST_IMAGE_PX // 4096 + 1, 4096, 4096, 1)
    assert f'1 to {LARGEST_IMAGE_PX} pixels' in refused(messages.picture, message)


def png(width: int, height: int) -> bytes:
    """A black picture of one bit a pixel: a few kilobytes, however many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack('>I', len(content)) + whole + struct.pack('>I', zlib.crc32(whole))

    head = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + -(-width // 8))), 9)
    chunks = chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + chunks


def test_a_small_file_of_a_huge_picture_is_refused():
    assert messages.picture(compressed(png(640, 480)), 'x').shape[:2] == (480, 640)
    sentence = refused(messages.picture, compressed(png(8200, 8200)))
    assert f'at most {LARGEST_IMAGE_PX} pixels' in sentence


DECODE = """
import sys
import avdet_ros
import cv2, numpy as np

try:
    cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), cv2.IMREAD_UNCHANGED)
except cv2.error:
    print('refused')
"""


def test_opencv_itself_refuses_it_before_it_decodes():
    """In a process of its own: this one may have loaded OpenCV before the package."""
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
