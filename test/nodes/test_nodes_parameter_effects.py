"""Parameters of the nodes have their documented effect, and diagnostics values are correct."""

from __future__ import annotations

from dataclasses import replace
import time

from helpers.array_models import tiny_array_model
from helpers.models import save_model
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
import soundfile
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.decode import decode_picture, stamp_ns
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_spectrogram,
)
from avdet_ros.nodes import qos, self_report
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.overlay import OverlayNode
from avdet_ros.nodes.tracker import TrackerNode
from avdet_ros.tracking.ground_track import GroundTrack

pytestmark = pytest.mark.ros

RATE_HZ = 44100
BOX = np.array([[100.0, 200.0, 300.0, 400.0]])


@pytest.fixture
def tracked(chain):
    """Makes a tracker and a function that feeds it and returns the track ids."""

    def make(**parameters):
        node, _, feed, _ = chain(**parameters)

        def track_ids(*detections):
            return [entry.id for entry in feed(*detections).detections]

        return node, track_ids

    return make


def test_iou_threshold_for_linking_boxes_can_be_changed(tracked):
    node, feed = tracked()
    assert feed(10.0) == ['1']
    assert feed(10.1, BOX + [100, 0, 100, 0]) == ['1']  # an IoU of a third
    assert node.set_parameters([Parameter('iou_threshold', value=0.4)])[0].successful
    assert feed(10.2) == ['2']
    assert feed(10.3, BOX + [100, 0, 100, 0]) == ['3']
    assert feed(10.4, BOX + [130, 0, 130, 0]) == ['3']  # 170 of 230 columns


def test_excess_detections_are_counted_and_the_best_are_kept(tracked, watcher):
    node, feed = tracked(max_detections=2, start_score=0.5)
    boxes = np.concatenate([BOX, BOX + 400, BOX + 800, BOX + 1200])
    assert feed(10.0, boxes, (0.6, 0.9, 0.7, 0.8)) == ['1', '2']
    kept = sorted(track.box_px[0] for track in node._tracker._tracks)
    assert kept == [500, 1300]
    values = watcher.wait_status('tracker', values=lambda v: v.get('detections_cut') == '2')[2]
    assert (values['windows_in'], values['tracks_alive'], values['tracks']) == ('1', '2', '2')


def test_reactivation_resets_counters_and_latencies(tracked, watcher, wait):
    node, feed = tracked()
    for step in range(3):
        feed(10 + 0.1 * step)
    feed(5.0)
    names = ('windows_in', 'windows_out', 'tracks', 'tracks_alive', 'time_jumps')

    def wait_for_counters(*numbers):
        expected = dict(zip(names, map(str, numbers), strict=True))
        return watcher.wait_status(
            'tracker', values=lambda v: all(v.get(name) == expected[name] for name in names)
        )[2]

    assert 'latency_ms_max' in wait_for_counters(4, 4, 1, 1, 1)
    node.trigger_deactivate()
    watcher.wait_status('tracker', 'inactive', level=1)
    node.trigger_activate()
    assert 'latency_ms_max' not in wait_for_counters(0, 0, 0, 0, 0)
    wait(lambda: node._subscription is not None, 'the subscription')
    assert feed(3.0) == ['1']  # an earlier stamp is not a time jump in a new stream
    wait_for_counters(1, 1, 1, 1, 0)


def test_tracks_with_invalid_numbers_are_left_out_and_counted(start, wait):
    node = start(TrackerNode, tracker='ground')
    good = GroundTrack(
        1, np.array([20.0, 3.0]), np.zeros(2), np.eye(4), np.ones(2), 0.9, 1.0, 0.0, True
    )
    bad = [
        replace(good, position_m=np.array([np.nan, 0])),
        replace(good, velocity_mps=np.array([0, np.inf])),
        replace(good, covariance=np.diag([1.0, 1.0, 0.0, 1.0])),
        replace(good, size_m=np.array([np.nan, 1])),
        replace(good, score=float('nan')),
    ]
    node._ground.publish(encode_header(10**9, 'base_link'), [good, *bad])
    node._ground.publish(encode_header(10**9, 'base_link'), [good])
    report = Report()
    node._ground.diagnose(report)
    assert report.values['tracks_3d_left_out'] == '5'
    assert 'a track without: left out' in node.problems.sentences[0]


