"""Which pictures are kept, which one is shown, and what is said of a camera that stops."""

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
    told = []
    made = LivePictures(
        load_rig().camera, '/cam/image', '/cam/info', lambda *words: told.append(words)
    )
    made.told = told
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


def test_of_thirty_a_second_every_third_is_kept_and_the_newest(pictures):
    for k in range(10):
        pictures.add(picture(1000 + k * 33))
    kept = stamps(pictures)
    assert kept[0] == 1000
    assert kept[-1] == 1297
    assert np.diff(kept[:-1]).min() >= 80
    for k in range(50):
        pictures.add(picture(2000 + k * 80))  # just slow enough to be kept all
    assert stamps(pictures) == [2000 + k * 80 for k in range(30, 50)]


def test_time_that_goes_back_begins_anew_and_the_same_instant_does_not(pictures):
    for at in (1000, 1100, 1100):
        pictures.add(picture(at))
    assert 1000 in stamps(pictures)
    pictures.add(picture(900))
    assert stamps(pictures) == [900]


def test_the_nearest_is_shown_while_pictures_come(pictures, now):
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
    assert pictures.told == []


def test_a_broken_one_gives_way_to_the_next_three_at_most(pictures):
    pictures.add(picture(1000, 10))
    for k in (1, 2):
        pictures.add(picture(1000 + k * 100, encoding='h265'))
    assert pictures.at(1200 * MS, 9)[0, 0, 0] == 10
    assert (pictures.told, pictures.why_none()) == ([], 'no camera: drawn road')
    pictures.add(picture(1300, encoding='h264'))
    assert pictures.at(1300 * MS, 9) is None
    ((key, sentence),) = pictures.told
    assert key == 'image'
    assert "found 'h264'" in sentence  # the nearest one's
    assert sentence.startswith('/cam/image')
    assert pictures.why_none() == 'camera cannot be read: drawn road'
    report = Report()
    said = pictures.diagnose(report, lambda since_s: 'why', False, False)
    assert said == f'not readable, drawn road: {sentence}'
    assert pictures.at(1000 * MS, 9)[0, 0, 0] == 10
    assert pictures.why_none() == 'no camera: drawn road'


def test_pictures_of_another_shape_are_said_and_scaled_ones_are_not(pictures):
    pictures.add(picture(1000, width=WIDTH + 2))
    pictures.at(1000 * MS, 9)
    assert pictures.told == []
    pictures.add(picture(1100, width=WIDTH + 5))
    pictures.at(1100 * MS, 9)
    sentence = (
        'image: expected pictures of 1920 x 650, or these scaled, as the rig says, found '
        '197 x 65: boxes do not fit them'
    )
    assert pictures.told == [('shape', sentence)]
    pictures.add(picture(1200, width=WIDTH - 5))
    pictures.at(1200 * MS, 9)
    assert len(pictures.told) == 2


def test_a_lens_that_cannot_be_used_is_said_and_a_colour_picture_stays_one(pictures):
    pictures.add(picture(0))
    assert pictures.told == [('image', '/cam/image: expected a stamp in the header, found 0 ns')]
    assert not pictures.kept
    pictures.camera.problem = 'another lens'
    pixels = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    pictures.add(encode_image(encode_header(1000 * MS, 'x'), 'bgr8', pixels))
    assert np.array_equal(pictures.at(1000 * MS, 9), pixels)
    assert pictures.told[1:] == [('camera_info', 'another lens')]


def test_a_camera_that_stops_is_said_after_two_seconds_unless_all_has_ended(pictures, now):
    asked = []

    def said(still=False, ended=False):
        report = Report()
        words = pictures.diagnose(
            report, lambda since_s: asked.append(since_s) or 'mute', still, ended
        )
        return words, report.level, report.message

    assert said() == ('none, drawn road', 0, '')
    for k in range(3):
        pictures.add(picture(1000 + k * 100))
        now.s += 0.1
    assert said() == ('live', 0, '')
    now.s += 0.8
    assert (said(), asked) == (('live', 0, ''), [])
    now.s += 0.15
    assert said() == ('live', 0, '')
    assert asked == [pytest.approx(1.05)]
    now.s += 1.1
    stopped = 'the camera no longer comes: mute'
    assert said() == ('none for 2 s, drawn road', 1, stopped)
    assert said(ended=True) == ('none for 2 s, drawn road', 0, '')
    assert said(still=True) == ('live', 0, '')
    assert module._KEPT == 20
