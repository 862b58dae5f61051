"""Node camera renders, sends and skips pictures according to their time, on a fake clock."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import TimeReference

from avdet_ros.messages.decode import decode_picture, stamp_ns
from avdet_ros.messages.encode import encode_header
from avdet_ros.nodes.camera import CameraNode, camera_info
from avdet_ros.nodes.diagnostics import LatencyStats, RateCounter, Report
from avdet_ros.rig import load_rig

pytestmark = pytest.mark.ros

BEGAN_NS = 50_000_000_000
STEP_S, LAST_S = 0.5, 3.0


class Camera:
    """The part of node camera that its worker runs; the clock advances while it waits."""

    _render, _publish = CameraNode._render, CameraNode._publish
    diagnose = CameraNode.diagnose

    def __init__(self):
        self.now, self.taken, self.naps, self.topics = BEGAN_NS, [], [], {}
        self.listened, self.ends, self.render_s = {'rgb'}, False, 0.0
        self._rig, self._drive = load_rig(), SimpleNamespace(name='simulation 3')
        self._began = TimeReference(header=encode_header(BEGAN_NS, ''), source='simulation 3')
        self._next_s, self._finished, self._subscription = 0.0, False, 'drive_time'
        self._sent, self._times, self._late = RateCounter(), LatencyStats(), LatencyStats()
        self._footage = SimpleNamespace(instant=self.instant, take=self.take)
        self._worker = SimpleNamespace(pause=self.pause)
        self._outputs = {name: self.publisher(name) for name in ('rgb', 'thermal', 'depth')}
        self._info = self.publisher('info')
        self.unexplained = []

    def publisher(self, name):
        sent = self.topics[name] = []
        return SimpleNamespace(
            publish=sent.append, get_subscription_count=lambda: int(name in self.listened)
        )

    def now_ns(self):
        return self.now

    def instant(self, after_s):
        at_s = np.ceil(round(after_s / STEP_S, 6)) * STEP_S
        return at_s if at_s <= LAST_S else None

    def take(self, instant_s, names):
        self.taken.append((instant_s, names))
        self.now += round(self.render_s * 1e9)
        pictures = {
            'rgb': np.full((2, 4, 3), [10, 20, 30], np.uint8),
            'thermal': np.full((2, 4), 3000, np.uint16),
            'depth': np.full((2, 4), 12.5, np.float32),
        }
        return {name: pictures[name] for name in names}

    def pause(self, seconds):
        self.naps.append(seconds)
        self.now += round(seconds * 1e9)
        return self.ends

    def explain_silence(self, *arguments):
        self.unexplained.append(arguments)

    def resolve_topic_name(self, name):
        return f'/avdet/{name}'

    def sent_s(self, name='rgb'):
        return [(stamp_ns(message) - BEGAN_NS) * 1e-9 for message in self.topics[name]]


@pytest.fixture
def camera():
    return Camera()


def test_picture_of_each_instant_is_sent_once_at_its_time(camera):
    for _ in range(4):
        camera._render(None)
    assert camera.taken == [(k * STEP_S, ('rgb',)) for k in range(4)]
    assert camera.sent_s() == [0, 0.5, 1.0, 1.5]
    assert camera.now == BEGAN_NS + 1_500_000_000  # neither early nor late
    assert max(camera.naps) == pytest.approx(0.02)
    assert camera._late._newest[-1] == 0
    message, info = camera.topics['rgb'][0], camera.topics['info'][0]
    assert message.header == info.header
    assert message.header.frame_id == load_rig().camera.frame_id
    assert (message.encoding, decode_picture(message, 'x')[0, 0].tolist()) == (
        'rgb8',
        [30, 20, 10],
    )
    assert (len(camera.topics['info']), camera._sent.count) == (4, 4)


def test_only_subscribed_modalities_are_rendered(camera):
    camera.listened = {'thermal', 'depth'}
    camera._render(None)
    assert camera.taken == [(0, ('thermal', 'depth'))]
    assert (camera.topics['thermal'][0].encoding, camera.topics['rgb']) == ('mono16', [])
    assert decode_picture(camera.topics['thermal'][0], 'x')[0, 0] == 3000
    assert camera.topics['depth'][0].encoding == '32FC1'
    camera.listened = set()
    camera._render(None)
    assert (len(camera.taken), camera.naps[-1]) == (1, 0.02)


def test_instants_missed_by_slow_rendering_are_skipped(camera):
    camera.render_s = 0.8
    for _ in range(3):
        camera._render(None)
    # The picture of 0 s is sent 0.8 s late; the next one is that of 1 s, which is late too.
    assert camera.sent_s() == [0, 1.0, 2.0]
    assert list(camera._late._newest) == pytest.approx([800, 600, 400])


def test_nothing_is_rendered_without_a_drive_start_or_for_another_drive(camera):
    camera._began.source = 'simulation 4'
    camera._render(None)
    camera._began = None
    camera._render(None)
    assert (camera.taken, camera.naps) == ([], [0.02, 0.02])


def test_restarted_drive_is_shown_from_its_start(camera):
    for _ in range(6):
        camera._render(None)
    assert camera.sent_s()[-1] == 2.5
    camera._began.header = encode_header(camera.now, '')  # the drive restarts
    camera._render(None)
    assert camera.taken[-1][0] == 0
    camera.now -= 1_400_000_000  # the clock is set back slightly
    camera._next_s = 0.5
    camera._render(None)
    assert len(camera.taken) == 7
    assert camera._next_s == 0.5


def test_camera_waits_for_the_drive_start_and_finishes_after_the_last_instant(camera):
    camera.now -= 1_010_000_000  # the drive starts in more than a second
    camera._render(None)
    assert (camera.taken, camera.naps, camera._finished) == ([], [0.02], False)
    camera._render(None)
    assert camera.sent_s() == [0]
    camera.now = BEGAN_NS + 3_200_000_000
    camera._render(None)
    assert (camera._finished, len(camera.taken)) == (True, 1)
    report = Report()
    camera.diagnose(report)
    assert report.values['finished'] == 'True'
    camera.now = BEGAN_NS + 700_000_000
    camera._next_s = 0.6
    camera._render(None)
    assert not camera._finished


@pytest.mark.parametrize('what', ['the node ends', 'the drive ends'])
def test_picture_is_not_sent_if_node_or_drive_ends_before_its_time(camera, what):
    camera._render(None)
    if what == 'the node ends':
        camera.ends = True
    else:
        pause = camera.pause

        def end(seconds):
            camera._began = None
            return pause(seconds)

        camera._worker.pause = end
    camera._render(None)
    assert (len(camera.taken), camera.sent_s()) == (2, [0])
    assert camera._next_s < 0.5


def test_camera_status_reports_drive_picture_count_and_problems(camera):
    def status():
        report = Report()
        camera.diagnose(report)
        return report

    camera.listened = {'rgb', 'depth'}
    for _ in range(2):
        camera._render(None)
    report = status()
    assert (report.level, report.message) == (0, '2 pictures')
    values = report.values
    assert (values['drive'], values['pictures'], values['looking']) == ('simulation 3', '2', '2')
    assert (values['finished'], values['late_ms_max']) == ('False', '0')
    assert float(values['render_ms_max']) > 0
    camera.listened = set()
    assert status().message == 'no subscribers'
    camera._began.source = 'simulation 4'
    report = status()
    assert report.level == 2
    assert report.message == (
        '/avdet/drive_time: expected simulation 3 as the parameters say, found that capture '
        'plays simulation 4'
    )
    assert camera.unexplained == []
    camera._began = None
    report = status()
    assert camera.unexplained == [(report, 'drive_time', None)]


def test_camera_info_contains_intrinsics_and_picture_size():
    camera = SimpleNamespace(fx=1.0, fy=2.0, cx=3.0, cy=4.0, height_px=5, width_px=6)
    head = encode_header(7, 'x')
    info = camera_info(head, camera)
    assert (info.header, info.height, info.width) == (head, 5, 6)
    assert info.k.reshape(3, 3).tolist() == [[1, 0, 3], [0, 2, 4], [0, 0, 1]]
    assert info.p.reshape(3, 4).tolist() == [[1, 0, 3, 0], [0, 2, 4, 0], [0, 0, 1, 0]]
    assert info.r.reshape(3, 3).tolist() == np.eye(3).tolist()
    assert (info.distortion_model, list(info.d)) == ('plumb_bob', [0] * 5)