def test_looped_file_continues_and_a_new_hop_applies_at_once(start, watcher, wait, tmp_path):
    sound = np.random.default_rng(3).integers(-3000, 3000, (round(0.7 * RATE_HZ), 8))
    path = tmp_path / 'short.wav'
    soundfile.write(path, sound.astype(np.int16), RATE_HZ, subtype='PCM_16')
    received = watcher.collect(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    node = start(CaptureNode, source='file', file=str(path), loop=True, hop_s=0.3)
    wait(lambda: len(received) > 3, 'windows that need the file twice')
    assert node.set_parameters([Parameter('hop_s', value=0.1)])[0].successful
    count = len(received)
    wait(lambda: len(received) > count + 6, 'windows of the new hop')
    ends_s = np.array([stamp_ns(message) for message in received]) * 1e-9
    frame_s = 256 / RATE_HZ
    # A busy machine drops some windows; the next one then comes two hops later.
    assert np.diff(ends_s[:4]).min() == pytest.approx(0.3, abs=0.02 + frame_s)
    assert np.diff(ends_s[-6:]).min() == pytest.approx(0.1, abs=0.02 + frame_s)
    values = watcher.wait_status(
        'capture', values=lambda v: float(v.get('samples_per_second', 0)) > 0
    )[2]
    assert (values['finished'], values['reopened']) == ('False', '0')
    assert values['array_calibrated'] == 'False'
    assert values['channels_out'] == ''
    assert (values['bad_samples'], values['xruns'], values['samples_lost']) == ('0', '0', '0')
    assert abs(float(values['clock_drift_ppm'])) < 5000
    assert (values['clock_jumps'], values['windows_skipped']) == ('0', '0')
    assert 0 <= float(values['behind_s']) < 60
    assert (values['array_watch'], values['array_estimates']) == ('listening', '0')
    assert values['source'] == str(path)
    # These are rates over one second, which a busy machine may have split in two.
    per_second = watcher.wait_status(
        'capture', values=lambda v: float(v.get('windows_per_second', 0)) > 0
    )[2]
    assert 0.2 * RATE_HZ < float(per_second['samples_per_second']) < 5 * RATE_HZ
    assert 2 < float(per_second['windows_per_second']) < 50


def test_overlay_is_scaled_and_a_stale_camera_image_is_not_drawn(start, watcher, wait):
    node = start(OverlayNode, scale=0.5, image_timeout_s=0.05, trail_s=7.0, max_rate_hz=60.0)
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    times = watcher.collect(Float64, 'debug/overlay_ms')
    camera = watcher.publisher(Image, 'image', qos.OFFER_STREAM)
    tracks = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)
    wait(node._overlay.get_subscription_count, 'a subscriber')
    red = np.full((650, 1920, 3), (0, 0, 220), np.uint8)
    camera.publish(encode_image(encode_header(50 * 10**9, 'camera'), 'bgr8', red))
    wait(lambda: node._pictures.kept, 'the image')
    time.sleep(0.2)
    head = encode_header(50 * 10**9, 'camera_optical_frame')
    tracks.publish(encode_detections(head, BOX, np.array([0.8]), ['7']))
    wait(lambda: pictures and times, 'a picture')
    assert (pictures[0].width, pictures[0].height) == (960, 325)
    assert tuple(decode_picture(pictures[0], 'x')[50, 50]) != (0, 0, 220)
    assert node._painter.trails.seconds == 7.0
    shown = watcher.wait_status('overlay', values=lambda v: int(v.get('pictures', 0)) > 0)[2]
    assert float(shown['overlay_ms_max']) > 0
    assert 0 < float(shown['pictures_per_second']) < 100
    assert (shown['looking'], shown['tracks_not_drawn']) == ('1', '0')
    assert times[0].data > 0


