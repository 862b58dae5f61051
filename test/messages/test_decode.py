"""Messages whose fields contradict their data or describe pictures that are too large."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    COMPRESSED_IMAGE,
    IMAGE,
    decode_picture,
    decode_sound,
    decode_spectrogram,
)
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import typestore

READERS = [decode_sound, decode_spectrogram, decode_picture]


def make(encoding: str, height: int, width: int, step: int, size: int) -> object:
    image = typestore().types[IMAGE]
    head = make_header(1, 'x')
    return image(head, height, width, encoding, 0, step, np.zeros(size, np.uint8))


def compressed(data: bytes, kind: str = 'png') -> object:
    image = typestore().types[COMPRESSED_IMAGE]
    return image(make_header(1, 'x'), kind, np.frombuffer(data, np.uint8))


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
    'encoding',
    ['32FC' + '9' * 5000, '32FC' + '0' * 5000, '32FC²', '32FC٣', 'x\n' * 10_000, ''],
    ids=['digits', 'zeros', 'power', 'arabic', 'lines', 'none'],
)
def test_invalid_encoding_is_shortened_in_the_error(read, encoding):
    assert 'found ' in refused(read, make(encoding, 4, 1, 16, 64))


def test_unsupported_format_is_shortened_in_the_error():
    message = compressed(b'', 'compressedDepth' + 'x' * 10_000)
    assert "(format 'compressedDepth" in refused(decode_picture, message)


@pytest.mark.parametrize(('height', 'width'), [(2, 0), (0, 2), (0, 0)])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono16', '32FC1'])
def test_picture_without_pixels_is_rejected(encoding, height, width):
    sentence = refused(decode_picture, make(encoding, height, width, 8, 8 * height))
    assert f'found {width} x {height}' in sentence


def test_spectrogram_without_frames_is_rejected():
    assert 'found 0 x 80' in refused(decode_spectrogram, make('32FC8', 80, 0, 4, 320))


def test_picture_with_too_many_pixels_is_rejected():
    message = make('mono8', LARGEST_IMAGE_PX // 4096 + 1, 4096, 4096, 1)
    assert f'1 to {LARGEST_IMAGE_PX} pixels' in refused(decode_picture, message)


def test_big_and_little_endian_pictures_decode_equally():
    values = np.array([[1, 2], [3, 4]], np.uint16)
    for big, data in ((1, values.astype('>u2')), (0, values.astype('<u2'))):
        data = np.frombuffer(data.tobytes(), np.uint8)
        message = typestore().types[IMAGE](make_header(1, 'x'), 2, 2, 'mono16', big, 4, data)
        assert decode_picture(message, 'x').tolist() == [[1, 2], [3, 4]]


def test_row_padding_is_removed():
    rows = np.array([[1, 2, 99], [3, 4, 99]], np.uint8)
    message = typestore().types[IMAGE](make_header(1, 'x'), 2, 2, 'mono8', 0, 3, rows.ravel())
    assert decode_picture(message, 'x').tolist() == [[1, 2], [3, 4]]


def sound(block: np.ndarray) -> object:
    image = typestore().types[IMAGE]
    data = np.ascontiguousarray(block, np.float32).view(np.uint8).ravel()
    return image(make_header(1, 'x'), len(block), 1, '32FC8', 0, 32, data)


@pytest.mark.parametrize('scale', [32768, 8388608, 2147483648])
def test_float_sound_of_another_full_scale_is_rejected(scale):
    noise = np.random.default_rng(0).normal(size=(1024, 8)) * 0.02
    with pytest.raises(AvdetError, match='another full scale'):
        decode_sound(sound(noise * scale), 'drive: /topic')
    assert decode_sound(sound(noise), 'x').dtype == np.float32


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e30, -32768.0])
def test_single_invalid_sample_becomes_non_finite(value):
    noise = np.random.default_rng(0).normal(size=(1024, 8)) * 0.02
    noise[100, 3] = value
    found = decode_sound(sound(noise), 'x')
    assert np.isnan(found[100, 3]) or np.isinf(found[100, 3])
    assert np.isfinite(found).sum() == found.size - 1
    overshoot = decode_sound(sound(np.clip(noise, -0.1, 0.1) * 12), 'x')
    assert np.nanmax(np.abs(overshoot)) <= 1.3


def test_samples_beyond_8_become_nan():
    noise = np.random.default_rng(0).normal(size=(1024, 8)) * 0.02
    noise[5, 2], noise[6, 2], noise[7, 2] = 8.0, -8.0, np.nextafter(np.float32(8), np.float32(9))
    found = decode_sound(sound(noise), 'x')
    assert (found[5, 2], found[6, 2]) == (8, -8)
    assert np.isnan(found[7, 2])
    loud = np.full((10, 8), 1.0)
    assert decode_sound(sound(loud), 'x').max() == 1


def test_error_names_both_encodings_of_sound():
    words = 'expected sound of 8 channels with encoding 16SC8 or 32FC8, found encoding'
    assert words in refused(decode_sound, make('16SC7', 4, 1, 14, 56))
    assert 'expected sound with width 1, found 2' in refused(
        decode_sound, make('16SC8', 4, 2, 32, 128)
    )
