"""Node detector with an array model: ego speed and air temperature reach the steering."""

from __future__ import annotations

from helpers.array_models import steered_response_model, wave_from
from helpers.models import save_model
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, Temperature
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.detection.session import Detector
from avdet_ros.messages.encode import encode_header, encode_spectrogram
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.rig import load_rig
from avdet_ros.simulation.traffic import random_scene

pytestmark = pytest.mark.ros

SPEED_MPS, AIR_C = 28.0, -8.0
SEED = 300_003
"""A drive at 24 m/s with two other vehicles, which renders quickly."""


@pytest.fixture(scope='module')
def features(front_end):
    """Features of a wave from ahead, received by an array that drives in cold air."""
    wave = wave_from(load_rig(), 0.0, 0, speed_of_sound_mps(AIR_C) + SPEED_MPS)
    return front_end.compute(wave)


@pytest.fixture(scope='module')
def steered_path(front_end, tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'steered.onnx'
    return save_model(steered_response_model(front_end), path)


@pytest.fixture
def chain(start, watcher, wait, steered_path, features):
    """A detector, its best score for a window, an odometry sender and a temperature publisher."""
    node = start(DetectorNode, model=str(steered_path), min_score=0.0)
    received = watcher.collect(Detection2DArray, 'detections', 100)
    windows = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    odometry = watcher.publisher(Odometry, 'odom', qos.RESULTS)
    air = watcher.publisher(Temperature, 'air_temperature', qos.RESULTS)
    wait(lambda: watcher.node.count_publishers('/avdet/detections'), 'the detector')

    def best(end_s):
        before = len(received)
        windows.publish(encode_spectrogram(encode_header(round(end_s * 1e9), 'array'), features))
        wait(lambda: len(received) > before, 'detections')
        return max(each.results[0].hypothesis.score for each in received[-1].detections)

    def drive(stamp_s, x_m, child='base_link'):
        message = Odometry(header=encode_header(round(stamp_s * 1e9), 'odom'))
        message.child_frame_id = child
        message.pose.pose.position.x = x_m
        message.pose.pose.orientation.w = 1.0
        odometry.publish(message)

    return node, best, drive, air


@pytest.fixture(scope='module')
def expected(steered_path, features, front_end):
    detector = Detector(steered_path, load_rig(), front_end, ['cpu'], threads=1)
    return lambda speed, air_c: pytest.approx(
        float(detector.detect(features, False, speed, air_c).scores[0]), abs=1e-6
    )


def test_detector_steers_by_odometry_and_air_temperature(chain, watcher, wait, expected):
    node, best, drive, air = chain
    assert best(20.0) == expected(0.0, 20.0)
    values = watcher.wait_status(
        'detector', level=0, values=lambda v: v.get('own_speed_mps') == 'unknown'
    )[2]
    assert values['ego_motion'] == 'no odometry yet: the array is assumed to stand still'
    for step in range(41):
        drive(49 + 0.05 * step, SPEED_MPS * 0.05 * step)
    wait(lambda: node._motion._ego.at(50.9) is not None, 'odometry')
    assert best(50.6) == expected(SPEED_MPS, 20.0)
    air.publish(Temperature(temperature=AIR_C))
    wait(lambda: node._motion._received_c == AIR_C, 'the temperature')
    assert best(50.7) == expected(SPEED_MPS, AIR_C)
    assert expected(SPEED_MPS, AIR_C).expected > expected(0.0, 20.0).expected + 0.02
    values = watcher.wait_status(
        'detector', level=0, values=lambda v: v.get('air_temperature_c') == '-8'
    )[2]
    assert (values['own_speed_mps'], values['ego_motion']) == ('28', 'odometry')
    assert values['air_temperature_from'] == 'topic'
    # Steering for neighbouring speeds is prepared once the windows are done.
    made = node._detector._view.steering._steerings
    wait(lambda: {(29, 326), (28, 326)} <= set(made), 'the next speed')
    # Odometry stops: soon the vehicle is assumed to stand still, and that is reported.
    assert best(52.5) == expected(0.0, AIR_C)
    watcher.wait_status('detector', 'ago: the array is assumed to stand still', level=1)


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        ('nan', 'odometry: expected finite'),
        ('frame', "odom: expected child_frame_id base_link, found 'camera': left out"),
        ('jump', 'odometry: expected steps of a vehicle'),
        ('hot', 'air_temperature: expected -60 to 70 degrees Celsius, found 293.1: left out'),
    ],
)
def test_bad_odometry_and_air_temperature_are_reported_and_not_used(
    chain, watcher, wait, expected, kind, words
):
    node, best, drive, air = chain
    for step in range(21):
        drive(49 + 0.05 * step, 10.0 * 0.05 * step)
    wait(lambda: node._motion._ego.at(49.95) is not None, 'odometry')
    if kind == 'hot':
        air.publish(Temperature(temperature=293.1))
    else:
        drive(
            50.05,
            {'nan': float('nan'), 'jump': 900.0}.get(kind, 10.5),
            'camera' if kind == 'frame' else 'base_link',
        )
    watcher.wait_status('detector', words, level=1)
    assert best(50.3) == expected(10.0, 20.0)


def test_air_temperature_parameter_is_used_without_a_topic(chain, expected):
    node, best, _, _ = chain
    assert node.set_parameters([Parameter('air_temperature_c', value=AIR_C)])[0].successful
    assert best(20.0) == expected(0.0, AIR_C)
    assert not node.set_parameters([Parameter('air_temperature_c', value=300.0)])[0].successful


def test_model_for_one_rig_does_not_subscribe_to_odometry(start, watcher, model_path):
    node = start(DetectorNode, model=str(model_path))
    values = watcher.wait_status('detector', values=lambda v: 'ego_motion' in v)[2]
    assert values['ego_motion'] == 'not used: the model is for one rig'
    assert node._motion is None
    names = {name for name, _ in node.get_subscriber_names_and_types_by_node('detector', '/avdet')}
    assert '/avdet/odom' not in names


@pytest.mark.slow
def test_detector_receives_speed_and_air_temperature_of_a_simulated_drive(
    start, watcher, rig, steered_path
):
    """As in `avdet demo` and with source simulation: no parameter has to be set."""
    start(DetectorNode, model=str(steered_path))
    start(CaptureNode, source='simulation', seed=SEED, duration_s=8.0)
    values = watcher.wait_status(
        'detector', values=lambda v: v.get('own_speed_mps', 'unknown') != 'unknown'
    )[2]
    scene = random_scene(SEED, rig, 8.0)
    speeds = np.abs(scene.ego.speed_mps(np.linspace(0, 8, 50)))
    assert speeds.min() - 0.5 < float(values['own_speed_mps']) < speeds.max() + 0.5
    assert speeds.max() > 5
    assert values['ego_motion'] == 'odometry'
    assert float(values['air_temperature_c']) == pytest.approx(scene.temperature_c, abs=0.01)
    assert values['air_temperature_from'] == 'topic'