def test_overlay_rate_is_limited_and_tracks_not_drawn_are_counted(start, watcher, wait):
    node = start(OverlayNode, max_rate_hz=0.5, scale=0.1)
    pictures = watcher.collect(Image, 'overlay', qos.ASK_SPECTROGRAM)
    tracks = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)
    wait(node._overlay.get_subscription_count, 'a subscriber')
    for step in range(4):
        head = encode_header(50 * 10**9 + step * 10**8, 'camera_optical_frame')
        tracks.publish(encode_detections(head, BOX, np.array([0.8]), ['7']))
    values = watcher.wait_status('overlay', values=lambda v: int(v.get('tracks_not_drawn', 0)) > 1)
    assert int(values[2]['tracks_not_drawn']) in (2, 3)
    wait(lambda: pictures and stamp_ns(pictures[-1]) == 50_300_000_000, 'the newest')
    assert node.set_parameters([Parameter('trail_s', value=1.5)])[0].successful
    wait(lambda: node._painter.trails.seconds == 1.5, 'the new trail')


def test_requested_priority_is_reported_and_a_refusal_is_logged_once(start, monkeypatch, capfd):
    """The system call is replaced: a granted priority would apply to this whole process."""
    asked, answers = [], ['refused: no rights', 'refused: no rights', '']
    monkeypatch.setattr(
        self_report, 'raise_priority', lambda *what: asked.append(what) or answers.pop(0)
    )
    node = start(TrackerNode, tracker='iou', real_time_priority=17, autostart=False)
    for expected in ('refused: no rights', 'refused: no rights', '17, granted'):
        report = Report()
        node.self_report.request_priority(report)
        assert report.values['real_time_priority'] == expected
    assert asked == [(17, ('array watch',))] * 3
    assert capfd.readouterr().err.count('refused: no rights') == 1
    plain, report = (
        start(TrackerNode, tracker='iou', namespace='/other', autostart=False),
        Report(),
    )
    plain.self_report.request_priority(report)
    assert report.values == {}


def test_ego_motion_source_follows_the_parameters(start):
    node = start(TrackerNode, tracker='ground', ego_motion='tf', odom_frame='map')
    report = Report()
    node._ego.diagnose(report)
    assert report.values['ego_motion'].startswith(('no tf yet', 'tf: expected package tf2_msgs'))
    assert (node._ego._odom_frame, node._ego._base_frame) == ('map', 'base_link')
    topics = [subscription.topic_name for subscription in node._ego._subscriptions]
    assert topics in (['/tf', '/tf_static'], [])
    none = start(TrackerNode, tracker='ground', namespace='/other', ego_motion='none')
    assert none._ego._subscriptions == []
    plain = start(TrackerNode, tracker='ground', namespace='/third')
    topics = [subscription.topic_name for subscription in plain._ego._subscriptions]
    assert topics == ['/third/odom']


def test_boxes_beyond_the_image_are_published_on_request(
    start, watcher, wait, front_end, tmp_path
):
    boxes = [[-0.2, -0.1, 0.2, 0.1], [1.1, -0.1, 1.3, 0.1]]
    path = save_model(
        tiny_array_model(front_end, boxes=boxes, scores=[0.9, 0.8]), tmp_path / 'any.onnx'
    )
    node = start(DetectorNode, model=str(path))
    received = watcher.collect(Detection2DArray, 'detections')
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')
    blank = np.zeros((len(front_end.feature_names), front_end.n_mels, front_end.frames), 'f4')
    for wanted, count in ((False, 1), (True, 2), (False, 1)):
        assert node.set_parameters([Parameter('beyond_image', value=wanted)])[0].successful
        before = len(received)
        publisher.publish(encode_spectrogram(encode_header(5 * 10**9, 'array'), blank))
        wait(lambda n=before: len(received) > n, 'detections')
        assert len(received[-1].detections) == count
    assert received[1].detections[1].bbox.center.position.x > 1920
