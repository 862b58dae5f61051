"""Pictures in the encodings that cameras send are decoded to the scene they show."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.messages.camera_encodings import ENCODINGS
from avdet_ros.messages.decode import COMPRESSED_IMAGE, IMAGE, decode_picture
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import typestore

HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope='module')
def scene():
    """A smooth scene with a red, a green and a blue patch, so that swapped colours are found."""
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    pixels[8:40, 8:32] = (30, 40, 220)
    pixels[8:40, 36:60] = (40, 200, 50)
    pixels[8:40, 64:88] = (210, 60, 40)
    return cv2.GaussianBlur(pixels, (7, 7), 2)


def message(encoding, data, height=HEIGHT, width=WIDTH, pad=0, big=0):
    rows = np.ascontiguousarray(data).view(np.uint8).reshape(data.shape[0], -1)
    rows = np.hstack([rows, np.zeros((len(rows), pad), np.uint8)])
    image = typestore().types[IMAGE]
    head = make_header(1, 'camera')
    return image(head, height, width, encoding, big, rows.shape[1], rows.ravel())


def bayer(scene, pattern):
    colours = ['bgr'.index(letter) for letter in pattern]
    raw = np.empty((HEIGHT, WIDTH), np.uint8)
    for place, colour in enumerate(colours):
        y, x = divmod(place, 2)
        raw[y::2, x::2] = scene[y::2, x::2, colour]
    return raw


def video(scene):
    """Return Y, U, V in video range, ITU-R BT.601."""
    full = cv2.cvtColor(scene, cv2.COLOR_BGR2YCrCb)[..., [0, 2, 1]].astype(float)
    scale = np.array([219, 224, 224]) / 255
    return ((full - [0, 128, 128]) * scale + [16, 128, 128]).round().astype(np.uint8)


def packed_yuv(scene, order):
    yuv = video(scene)
    shared = yuv.reshape(HEIGHT, WIDTH // 2, 2, 3).mean(axis=2).astype(np.uint8)
    parts = {'y': yuv[:, 0::2, 0], 'Y': yuv[:, 1::2, 0], 'u': shared[..., 1], 'v': shared[..., 2]}
    return np.stack([parts[letter] for letter in order], axis=-1).reshape(HEIGHT, WIDTH * 2)


def planes(scene, kind):
    i420 = cv2.cvtColor(scene, cv2.COLOR_BGR2YUV_I420)
    bright, colours = i420[:HEIGHT], i420[HEIGHT:].reshape(2, -1)
    if kind == 'i420':
        return i420
    if kind == 'yv12':
        return np.vstack([bright, colours[::-1].reshape(-1, WIDTH)])
    pairs = colours if kind == 'nv12' else colours[::-1]
    return np.vstack([bright, pairs.T.reshape(-1, WIDTH)])


def full_planes(scene, u_first):
    yuv = video(scene)
    colours = yuv[..., 1:] if u_first else yuv[..., :0:-1]
    return np.vstack([yuv[..., 0], np.ascontiguousarray(colours).reshape(-1, WIDTH)])


def sent(scene, encoding):
    """Return the scene as a camera sends it in this encoding."""
    if encoding.startswith('bayer_'):
        raw = bayer(scene, encoding[6:10])
        return raw if encoding.endswith('8') else raw.astype(np.uint16) * 257
    if encoding in ('yuv422', 'uyvy'):
        return packed_yuv(scene, 'uyvY')
    if encoding in ('yuv422_yuy2', 'yuyv', 'yuy2', 'yuyv422'):
        return packed_yuv(scene, 'yuYv')
    if encoding in ('nv12', 'nv21', 'i420', 'yv12'):
        return planes(scene, encoding)
    if encoding in ('nv24', 'nv42'):
        return full_planes(scene, encoding == 'nv24')
    grey = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    if encoding in ('mono8', '8UC1'):
        return grey
    if encoding in ('mono16', '16UC1'):
        return grey.astype(np.uint16) * 257
    if encoding == '32FC1':
        return grey.astype(np.float32)
    wide = np.dstack([scene, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    order = [2, 1, 0, 3] if encoding.startswith('rgb') else [0, 1, 2, 3]
    four = 'a' in encoding or encoding.endswith('C4')
    pixels = wide[..., order] if four else wide[..., order[:3]]
    return pixels if '8' in encoding else pixels.astype(np.uint16) * 257


@pytest.mark.parametrize(
    ('encoding', 'pad'),
    [(encoding, 0) for encoding in ENCODINGS]
    + [(encoding, 32) for encoding in ENCODINGS if ENCODINGS[encoding].rows == 1]
    + [('nv12', 32), ('nv21', 32)],
)
def test_every_encoding_is_decoded_to_the_scene(scene, encoding, pad):
    data = sent(scene, encoding)
    picture = decode_picture(message(encoding, data, pad=pad), 'x')
    if picture.ndim == 2:
        assert np.array_equal(picture, data)
        return
    assert picture.dtype == np.uint8
    assert picture.shape == scene.shape
    inside = np.abs(picture.astype(int) - scene)[4:-4, 4:-4]
    assert inside.mean() < 4
    for column, colour in ((20, 2), (48, 1), (76, 0)):
        assert picture[24, column].argmax() == colour


def test_big_endian_pixels_are_swapped(scene):
    counts = np.arange(HEIGHT * WIDTH, dtype='>u2').reshape(HEIGHT, WIDTH)
    picture = decode_picture(message('mono16', counts, big=1), 'x')
    assert picture[1, 3] == WIDTH + 3


@pytest.mark.parametrize('encoding', ['yuv422', 'nv12'])
def test_odd_sizes_with_subsampled_colours_are_rejected(encoding):
    rows, columns = (64, 95 * 2) if encoding == 'yuv422' else (95, 95)
    bad = message(encoding, np.zeros((rows, columns), np.uint8), 64 if rows == 64 else 63, 95)
    with pytest.raises(AvdetError, match=f'{encoding} can have|rows of at least'):
        decode_picture(bad, 'x')


@pytest.mark.parametrize('encoding', ['h264', 'bayer_rggb12', 'YUV', 'jpeg'])
def test_unsupported_encoding_is_named_in_the_error(encoding):
    with pytest.raises(AvdetError, match=f"found '{encoding}'"):
        decode_picture(message(encoding, np.zeros((8, 8), np.uint8), 8, 8), 'x')


def compressed(data, kind):
    image = typestore().types[COMPRESSED_IMAGE]
    return image(make_header(1, 'camera'), kind, np.frombuffer(bytes(data), np.uint8))


def jpeg(pixels):
    return cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize(
    ('kind', 'swapped'),
    [
        ('bgr8; jpeg compressed bgr8', False),
        ('rgb8; jpeg compressed bgr8', False),
        ('bgr8; jpeg compressed rgb8', True),
        ('rgb8; jpeg compressed rgb8', True),
        ('bayer_rggb8; jpeg compressed bgr8', False),
        ('jpeg', False),
        ('', False),
    ],
)
def test_compressed_pictures_keep_the_colours_of_the_scene(scene, kind, swapped):
    pixels = scene[..., ::-1] if swapped else scene
    picture = decode_picture(compressed(jpeg(np.ascontiguousarray(pixels)), kind), 'x')
    assert np.abs(picture.astype(int) - scene).mean() < 3


def test_sixteen_bit_counts_stay_unchanged():
    counts = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) + 29000
    png = cv2.imencode('.png', counts)[1]
    for kind in ('mono16; png compressed mono16', '16UC1; png compressed '):
        assert np.array_equal(decode_picture(compressed(png, kind), 'x'), counts)


def test_compressed_depth_is_read_with_and_without_a_header():
    millimetres = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    png = cv2.imencode('.png', millimetres)[1].tobytes()
    for header in (struct.pack('<iff', 0, 0.0, 0.0), b''):
        message = compressed(header + png, '16UC1; compressedDepth png')
        assert np.array_equal(decode_picture(message, 'x'), millimetres)


def test_inverse_depth_is_converted_to_metres():
    scale, shift = 4000.0, 1.5
    metres = np.linspace(0.5, 60, 64 * 64).reshape(64, 64).astype(np.float32)
    inverse = (scale / metres + shift).astype(np.uint16)
    inverse[0, 0] = 0
    content = struct.pack('<iff', 0, scale, shift) + cv2.imencode('.png', inverse)[1].tobytes()
    found = decode_picture(compressed(content, '32FC1; compressedDepth'), 'x')
    assert np.isnan(found[0, 0])
    assert np.allclose(found[1:], metres[1:], rtol=0.02)


def test_unsupported_depth_compression_is_named_in_the_error():
    with pytest.raises(AvdetError, match='compressedDepth rvl'):
        decode_picture(compressed(bytes(40), '16UC1; compressedDepth rvl'), 'x')


@pytest.mark.parametrize('part', [0.3, 0.6, 0.95])
@pytest.mark.parametrize('ending', ['.jpg', '.png'])
def test_truncated_picture_is_rejected(scene, ending, part):
    noisy = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    data = cv2.imencode(ending, noisy)[1].tobytes()
    with pytest.raises(AvdetError, match='not a whole one'):
        decode_picture(compressed(data[: int(len(data) * part)], 'jpeg'), 'x')


def test_jpeg_without_end_marker_or_with_extra_bytes_is_decoded(scene):
    data = jpeg(scene)
    for content in (data[:-2], data + bytes(500), data + b'metadata of the camera'):
        picture = decode_picture(compressed(content, 'jpeg'), 'x')
        assert np.abs(picture.astype(int) - scene).mean() < 3
