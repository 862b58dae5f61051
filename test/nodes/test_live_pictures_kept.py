"""LivePictures on a fake clock: kept and shown pictures, and reports about the camera."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.messages.encode import encode_header, encode_image
from avdet_ros.nodes import live_pictures as module
from avdet_ros.nodes import topic_health
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.live_pictures import LivePictures
from avdet_ros.rig import load_rig

pytestmark = pytest.mark.ros

MS = 1_000_000
WIDTH, HEIGHT = 192, 65


@pytest.fixture
def now(monkeypatch):
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(topic_health.time, 'monotonic', lambda: now.s)
    return now


@pytest.fixture
def pictures(now):
    refused = []
    made = LivePictures(
        load_rig().camera, '/cam/image', '/cam/info', lambda *words: refused.append(words)
    )
    made.refused = refused
    return made


def picture(milliseconds, grey=100, encoding='mono8', width=WIDTH):
    pixels = np.full((HEIGHT, width, 1), grey, np.uint8)
    message = encode_image(encode_header(milliseconds * MS, 'x'), 'mono8', pixels)
    message.encoding = encoding
    return message


def stamps(pictures):
    return [
        message.header.stamp.sec * 1000 + message.header.stamp.nanosec // MS
        for _, message in pictures.kept
    ]


def test_pictures_at_30_hz_are_thinned_to_every_third_and_the_newest(pictures):
    for k in range(10):
        pictures.add(picture(1000 + k * 33))
    kept = stamps(pictures)
    assert kept[0] == 1000
    assert kept[-1] == 1297
    assert np.diff(kept[:-1]).min() >= 80
    for k in range(50):
        pictures.add(picture(2000 + k * 80))  # just slow enough that all are kept
    assert stamps(pictures) == [2000 + k * 80 for k in range(30, 50)]


def test_earlier_stamp_clears_the_pictures_and_an_equal_one_does_not(pictures):
    for at in (1000, 1100, 1100):
        pictures.add(picture(at))
    assert 1000 in stamps(pictures)
    pictures.add(picture(900))
    assert stamps(pictures) == [900]


def test_nearest_picture_is_shown_while_pictures_arrive(pictures, now):
    assert pictures.at(1000 * MS, 0.5) is None
    for at, grey in ((1000, 10), (1100, 20), (1200, 30)):
        pictures.add(picture(at, grey))
        now.s += 0.1
    for at, grey in ((0, 10), (1049, 10), (1051, 20), (1160, 30), (9000, 30)):
        shown = pictures.at(at * MS, 0.5)
        assert (shown.shape, shown[0, 0].tolist()) == ((HEIGHT, WIDTH, 3), [grey] * 3)
    now.s += 0.39
    assert pictures.at(1000 * MS, 0.5) is not None
    now.s += 0.02
    assert pictures.at(1000 * MS, 0.5) is None
    assert pictures.refused == []


def test_unreadable_pictures_are_skipped_for_at_most_three_attempts(pictures):
    pictures.add(picture(1000, 10))
    for k in (1, 2):
        pictures.add(picture(1000 + k * 100, encoding='h265'))
    assert pictures.at(1200 * MS, 9)[0, 0, 0] == 10
    assert (pictures.refused, pictures.why_none()) == ([], 'no camera: drawn road')
    pictures.add(picture(1300, encoding='h264'))
    assert pictures.at(1300 * MS, 9) is None
    ((key, sentence),) = pictures.refused
    assert key == 'image'
    assert "found 'h264'" in sentence  # the encoding of the nearest picture
    assert sentence.startswith('/cam/image')
    assert pictures.why_none() == 'camera cannot be read: drawn road'
    report = Report()
    status = pictures.diagnose(report, lambda since_s: 'why', False, False)
    assert status == f'not readable, drawn road: {sentence}'
    assert pictures.at(1000 * MS, 9)[0, 0, 0] == 10
    assert pictures.why_none() == 'no camera: drawn road'


def test_pictures_of_a_wrong_shape_are_reported_and_scaled_ones_are_not(pictures):
    pictures.add(picture(1000, width=WIDTH + 2))
    pictures.at(1000 * MS, 9)
    assert pictures.refused == []
    pictures.add(picture(1100, width=WIDTH + 5))
    pictures.at(1100 * MS, 9)
    sentence = (
        'image: expected pictures of 1920 x 650, or these scaled, as the rig says, found '
        '197 x 65: boxes do not fit them'
    )
    assert pictures.refused == [('shape', sentence)]
    pictures.add(picture(1200, width=WIDTH - 5))
    pictures.at(1200 * MS, 9)
    assert len(pictures.refused) == 2


def test_missing_stamp_and_camera_problem_are_reported_and_colours_are_kept(pictures):
    pictures.add(picture(0))
    assert pictures.refused == [
        ('image', '/cam/image: expected a stamp in the header, found 0 ns')
    ]
    assert not pictures.kept
    pictures.camera.problem = 'another lens'
    pixels = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    pictures.add(encode_image(encode_header(1000 * MS, 'x'), 'bgr8', pixels))
    assert np.array_equal(pictures.at(1000 * MS, 9), pixels)
    assert pictures.refused[1:] == [('camera_info', 'another lens')]


def test_stopped_camera_is_reported_after_two_seconds_unless_all_has_ended(pictures, now):
    asked = []

    def status(still=False, ended=False):
        report = Report()
        words = pictures.diagnose(
            report, lambda since_s: asked.append(since_s) or 'mute', still, ended
        )
        return words, report.level, report.message

    assert status() == ('none, drawn road', 0, '')
    for k in range(3):
        pictures.add(picture(1000 + k * 100))
        now.s += 0.1
    assert status() == ('live', 0, '')
    now.s += 0.8
    assert (status(), asked) == (('live', 0, ''), [])
    now.s += 0.15
    assert status() == ('live', 0, '')
    assert asked == [pytest.approx(1.05)]
    now.s += 1.1
    stopped = 'the camera has stopped: mute'
    assert status() == ('none for 2 s, drawn road', 1, stopped)
    assert status(ended=True) == ('none for 2 s, drawn road', 0, '')
    assert status(still=True) == ('live', 0, '')
    assert module._KEPT == 20
