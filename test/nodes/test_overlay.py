"""Node overlay: the pictures and markers that it publishes over DDS."""

from __future__ import annotations

import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import Marker, MarkerArray

from avdet_ros.drawing.style import colour
from avdet_ros.messages.decode import decode_picture
from avdet_ros.messages.encode import encode_detections, encode_header, encode_image
from avdet_ros.messages.encode_ground import point_cloud
from avdet_ros.messages.hidden_points import HIDDEN_POINT
from avdet_ros.nodes import qos
from avdet_ros.nodes.overlay import OverlayNode

pytestmark = pytest.mark.ros

BOX = np.array([[600.0, 200.0, 900.0, 420.0]])


@pytest.fixture
def tracks(start, watcher, wait):
    start(OverlayNode, max_rate_hz=20.0)
    publisher = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)

    def publish_tracks(stamp_s=50.0, boxes=BOX, ids=('7',)):
        head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
        publisher.publish(encode_detections(head, boxes, np.full(len(ids), 0.8), list(ids)))

    return publish_tracks


def edge_has_colour(picture, wanted, box):
    """Whether the box's upper edge has a colour near its right corner."""
    row = picture[int(box[1]) - 1 : int(box[1]) + 2, int(box[2]) - 40 : int(box[2]) - 4]
    return (np.abs(row.astype(int) - wanted).max(axis=2) < 40).any(axis=0).mean() > 0.8


def test_boxes_are_drawn_in_the_colour_of_their_track_id(tracks, watcher, wait, rig):
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/overlay'), 'the overlay')
    wait(lambda: tracks() or (time.sleep(0.2) or pictures), 'a picture')
    message = pictures[-1]
    assert (message.width, message.height) == (rig.camera.width_px, rig.camera.height_px)
    assert message.header.frame_id == rig.camera.frame_id
    assert edge_has_colour(decode_picture(message, 'x'), colour(7), BOX[0])


def test_hidden_vehicles_are_marked_only_while_markers_are_subscribed(start, watcher, wait):
    start(OverlayNode)
    tracks = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)
    hidden = watcher.publisher(PointCloud2, 'hidden', qos.RESULTS, matched=0)
    head = encode_header(50_000_000_000, 'base_link')
    table = np.zeros(1, HIDDEN_POINT)
    table['x'] = 20

    def publish_inputs():
        tracks.publish(encode_detections(head, BOX, np.full(1, 0.8), ['7']))
        broken = point_cloud(head, table)
        broken.point_step = 4
        for message in (broken, point_cloud(head, table)):
            hidden.publish(message)
        time.sleep(0.1)

    wait(lambda: watcher.node.count_subscribers('/avdet/tracks'), 'the overlay')
    publish_inputs()
    assert not watcher.node.count_subscribers('/avdet/hidden')
    marks = watcher.collect(MarkerArray, 'markers_3d', qos.RESULTS)
    wait(lambda: publish_inputs() or marks, 'markers')
    assert [marker.ns for marker in marks[-1].markers] == ['hidden', 'hidden_words']


def green_picture(encoding):
    """A picture of green 200 in a camera's encoding."""
    if encoding == 'rgb8':
        green = np.zeros((650, 1920, 3), np.uint8)
        green[..., 1] = 200
        return green
    raw = np.zeros((650, 1920, 1), np.uint8)
    raw[0::2, 1::2] = raw[1::2, 0::2] = 200  # the green pixels of RGGB
    return raw


@pytest.mark.parametrize('encoding', ['rgb8', 'bayer_rggb8'])
def test_camera_image_is_drawn_as_the_background(tracks, watcher, wait, encoding):
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    message = encode_image(encode_header(1, 'camera'), encoding, green_picture(encoding))

    def seen():
        camera.publish(message)
        tracks()
        time.sleep(0.2)
        if not pictures:
            return False
        return tuple(decode_picture(pictures[-1], 'x')[100, 100]) == (0, 200, 0)

    wait(seen, 'the green image behind')


def test_unreadable_camera_encoding_is_reported_and_the_road_is_drawn(tracks, watcher, wait):
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    message = encode_image(encode_header(1, 'camera'), 'mono8', np.zeros((4, 4, 1), np.uint8))
    message.encoding = 'h265'

    def reported():
        camera.publish(message)
        tracks()
        time.sleep(0.2)
        status = watcher.status.get('/avdet/overlay', (0, '', {}))
        return "found 'h265'" in status[1] and 'not readable' in status[2]['camera']

    wait(reported, 'the encoding to be named')
    wait(lambda: tracks() or (time.sleep(0.2) or pictures), 'a picture all the same')
    assert edge_has_colour(decode_picture(pictures[-1], 'x'), colour(7), BOX[0])


