"""Contents of a bag are shown on the page."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

rerun = pytest.importorskip('rerun')

from avdet_ros.bags.reader import Bag  # noqa: E402
from avdet_ros.bags.show import RollingLevels, picture_topic, show_bag  # noqa: E402
from avdet_ros.bags.writer import BagWriter  # noqa: E402
from avdet_ros.detection.boxes import Detections  # noqa: E402
from avdet_ros.drawing.live_page import LivePage  # noqa: E402
from avdet_ros.errors import AvdetError  # noqa: E402
from avdet_ros.messages.decode import COMPRESSED_IMAGE, DETECTIONS, IMAGE, NUMBER  # noqa: E402
from avdet_ros.messages.encode_offline import make_detections, make_header  # noqa: E402
from avdet_ros.messages.typestore import serialize, typestore  # noqa: E402

START_NS = 1_700_000_000_000_000_000


def rows_by_entity(path):
    """Rows of every entity in a Rerun file, as Rerun's own reader counts them."""
    done = subprocess.run(
        ['rerun', 'rrd', 'print', path], capture_output=True, text=True, check=True
    )
    rows = {}
    # Rerun 0.23, the version for Python 3.12, also writes rows that only name an entity's type
    content = r'with (\d+) rows .*? - (/\S+) - .*?columns: \[(?!\S*Indicator\])'
    for count, entity in re.findall(content, done.stdout):
        rows[entity] = rows.get(entity, 0) + int(count)
    return rows


def test_sound_boxes_and_images_are_shown(write_sound, picture_message, rig, tmp_path):
    writer = write_sound(tmp_path / 'drive', close=False)
    found = Detections(np.array([[10.0, 20, 30, 40]], np.float32), np.array([0.7], np.float32))
    for index in range(5):
        now = START_NS + index * 100_000_000
        array = make_detections(make_header(now, 'cam'), found)
        writer.write('/avdet/tracks', DETECTIONS, serialize(array), now + 600_000_000)
        late = typestore().types[NUMBER](60.0 + index)
        writer.write('/avdet/debug/latency_ms', NUMBER, serialize(late), now + 601_000_000)
        image = picture_message(now, index)
        writer.write('/camera/image_raw', IMAGE, serialize(image), now)
    writer.close()
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    with Bag(tmp_path / 'drive') as bag:
        shown = show_bag(bag, page)
    assert shown == {
        '/avdet/audio': 130,
        '/avdet/tracks': 5,
        '/avdet/debug/latency_ms': 5,
        '/camera/image_raw': 5,
    }
    rows = rows_by_entity(tmp_path / 'page.rrd')
    assert rows['/camera/tracks'] == rows['/milliseconds/latency'] == 5
    assert rows['/camera/picture'] == 6  # the initial road image and five
    assert rows['/level/7'] >= 25
    assert rows['/sound'] >= 4


def test_bag_without_latencies_shows_none(rig, tmp_path):
    found = Detections(np.array([[10.0, 20, 30, 40]], np.float32), np.array([0.7], np.float32))
    array = make_detections(make_header(START_NS, 'cam'), found)
    with BagWriter(tmp_path / 'sound') as writer:
        writer.write('/avdet/tracks', DETECTIONS, serialize(array), START_NS + 500_000_000)
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    with Bag(tmp_path / 'sound') as bag:
        assert show_bag(bag, page) == {'/avdet/tracks': 1}
    assert not [entity for entity in rows_by_entity(tmp_path / 'page.rrd') if 'millis' in entity]


@pytest.mark.parametrize(
    ('topics', 'shown'),
    [
        (('/a/image_raw', '/b/overlay', '/c/image'), '/b/overlay'),
        (('/a/image_color', '/b/image_rect'), '/b/image_rect'),
        (('/thermal/overlay', '/front/image_color'), '/front/image_color'),
        (('/infra1/image_raw', '/depth/image_raw'), '/depth/image_raw'),
        (('/b/image_raw', '/a/image_raw/compressed'), '/a/image_raw/compressed'),
        (('/a/other',), None),
    ],
)
def test_picture_topic_prefers_the_camera_image(tmp_path, topics, shown):
    with BagWriter(tmp_path / 'bag') as writer:
        for topic in topics:
            writer.write(topic, COMPRESSED_IMAGE if 'comp' in topic else IMAGE, b'', 1)
    with Bag(tmp_path / 'bag') as bag:
        assert picture_topic(bag) == shown


def test_levels_are_updated_twice_a_second_from_the_latest_second(front_end):
    rng = np.random.default_rng(0)
    sound = rng.integers(-3000, 3000, (30 * 4410, 8)).astype(np.int16)
    levels, updated = RollingLevels(), []
    for index in range(30):
        found = levels.add(sound[4410 * index : 4410 * (index + 1)])
        if found is not None:
            updated.append(index)
            newest = sound[4410 * (index + 1) - front_end.samples : 4410 * (index + 1)]
            expected = front_end.log_mel((newest.T / 32768).astype(np.float32))
            np.testing.assert_allclose(found, expected, atol=1e-3)
    # The first second of 44,100 samples is complete with the tenth block.
    assert updated == [9, 14, 19, 24, 29]


def test_bag_with_nothing_to_show_is_rejected_listing_its_topics(rig, tmp_path):
    with BagWriter(tmp_path / 'drive') as writer:
        writer.write('/some/odometry', IMAGE, b'', 1)
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    with Bag(tmp_path / 'drive') as bag, pytest.raises(AvdetError, match='/some/odometry'):
        show_bag(bag, page)


def test_broken_and_unstamped_images_are_skipped(write_sound, picture_message, rig, tmp_path):
    writer = write_sound(tmp_path / 'drive', close=False)
    for index in range(5):
        image = picture_message(START_NS + index * 100_000_000, index)
        if index == 1:
            image.data = image.data[:-7]
        if index == 2:
            image.encoding, image.step, image.width = 'bayer_grbg8', 3 * 192, 3 * 192
        if index == 3:
            image.header.stamp.sec = image.header.stamp.nanosec = 0
        writer.write('/camera/image_raw', IMAGE, serialize(image), START_NS + index * 100_000_000)
    writer.close()
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    with Bag(tmp_path / 'drive') as bag:
        shown = show_bag(bag, page)
    assert shown == {'/avdet/audio': 130, '/camera/image_raw': 3}
