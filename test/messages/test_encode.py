"""Every number of our ROS messages, and the same messages made without ROS."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('vision_msgs.msg')

from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.decode import (
    decode_detections,
    decode_sound,
    decode_spectrogram,
    stamp_ns,
)
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_sound,
    encode_spectrogram,
    encode_stamp,
    encode_tracks,
)
from avdet_ros.messages.encode_offline import (
    make_detections,
    make_header,
    make_image,
    make_sound,
    make_spectrogram,
    make_tracks,
)
from avdet_ros.messages.places import find_places
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.tracking.track import Track

HEAD = encode_header(12_345_678_901, 'camera')
OFFLINE_HEAD = make_header(12_345_678_901, 'camera')
BOXES = np.array([[10.0, 20.0, 40.0, 100.0], [300.0, 310.0, 500.0, 330.0]], np.float32)
SCORES = np.array([0.75, 0.5], np.float32)
FOUND = Detections(
    BOXES,
    SCORES,
    np.array([[8.0, 10.0, 12.5], [15.0, 20.0, 40.0]], np.float32),
    np.array([0.5, -0.8], np.float32),
)
TRACKS = [
    Track(4, BOXES[0], 0.75, 1.0, 2.0),
    Track(17, BOXES[1], 0.5, 1.0, 2.0, coasting=True),
]


def test_stamp_is_split_into_seconds_and_nanoseconds():
    head = encode_header(12_345_678_901, 'camera')
    assert (head.stamp.sec, head.stamp.nanosec, head.frame_id) == (12, 345_678_901, 'camera')
    assert stamp_ns(SimpleNamespace(header=head)) == 12_345_678_901
    offline = make_header(12_345_678_901, 'camera')
    assert (offline.stamp.sec, offline.stamp.nanosec) == (12, 345_678_901)
    assert offline.frame_id == 'camera'
    assert (encode_stamp(-5).sec, encode_stamp(-5).nanosec) == (0, 0)
    assert encode_stamp(1).nanosec == 1


def test_image_message_contains_the_pixel_rows():
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 4, 3)[:, ::-1]
    message = encode_image(HEAD, 'rgb16', pixels)
    assert (message.height, message.width, message.step) == (2, 4, 24)
    assert (message.encoding, message.is_bigendian) == ('rgb16', 0)
    assert bytes(message.data) == pixels.tobytes()


def test_image_without_rows_gives_an_empty_message():
    message = encode_image(HEAD, 'rgb8', np.zeros((0, 4, 3), np.uint8))
    assert (message.height, message.width, len(message.data)) == (0, 4, 0)


@pytest.mark.parametrize(('kind', 'encoding'), [(np.int16, '16SC8'), (np.float32, '32FC8')])
@pytest.mark.parametrize('make', [encode_sound, make_sound])
def test_sound_message_has_one_row_per_sample(make, kind, encoding):
    block = (np.arange(24).reshape(3, 8) / 64).astype(np.float32)
    block = (block * 32768).astype(np.int16) if kind == np.int16 else block
    message = make(HEAD if make is encode_sound else OFFLINE_HEAD, block)
    assert (message.height, message.width, message.encoding) == (3, 1, encoding)
    found = decode_sound(message, 'x')
    assert found.dtype == kind
    assert np.array_equal(found, block)


@pytest.mark.parametrize('make', [encode_spectrogram, make_spectrogram])
def test_spectrogram_message_has_rows_of_bands_and_columns_of_frames(make):
    features = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    message = make(HEAD if make is encode_spectrogram else OFFLINE_HEAD, features)
    assert (message.height, message.width, message.encoding) == (3, 5, '32FC2')
    assert message.step == 5 * 2 * 4
    assert np.array_equal(decode_spectrogram(message, 'x'), features)


def check_box(entry, box, score, identity):
    centre, size = entry.bbox.center.position, (entry.bbox.size_x, entry.bbox.size_y)
    assert (centre.x, centre.y) == ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    assert size == (box[2] - box[0], box[3] - box[1])
    (result,) = entry.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('0', score)
    assert entry.id == identity
    assert (entry.header.frame_id, entry.header.stamp.sec) == ('camera', 12)


def test_boxes_are_encoded_as_centre_and_size(rig):
    message = encode_detections(HEAD, BOXES, SCORES, places=find_places(FOUND, rig))
    assert (message.header.stamp.nanosec, len(message.detections)) == (345_678_901, 2)
    for entry, box, score in zip(message.detections, BOXES, SCORES, strict=True):
        check_box(entry, box, score, '')
    places, covariances = find_places(FOUND, rig)
    pose = message.detections[1].results[0].pose
    at = pose.pose.position
    assert [at.x, at.y, at.z] == pytest.approx(places[1])
    whole = np.array(pose.covariance).reshape(6, 6)
    np.testing.assert_allclose(whole[:3, :3], covariances[1])
    found, ids = decode_detections(message, rig)
    assert ids == ['', '']
    assert np.array_equal(found.boxes_px, BOXES)
    assert (found.boxes_px.dtype, found.scores.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(found.range_m[:, 1], [10, 20], rtol=1e-5)
    np.testing.assert_allclose(found.azimuth_rad, FOUND.azimuth_rad, atol=1e-6)
    assert decode_detections(message)[0].range_m is None


def test_detections_without_places_have_empty_poses_and_no_range(rig):
    message = encode_detections(HEAD, BOXES, SCORES, ['a', 'b'])
    assert not np.any(message.detections[0].results[0].pose.covariance)
    found, ids = decode_detections(message, rig)
    assert (found.range_m, ids) == (None, ['a', 'b'])
    message.detections[0].results = []
    found, _ = decode_detections(message, rig)
    assert found.scores.tolist() == [0, 0.5]


def test_best_of_several_hypotheses_is_used():
    message = encode_detections(HEAD, BOXES, SCORES)
    worse, better = encode_detections(HEAD, BOXES, np.array([0.2, 0.9])).detections
    message.detections[0].results += worse.results + better.results
    assert decode_detections(message)[0].scores == pytest.approx([0.9, 0.5])


def test_track_messages_contain_the_track_ids():
    message = encode_tracks(HEAD, TRACKS)
    for entry, track in zip(message.detections, TRACKS, strict=True):
        check_box(entry, track.box_px, track.score, str(track.track_id))
    assert encode_tracks(HEAD, []).detections == []


def same(online, offline, kind):
    from rclpy.serialization import deserialize_message

    # Not compared as bytes: padding between strings and numbers may have any value.
    assert deserialize_message(serialize(offline), type(online)) == online
    assert offline.__msgtype__ == kind


def test_messages_made_without_ros_are_equal(rig):
    kind = 'vision_msgs/msg/Detection2DArray'
    places = find_places(FOUND, rig)
    online = encode_detections(HEAD, BOXES, SCORES, places=places)
    same(online, make_detections(OFFLINE_HEAD, FOUND, rig=rig), kind)
    same(encode_detections(HEAD, BOXES, SCORES), make_detections(OFFLINE_HEAD, FOUND), kind)
    same(encode_tracks(HEAD, TRACKS), make_tracks(OFFLINE_HEAD, TRACKS), kind)
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 4, 3)
    image = make_image(OFFLINE_HEAD, 'rgb16', 2, 4, pixels)
    same(encode_image(HEAD, 'rgb16', pixels), image, 'sensor_msgs/msg/Image')


def test_class_id_can_be_set():
    entry = make_detections(OFFLINE_HEAD, FOUND, '3').detections[0]
    assert entry.results[0].hypothesis.class_id == '3'
    entry = make_tracks(OFFLINE_HEAD, TRACKS, '2').detections[1]
    assert (entry.results[0].hypothesis.class_id, entry.id) == ('2', '17')
    empty = make_image(OFFLINE_HEAD, 'mono8', 0, 4, np.zeros((0, 4), np.uint8))
    assert empty.step == 0
    assert typestore().types['sensor_msgs/msg/Image'] is type(empty)