def test_compressed_image_is_the_background_and_a_truncated_one_is_ignored(start, watcher, wait):
    topic = '/camera/image_raw/compressed'
    remapped = ['--ros-args', '-r', f'image:={topic}']
    start(lambda **options: OverlayNode(cli_args=remapped, **options), max_rate_hz=20.0)
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    boxes = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)
    camera = watcher.publisher(CompressedImage, topic, qos.OFFER_STREAM)
    noise = np.random.default_rng(0).integers(0, 9, (650, 1920, 3), np.uint8)
    data = cv2.imencode('.jpg', noise + np.array([0, 200, 0], np.uint8))[1].tobytes()

    def seen():
        for second, content in ((49, data), (50, data[: len(data) // 2])):
            head = encode_header(second * 10**9, 'camera')
            camera.publish(CompressedImage(header=head, format='jpeg', data=content))
        head = encode_header(50 * 10**9, 'camera_optical_frame')
        boxes.publish(encode_detections(head, BOX, np.full(1, 0.8), ['7']))
        time.sleep(0.2)
        if not pictures:
            return False
        blue, green, red = decode_picture(pictures[-1], 'x')[100, 100]
        return green > 180 > 40 > max(blue, red)

    wait(seen, 'the green picture behind')


def test_image_without_a_stamp_is_rejected(tracks, watcher, wait):
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    picture = encode_image(encode_header(0, 'camera'), 'rgb8', np.zeros((4, 4, 3), np.uint8))

    def reported():
        camera.publish(picture)
        tracks()
        time.sleep(0.2)
        words = 'image: expected a stamp in the header, found 0 ns'
        status = watcher.status.get('/avdet/overlay', (0, '', {}))
        return words in status[1] and status[2]['camera'] == 'none, drawn road'

    wait(reported, 'the missing stamp to be reported')


def test_depth_image_with_invalid_pixels_is_shown(tracks, watcher, wait):
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    depth = np.full((650, 1920), 40.0, np.float32)
    depth[:, 960:] = 20.0
    depth[:30] = np.nan
    depth[-30:] = np.inf
    message = encode_image(encode_header(1, 'camera'), '32FC1', depth)

    def seen():
        camera.publish(message)
        tracks()
        time.sleep(0.2)
        if not pictures:
            return False
        picture = decode_picture(pictures[-1], 'x').astype(int)
        return picture[100, 100].min() > 250 and np.abs(picture[100, 1800] - 128).max() < 4

    wait(seen, 'the depth behind')


def test_truth_is_drawn_as_white_boxes(tracks, watcher, wait):
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    truth = watcher.publisher(Detection2DArray, 'truth', qos.RESULTS)
    box = np.array([[1200.0, 150.0, 1500.0, 400.0]])

    def seen():
        head = encode_header(50_000_000_000, 'camera_optical_frame')
        truth.publish(encode_detections(head, box, np.ones(1), ['3']))
        tracks()
        time.sleep(0.2)
        return pictures and edge_has_colour(
            decode_picture(pictures[-1], 'x'), (255, 255, 255), box[0]
        )

    wait(seen, 'a white box')


def test_markers_are_wedges_in_the_camera_frame(tracks, watcher, wait):
    markers = watcher.collect(MarkerArray, 'markers')
    wait(lambda: watcher.node.count_publishers('/avdet/markers'), 'the overlay')
    wait(lambda: tracks() or (time.sleep(0.2) or markers), 'markers')
    wedge = next(m for m in markers[-1].markers if m.ns == 'bearing')
    assert wedge.header.frame_id == 'camera_optical_frame'
    assert (wedge.type, wedge.id, len(wedge.points)) == (Marker.TRIANGLE_LIST, 7, 3)
    apex, left, right = wedge.points
    assert left.x < right.x  # x is right
    assert apex.y == pytest.approx(left.y, abs=1e-6)  # all on the road, y is down
    bearing = np.degrees(np.arctan2(left.x, left.z))
    assert bearing == pytest.approx(np.degrees(np.arctan((600 - 960) / 1000)), abs=0.5)


def test_nothing_is_drawn_without_subscribers(tracks, watcher):
    for step in range(5):
        tracks(50 + step / 10)
        time.sleep(0.1)
    status = watcher.wait_status('overlay', values=lambda values: values.get('looking') == '0')
    assert status[2]['pictures'] == '0'


def test_picture_inputs_are_subscribed_only_while_pictures_are_wanted(tracks, watcher, wait):
    """Markers use neither spectrograms, of 1.8 MB each, nor the latency of each window."""

    def listeners():
        topics = ('/avdet/spectrogram', '/avdet/debug/latency_ms')
        return sum(watcher.node.count_subscribers(topic) for topic in topics)

    watcher.collect(MarkerArray, 'markers')
    wait(lambda: not listeners(), 'the overlay to leave them')
    pictures = watcher.collect(Image, 'spectrogram_image', qos.ASK_SPECTROGRAM)
    wait(lambda: tracks() or (time.sleep(0.2) or (listeners() == 2 and pictures)), 'a picture')


def test_truth_at_another_time_is_not_drawn():
    def near(instant_ns, *stamps_ns):
        truth = [(stamp, [f'box of {stamp}']) for stamp in stamps_ns]
        return OverlayNode._truth_at(SimpleNamespace(_truth=truth), instant_ns)

    assert near(0) is None
    assert near(10**9, 0) is None
    assert near(10**9, 10**9 - 50_000_000) == ['box of 950000000']
    assert near(10**9, 10**9 + 50_000_000, 10**9 - 40_000_000) == ['box of 960000000']
    assert near(10**9, 10**9 + 70_000_000) is None


def test_stopped_camera_is_reported(tracks, watcher, wait):
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    for second in range(50, 56):
        head = encode_header(second * 1_000_000_000, 'camera')
        camera.publish(encode_image(head, 'bgr8', np.full((650, 1920, 3), 90, np.uint8)))
        tracks(second)
        time.sleep(0.1)
    watcher.wait_status('overlay', values=lambda values: values.get('camera') == 'live')
    words = 'the camera has stopped: nothing on /avdet/image from /avdet/watcher for '
    _, _, values = watcher.wait_status('overlay', words)
    assert values['camera'].startswith('none for ')
