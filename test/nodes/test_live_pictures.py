"""LivePictures: the pictures that are kept, and the one that is returned for an instant."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.encode import encode_header, encode_image
from avdet_ros.nodes.live_pictures import LivePictures

SECOND_NS = 10**9


def picture(at_s, grey=0, size=(65, 192)):
    head = encode_header(round(at_s * SECOND_NS), 'camera')
    return encode_image(head, 'mono8', np.full(size, grey, np.uint8))


@pytest.fixture
def refused():
    return {}


@pytest.fixture
def pictures(rig, refused):
    return LivePictures(rig.camera, '/image', '/camera_info', refused.__setitem__)


def test_nearest_picture_is_returned_for_an_instant(pictures, refused):
    assert pictures.at(5 * SECOND_NS, 1.0) is None
    assert pictures.why_none() == 'no camera: drawn road'
    for second in range(4, 8):
        pictures.add(picture(second, 10 * second))
    found = pictures.at(round(5.4 * SECOND_NS), 60.0)
    assert (found.shape, found[0, 0].tolist()) == ((65, 192, 3), [50] * 3)
    assert pictures.at(5 * SECOND_NS, 0.0) is None, 'none come in any more'
    assert refused == {}


def test_high_rate_pictures_are_thinned_and_cleared_when_time_jumps_back(pictures):
    for step in range(9):
        pictures.add(picture(5 + 0.02 * step))
    kept = [stamp_ns(message) / SECOND_NS for _, message in pictures.kept]
    assert np.diff(kept[:-1]).min() >= 0.0799
    assert kept[-1] == pytest.approx(5.16)
    pictures.add(picture(2))
    assert len(pictures.kept) == 1


def test_invalid_pictures_are_reported_and_the_next_one_is_used(pictures, refused):
    pictures.add(picture(0))
    assert refused.pop('image') == '/image: expected a stamp in the header, found 0 ns'
    broken = picture(5)
    broken.encoding = 'nonsense'
    pictures.add(broken)
    assert pictures.at(5 * SECOND_NS, 60.0) is None
    assert pictures.why_none() == 'camera cannot be read: drawn road'
    assert 'nonsense' in refused.pop('image')
    pictures.add(picture(6, 60, (100, 100)))
    assert pictures.at(5 * SECOND_NS, 60.0)[0, 0, 0] == 60
    assert 'found 100 x 100: boxes do not fit them' in refused['shape']
