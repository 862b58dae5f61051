"""Decoding of vehicles in metres and of 16-bit colours, and the error for another full scale."""

from __future__ import annotations

import cv2
from helpers.ground_tracks import ground_track
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection3D

from avdet_ros.errors import AvdetError
from avdet_ros.messages.compressed import decode_compressed
from avdet_ros.messages.decode import decode_ground, decode_sound
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import encode_ground

HEAD = encode_header(1_000_000_000, 'base_link')


def test_vehicles_are_read_with_covariance_and_invalid_ones_dropped():
    spread = np.diag([4.0, 1.0, 1.0, 1.0])
    spread[0, 1] = spread[1, 0] = 0.5

    def read(change=lambda entry: None):
        message = encode_ground(HEAD, [ground_track(spread)])
        change(message.detections[0])
        return decode_ground(message)

    (vehicle,) = read()
    assert (vehicle.track_id, vehicle.place_m.tolist()) == (12, [20, -5])
    assert vehicle.covariance == pytest.approx(np.array([[4, 0.5], [0.5, 1]]))

    def put(index, value):
        return lambda entry: entry.results[0].pose.covariance.__setitem__(index, value)

    for index in (0, 1, 6, 7):
        assert read(put(index, np.nan)) == []
    assert len(read(put(2, np.nan))) == len(read(put(35, np.inf))) == 1  # of height, of rotation
    for name in ('x', 'y'):
        assert read(lambda e, n=name: setattr(e.bbox.center.position, n, np.inf)) == []
    for text, expected in (('x', 0), ('1234567890', 0), ('123456789', 123456789)):
        assert read(lambda entry, t=text: setattr(entry, 'id', t))[0].track_id == expected
    message = encode_ground(HEAD, [])
    message.detections = [Detection3D()]
    assert decode_ground(message) == []


def test_sixteen_bit_colours_keep_their_upper_eight_bits():
    deep = np.full((4, 4, 3), [0x10FF, 0x8000, 0xFF00], np.uint16)
    data = cv2.imencode('.png', deep)[1].tobytes()
    picture = decode_compressed(CompressedImage(format='bgr16; png', data=data), 'x')
    assert (picture.dtype, picture[0, 0].tolist()) == (np.uint8, [0x10, 0x80, 0xFF])


def test_full_scale_error_states_the_largest_value():
    block = np.full((10, 8), 20000, np.float32)
    block[3, 2], block[4, 2] = -30000, np.nan
    message = Image(height=10, width=1, encoding='32FC8', step=32, data=block.tobytes())
    words = (
        r'^sound: expected 32FC8 sound in -1 to 1, found up to 3e\+04: another full scale, such '
        r'as 32768; scale it, or send 16SC8$'
    )
    with pytest.raises(AvdetError, match=words):
        decode_sound(message, 'sound')
