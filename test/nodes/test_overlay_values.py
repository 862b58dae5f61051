"""What node overlay passes to the painter and reports, picture by picture, without DDS."""

from __future__ import annotations

import time
from types import SimpleNamespace

from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Float64
from vision_msgs.msg import Detection3DArray

from avdet_ros.messages.decode import decode_picture, stamp_ns
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_spectrogram,
)
from avdet_ros.nodes import overlay as module
from avdet_ros.nodes.overlay import OverlayNode

pytestmark = pytest.mark.ros

S = 1_000_000_000
BOX = np.array([[600.0, 200.0, 900.0, 420.0]])


@pytest.fixture
def overlay(ros):
    """Makes an active overlay that does not spin; tests set which outputs are subscribed."""
    made = []

    def make(**parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = OverlayNode(namespace='/avdet', parameter_overrides=overrides)
        made.append(node)
        assert node.try_start(), node.fault
        node._worker.stop()
        node.given, node.views, node.sent, node.subscribed = [], [], {}, set()
        node._worker = SimpleNamespace(put=node.given.append, dropped=2, stop=lambda: None)
        for name in ('overlay', 'strip', 'markers', 'markers_3d', 'overlay_ms'):
            setattr(node, f'_{name}', publisher(node, name))
        picture = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
        node._painter.paint = lambda view: node.views.append(view) or picture
        return node

    yield make
    for node in made:
        node.destroy_node()


def publisher(node, name):
    node.sent[name] = []
    return SimpleNamespace(
        publish=node.sent[name].append, get_subscription_count=lambda: int(name in node.subscribed)
    )


def tracks(seconds, boxes=BOX, ids=('7',)):
    head = encode_header(round(seconds * S), 'camera_optical_frame')
    return encode_detections(head, np.asarray(boxes), np.full(len(ids), 0.75), list(ids))


def test_tracks_are_drawn_only_while_an_output_is_subscribed(overlay):
    node = overlay()
    node._on_tracks(tracks(50))
    assert node.given == []
    for name in ('overlay', 'strip', 'markers'):
        node.subscribed = {name}
        node._on_tracks(tracks(51))
    assert len(node.given) == 3
    instant_ns, (box,) = node.given[0]
    assert (instant_ns, box.track_id, box.score) == (51 * S, 7, 0.75)
    assert box.box_px.tolist() == BOX[0].tolist()
    node.subscribed = {'markers_3d'}
    node._on_tracks(tracks(52))
    assert len(node.given) == 3


def test_text_ids_get_numbers_and_invalid_boxes_are_left_out(overlay):
    node = overlay()
    ids = ('12', 'left', 'right', 'left', '1234567890', '123456789', '')
    found = node._boxes(tracks(50, np.repeat(BOX, 7, axis=0), ids))
    assert [box.track_id for box in found] == [12, 0, 1, 0, 2, 123456789, 3]
    assert node._boxes(tracks(51, BOX, ('right',)))[0].track_id == 1
    wild = [[np.nan, 0, 5, 5], [0, 0, 2e5, 5], [-2e5, 0, 5, 5], [0, 0, 5, 5]]
    assert len(node._boxes(tracks(50, wild, ('1', '2', '3', '4')))) == 1
    message = tracks(50)
    message.detections[0].results[0].hypothesis.score = float('nan')
    assert node._boxes(message)[0].score == 0
    node._ids = {str(k): k for k in range(module._MOST_IDS + 1)}
    assert node._boxes(tracks(51, BOX, ('right',)))[0].track_id == 0


def test_view_combines_inputs_of_the_same_time(overlay, monkeypatch):
    node = overlay(trail_s=2.0)
    node.subscribed = {'overlay'}
    node._on_latency(Float64(data=87.5))
    node._on_truth(tracks(50, BOX + 9, ('3',)))
    asked = []
    node._pictures.at = lambda *words: asked.append(words)
    node._draw((50 * S, node._boxes(tracks(50))))
    node._draw((53 * S, node._boxes(tracks(53))))
    first, second = node.views
    assert [box.track_id for box in first.tracks] == [7]
    assert [box.track_id for box in first.truth] == [3]
    assert second.truth is None
    assert (first.latency_ms, first.time_s, first.since_s, first.note) == (87.5, 50, 50, '')
    assert (second.time_s, second.since_s) == (53, 53)  # a drive that starts at 0
    assert asked == [(50 * S, 0.5), (53 * S, 0.5)]
    assert (first.image, first.facts, first.ground) == (None, 'no camera: drawn road', None)
    picture = np.ones((2, 2, 3), np.uint8)
    node._pictures.at = lambda *_: picture
    node._note = 'nothing comes'
    node._draw(None)
    third = node.views[-1]
    assert (third.time_s, third.tracks, third.latency_ms) == (53, [], None)
    assert (third.note, third.facts, third.image is picture) == ('nothing comes', 'camera', True)
    node._draw(
        (2 * 86_400 * S + 60 * S, [])
    )  # a jump of days forwards restarts the time, as does one back
    assert node.views[-1].since_s == 0
    node._draw((1 * S, []))
    assert (node.views[-1].time_s, node.views[-1].since_s) == (1, 0)
    assert node._painter.trails.seconds == 2.0


def test_picture_is_published_with_its_stamp_and_size(overlay, rig):
    node = overlay(scale=0.5)
    node._draw((50 * S, []))
    assert node.sent['overlay'] == []
    node.subscribed = {'overlay'}
    node._draw((50 * S, []))
    (message,) = node.sent['overlay']
    assert (stamp_ns(message), message.header.frame_id) == (50 * S, rig.camera.frame_id)
    assert decode_picture(message, 'x').shape == (2, 1, 3)
    node.set_parameters([Parameter('scale', value=1.0)])
    node._draw((51 * S, []))
    assert decode_picture(node.sent['overlay'][1], 'x').shape == (4, 2, 3)
    assert len(node.sent['overlay_ms']) == 2
    values = report_of(node).values
    assert (values['pictures'], values['tracks_not_drawn'], values['looking']) == ('2', '2', '1')
    newest = max(number.data for number in node.sent['overlay_ms'])
    assert float(values['overlay_ms_max']) == pytest.approx(newest, rel=1e-3)
    assert values['messages_missed'] == '0'


def test_markers_and_strip_are_published_only_to_subscribers(overlay, rig):
    node = overlay()
    features = np.full((32, 80, 173), -30, np.float32)
    features[8:] = 0.5
    node._on_spectrogram(encode_spectrogram(encode_header(50 * S, 'x'), features))
    node._draw((50 * S, node._boxes(tracks(50))))
    assert node._spectrogram is None
    assert node._painter.strip.levels_db[0] == pytest.approx(-30)
    assert (node.sent['markers'], node.sent['strip']) == ([], [])
    node.subscribed = {'markers', 'strip'}
    node._draw((51 * S, node._boxes(tracks(51))))
    (markers,) = node.sent['markers']
    assert [marker.id for marker in markers.markers[1:]] == [7, 7, 7]
    assert markers.markers[0].header.frame_id == rig.camera.frame_id
    (strip,) = node.sent['strip']
    assert (strip.height, strip.width) == module.STRIP_SIZE_PX
    assert (stamp_ns(strip), strip.header.frame_id) == (51 * S, rig.array_frame_id)
    assert node.views == []


def test_invalid_levels_are_clipped_and_wrong_shapes_are_ignored(overlay):
    node, added = overlay(), []
    node._painter.strip = SimpleNamespace(
        add=lambda time_s, levels: added.append((time_s, levels))
    )

    def feed_spectrogram(features, seconds=50):
        head = encode_header(seconds * S, 'x')
        node._on_spectrogram(encode_spectrogram(head, features.astype(np.float32)))
        node._feed_strip()

    wild = np.full((32, 80, 3), -40.0)
    wild[0, 0, 0], wild[1, 0, 0], wild[2, 0, 0] = np.nan, np.inf, -np.inf
    feed_spectrogram(wild)
    ((time_s, levels),) = added
    assert (time_s, levels.shape) == (50, (8, 80, 3))
    assert [levels[k, 0, 0] for k in range(4)] == [-100, 0, -100, -40]
    feed_spectrogram(wild[:8], 51)
    assert len(added) == 2
    feed_spectrogram(wild[:7])
    feed_spectrogram(wild[:, :40])
    assert len(added) == 2
    node._feed_strip()  # nothing new
    assert len(added) == 2


def test_truth_is_kept_and_cleared_when_time_goes_back(overlay):
    node = overlay()
    for seconds in (50.0, 50.1, 50.1):
        node._on_truth(tracks(seconds))
    assert len(node._truth) == 3
    node._on_truth(tracks(3))
    assert [at for at, _ in node._truth] == [3 * S]


def test_vehicles_in_metres_are_shown_until_they_are_stale(overlay, monkeypatch):
    node = overlay(trail_s=4.0)
    assert node._from_above() is None
    message = Detection3DArray(header=encode_header(50 * S, 'base_link'))
    node._on_ground(message)
    assert node.sent['markers_3d'] == []
    added = []
    node._painter.ground_trails = SimpleNamespace(
        add=lambda time_s, vehicles: added.append((time_s, vehicles))
    )
    assert node._from_above() == []
    assert (added, node._painter.ground_trails.seconds) == ([(50, [])], 4.0)
    node.subscribed = {'markers_3d', 'overlay'}
    made = []
    node._ground_markers.make = lambda *words: made.append(words) or 'markers'
    node._on_ground(message)
    assert (made, node.sent['markers_3d']) == ([(message, 4.0)], ['markers'])
    node._draw((50 * S, []))
    assert node.views[-1].ground == []
    came_s, *rest = node._placed
    node._placed = (came_s - 1.1, *rest)
    assert node._from_above() is None


def test_camera_info_is_used_and_camera_state_is_reported(overlay, rig):
    node, taken = overlay(), []
    node._pictures.camera.take = taken.append
    info = CameraInfo()
    node._on_camera_info(info)
    assert taken == [info]
    image = encode_image(encode_header(50 * S, 'x'), 'bgr8', np.zeros((65, 192, 3), np.uint8))
    node._on_image(image)
    assert [message for _, message in node._pictures.kept] == [image]
    assert report_of(node).values['lens'] == 'no camera_info: taken as rectified'
    assert report_of(node).values['camera'] == 'live'


def test_overlay_reports_what_it_draws_or_why_nothing_arrives(overlay):
    node = overlay()
    report = report_of(node)
    assert (report.level, report.message) == (0, 'no subscribers')
    node.subscribed = {'overlay'}
    node._draw((50 * S, []))
    assert report_of(node).message == '1 pictures'
    assert node._note == ''
    node._active_since -= 10
    report = report_of(node)
    words = 'no publisher on /avdet/tracks'
    assert (report.level, report.message, node._note) == (2, words, words)
    node._on_tracks(tracks(50))
    assert node._last_in_s == pytest.approx(time.monotonic(), abs=5)
    assert (report_of(node).level, node._note) == (0, '')
    node._last_in_s -= 10
    node.publisher_watch.source_ended = lambda: True
    report = report_of(node)
    assert (report.level, node._note) == (0, 'the source has ended')


def test_picture_inputs_are_subscribed_only_while_pictures_are_wanted(overlay):
    node = overlay()
    assert len(node._for_pictures) == 2
    for subscribed, has_inputs, draws in (
        (set(), False, False),
        ({'markers'}, False, True),
        ({'overlay'}, True, True),
        ({'strip'}, True, True),
        ({'markers_3d'}, False, False),
    ):
        node.subscribed = subscribed
        assert node._follow_subscribers() == draws
        assert bool(node._for_pictures) == has_inputs
    node.subscribed = {'overlay'}
    node._follow_subscribers()
    before = list(node._for_pictures)
    node._follow_subscribers()
    assert node._for_pictures == before
    node.trigger_deactivate()
    assert (node._for_pictures, node._inputs, node._worker) == ([], [], None)
