"""Messages that node capture makes of blocks and of a drive's scene."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import Rotation

from avdet_ros.messages.decode import decode_detections, decode_sound, stamp_ns
from avdet_ros.nodes.adaptive import all_latched, fitting, same_policies, words
from avdet_ros.nodes.capture_audio import AudioPublisher
from avdet_ros.nodes.capture_truth import TruthPublisher
from avdet_ros.sources.base import Block, StampedBlock

RATE_HZ = 44100
START_NS = 5_000_000_000


class Topics:
    """A fake node that stores messages by topic; `listeners` is their subscriber count."""

    def __init__(self):
        self.sent, self.listeners = {}, 1

    def create_publisher(self, kind, topic, profile, **options):
        self.sent[topic] = []
        return SimpleNamespace(
            publish=self.sent[topic].append, get_subscription_count=lambda: self.listeners
        )


def time_of(sample):
    return START_NS + round(sample * 1e9 / RATE_HZ)


def block(first, count, lost=0):
    samples = (np.arange(first, first + count)[:, None] * np.ones(8)).astype(np.int16)
    return StampedBlock(Block(samples, first, 0.0, lost), time_of)


@pytest.fixture
def node():
    return Topics()


def test_blocks_are_joined_to_messages_of_twenty_milliseconds(node, rig):
    audio = AudioPublisher(node, rig)
    for first in range(0, 2000, 400):
        audio.take(block(first, 400), wanted=True)
    # 882 samples are enough: three blocks of 400.
    (message,) = node.sent['audio']
    assert decode_sound(message, 'x')[:, 0].tolist() == list(range(1200))
    assert stamp_ns(message) == START_NS
    assert message.header.frame_id == rig.array_frame_id
    audio.take(block(2000, 82), wanted=True)
    assert stamp_ns(node.sent['audio'][1]) == time_of(1200)
    assert len(decode_sound(node.sent['audio'][1], 'x')) == 882


def test_messages_never_span_a_gap(node, rig):
    audio = AudioPublisher(node, rig)
    audio.take(block(0, 400), wanted=True)
    audio.take(block(1000, 400, lost=600), wanted=True)
    audio.take(block(1400, 500), wanted=True)
    first, second = node.sent['audio']
    assert decode_sound(first, 'x')[:, 0].tolist() == list(range(400))
    assert decode_sound(second, 'x')[:, 0].tolist() == list(range(1000, 1900))
    assert (stamp_ns(first), stamp_ns(second)) == (time_of(0), time_of(1000))


def test_unwanted_blocks_and_those_before_a_restart_are_dropped(node, rig):
    audio = AudioPublisher(node, rig)
    audio.take(block(0, 800), wanted=True)
    audio.take(block(800, 800), wanted=False)
    audio.take(block(1600, 800), wanted=True)
    audio.clear()
    audio.take(block(0, 882), wanted=True)
    (message,) = node.sent['audio']
    assert decode_sound(message, 'x')[[0, -1], 0].tolist() == [0, 881]


def test_sound_without_subscribers_is_dropped(node, rig):
    audio = AudioPublisher(node, rig)
    audio.take(block(0, 800), wanted=True)
    node.listeners = 0
    audio.take(block(800, 800), wanted=True)
    node.listeners = 2
    audio.take(block(1600, 882), wanted=True)
    (message,) = node.sent['audio']
    assert decode_sound(message, 'x')[[0, -1], 0].tolist() == [1600, 2481]


class Circle:
    """The ego vehicle drives 10 m/s on a circle to the left, uphill at a slope of 10 %."""

    def ego_pose(self, time_s):
        yaw = 0.2 * time_s
        place = np.array([50 * np.sin(yaw), 50 * (1 - np.cos(yaw)), time_s])
        return place, Rotation.from_euler('z', yaw).as_matrix()

    def labels(self, time_s):
        count = 2 if time_s > 0.15 else 0
        boxes = np.array([[10.0, 20, 30, 60], [100, 20, 130, 60]])[:count] + 100 * time_s
        return SimpleNamespace(ids=np.array([7, 9])[:count], boxes_px=boxes)


def test_truth_and_odometry_are_published_each_hop_up_to_the_window_end(node, rig):
    truth = TruthPublisher(node, rig, 'simulation 3')
    truth.publish(RATE_HZ, START_NS, 0.1)
    assert node.sent['truth'] == []  # the source has not started
    truth.scene = Circle()
    truth.publish(round(0.2 * RATE_HZ), START_NS, 0.1)
    truth.publish(round(0.3 * RATE_HZ) - 1, START_NS, 0.1)
    stamps = [stamp_ns(message) for message in node.sent['truth']]
    assert stamps == [START_NS + round(0.1e9 * k) for k in range(3)]
    found, ids = decode_detections(node.sent['truth'][2])
    assert ids == ['7', '9']
    assert found.boxes_px[1].tolist() == [120, 40, 150, 80]
    assert found.scores.tolist() == [1, 1]
    assert node.sent['truth'][0].detections == []
    assert node.sent['truth'][0].header.frame_id == rig.camera.frame_id
    message = node.sent['odom'][2]
    assert stamp_ns(message) == stamps[2]
    assert (message.header.frame_id, message.child_frame_id) == ('odom', rig.frame_id)
    at, turn = message.pose.pose.position, message.pose.pose.orientation
    yaw = 0.04
    assert (at.x, at.y, at.z) == pytest.approx((50 * np.sin(yaw), 50 * (1 - np.cos(yaw)), 0.2))
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx(
        (0, 0, np.sin(yaw / 2), np.cos(yaw / 2))
    )
    speed, rates = message.twist.twist.linear, message.twist.twist.angular
    assert (speed.x, speed.y, speed.z) == pytest.approx((10, 0, 1), abs=1e-3)
    assert (rates.x, rates.y, rates.z) == pytest.approx((0, 0, 0.2), abs=1e-6)
    truth.restart()
    truth.publish(0, START_NS, 0.1)
    assert stamp_ns(node.sent['truth'][-1]) == START_NS


def test_drive_time_is_published_once_a_second(node, rig):
    truth = TruthPublisher(node, rig, 'simulation 3')
    for first in range(0, 3 * RATE_HZ, 4410):
        truth.publish_drive_time(block(first, 10))
    times = node.sent['drive_time']
    assert len(times) == 3
    assert {stamp_ns(message) for message in times} == {START_NS}
    assert (times[0].source, times[0].time_ref.sec, times[0].time_ref.nanosec) == (
        'simulation 3',
        0,
        0,
    )
    assert node.sent['air_temperature'] == []  # the source has not started
    truth.scene = SimpleNamespace(temperature_c=-3.5)
    truth.restart()
    truth.publish_drive_time(block(0, 10))
    assert len(times) == 4
    (air,) = node.sent['air_temperature']
    assert (air.temperature, stamp_ns(air)) == (-3.5, START_NS)


RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


def profile(reliability, durability):
    return QoSProfile(depth=3, reliability=reliability, durability=durability)


@pytest.mark.parametrize(
    ('offers', 'expected', 'sentence'),
    [
        ([(RELIABLE, LATCHED)], (RELIABLE, LATCHED), 'reliable, latched'),
        (
            [(BEST_EFFORT, LATCHED), (RELIABLE, LATCHED)],
            (BEST_EFFORT, LATCHED),
            'best effort, latched',
        ),
        ([(RELIABLE, LATCHED), (RELIABLE, VOLATILE)], (RELIABLE, VOLATILE), 'reliable'),
        ([(BEST_EFFORT, VOLATILE)], (BEST_EFFORT, VOLATILE), 'best effort'),
        ([], (RELIABLE, LATCHED), 'reliable, latched'),
    ],
)
def test_requested_qos_fits_every_publisher(offers, expected, sentence):
    infos = [SimpleNamespace(qos_profile=profile(*offer)) for offer in offers]
    requested = profile(RELIABLE, LATCHED)
    found = fitting(requested, infos)
    assert (found.reliability, found.durability, found.depth) == (*expected, 3)
    assert words(found) == sentence
    assert same_policies(found, requested) == (expected == (RELIABLE, LATCHED))
    assert (requested.reliability, requested.durability) == (RELIABLE, LATCHED)
    latched = bool(offers) and all(durability == LATCHED for _, durability in offers)
    assert all_latched(infos) == latched
    # A profile that already asks for less is unchanged.
    assert fitting(profile(BEST_EFFORT, VOLATILE), infos).reliability == BEST_EFFORT
