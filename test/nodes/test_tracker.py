"""Node tracker with real messages."""

from __future__ import annotations

import time

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid, Odometry
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2D, Detection2DArray, Detection3DArray

from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.encode import encode_detections, encode_header
from avdet_ros.messages.encode_ground import POINT
from avdet_ros.messages.hidden import HIDDEN_POINT
from avdet_ros.messages.places import find_places
from avdet_ros.nodes import qos
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros

BOX = np.array([[100.0, 200.0, 300.0, 400.0]])


@pytest.fixture
def chain(start, watcher, wait):
    """A tracker, a way to feed it, and what it publishes."""

    def make(**parameters):
        node = start(TrackerNode, **{'tracker': 'iou', **parameters})
        received = watcher.collect(Detection2DArray, 'tracks', 100)
        publisher = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
        wait(lambda: watcher.node.count_publishers('/avdet/tracks'), 'the tracker')

        def feed(stamp_s, boxes=BOX, scores=(0.9,)):
            before = len(received)
            head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
            publisher.publish(encode_detections(head, boxes, np.array(scores)))
            wait(lambda: len(received) > before, 'tracks')
            return received[-1]

        return node, publisher, feed, received

    return make


def test_identities_live_in_seconds_and_end_in_silence(chain):
    _, _, feed, _ = chain()
    first = feed(10.0)
    assert [entry.id for entry in first.detections] == ['1']
    assert first.header.frame_id == 'camera_optical_frame'
    assert first.header.stamp.sec == 10
    assert [entry.id for entry in feed(10.1, BOX + 5, (0.3,)).detections] == ['1']
    nothing = np.zeros((0, 4))
    assert feed(10.2, nothing, ()).detections == []
    assert [entry.id for entry in feed(10.3).detections] == ['2']


def test_a_jump_back_in_time_begins_anew(chain, watcher):
    _, _, feed, _ = chain()
    feed(100.0)
    feed(101.5, BOX + 900)
    assert [entry.id for entry in feed(5.0).detections] == ['1']
    watcher.wait_status('tracker', values=lambda values: values.get('time_jumps') == '1')


def test_latency_counts_from_the_end_of_the_window(chain, watcher, wait):
    _, _, feed, _ = chain()
    late = watcher.collect(Float64, 'debug/latency_ms')
    wait(lambda: watcher.node.count_publishers('/avdet/debug/latency_ms'), 'the tracker')
    time.sleep(0.2)
    feed(time.time() - 0.5)  # the window ended just now, its boxes hold for its middle
    wait(lambda: late, 'a latency')
    assert -1 < late[0].data < 5000


def test_thresholds_change_at_run_time_and_nonsense_is_refused(chain):
    node, _, feed, _ = chain()
    assert node.set_parameters([Parameter('start_score', value=0.2)])[0].successful
    assert [entry.id for entry in feed(1.0, scores=(0.3,)).detections] == ['1']
    for name, value, words in (
        ('start_score', -0.5, 'expected -1 or 0 to 1'),
        ('start_score', 7.0, 'out of range'),
        ('tracker', 'magic', 'expected one of ground, iou, motion'),
        ('rig', '/elsewhere.yaml', 'deactivate it first'),
    ):
        result = node.set_parameters([Parameter(name, value=value)])[0]
        assert not result.successful
        assert words in result.reason
    assert node.set_parameters([Parameter('tracker', value='motion')])[0].successful


@pytest.mark.parametrize('name', ['iou', 'motion'])
def test_identities_go_on_when_a_threshold_changes(chain, watcher, name):
    node, _, feed, _ = chain(tracker=name)
    for step in range(3):
        before = feed(1.0 + 0.1 * step, np.concatenate([BOX, BOX + 500]), (0.9, 0.8))
    assert [entry.id for entry in before.detections] == ['1', '2']
    assert node.set_parameters([Parameter('start_score', value=0.75)])[0].successful
    for step in range(3):
        after = feed(1.3 + 0.1 * step, BOX + 500)
    assert [entry.id for entry in after.detections] == ['3']
    values = watcher.wait_status('tracker', values=lambda v: v.get('windows_out') == '6')[2]
    assert (values['windows_in'], values['tracks'], values['tracks_alive']) == ('6', '3', '1')


def broken(kind):
    head = encode_header(1_000_000_000, 'camera_optical_frame')
    message = encode_detections(head, BOX, np.array([0.9]))
    entry = message.detections[0]
    if kind == 'nan':
        entry.bbox.size_x = float('nan')
    elif kind == 'infinite':
        entry.bbox.center.position.y = float('inf')
    elif kind == 'inside out':
        entry.bbox.size_y = -5.0
    elif kind == 'score':
        entry.results[0].hypothesis.score = 3.0
    elif kind == 'stamp':
        message.header.stamp.sec = 0
    return message


@pytest.mark.parametrize('kind', ['nan', 'infinite', 'inside out', 'score', 'stamp'])
def test_bad_messages_are_refused(chain, watcher, kind):
    _, publisher, feed, received = chain()
    publisher.publish(broken(kind))
    status = watcher.wait_status(
        'tracker', 'expected', level=1, values=lambda values: values['windows_refused'] == '1'
    )
    assert '/avdet/detections' in status[1]
    assert not received
    assert len(feed(2.0).detections) == 1


def test_ten_thousand_detections_are_bounded(chain, watcher, wait):
    _, publisher, _, received = chain(max_detections=50)
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 1000, (10_000, 2))
    boxes = np.concatenate([corner, corner + 20], axis=1)
    head = encode_header(1_000_000_000, 'camera_optical_frame')
    publisher.publish(encode_detections(head, boxes, rng.uniform(0.85, 1, 10_000)))
    wait(lambda: received, 'tracks')
    assert 0 < len(received[0].detections) <= 50
    watcher.wait_status('tracker', '10000 detections at once, the best 50', level=1)


def test_a_detection_without_a_result_is_no_track(chain, wait):
    _, publisher, _, received = chain()
    message = Detection2DArray(header=encode_header(1_000_000_000, 'camera'))
    message.detections.append(Detection2D())
    publisher.publish(message)
    wait(lambda: received, 'tracks')
    assert received[0].detections == []


def test_identities_begin_anew_after_a_reactivation(chain, wait):
    node, _, feed, _ = chain()
    assert [entry.id for entry in feed(10.0).detections] == ['1']
    assert {entry.id for entry in feed(10.1, BOX + 900).detections} == {'2'}
    node.trigger_deactivate()
    node.trigger_activate()
    wait(lambda: node._subscription is not None, 'the subscription')
    assert [entry.id for entry in feed(10.2).detections] == ['1']


def test_a_detector_that_comes_back_with_best_effort_is_taken(start, watcher, wait):
    start(TrackerNode, tracker='iou')
    received = watcher.collect(Detection2DArray, 'tracks', 100)
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = watcher.publisher(Detection2DArray, 'detections', effort)
    head = encode_header(10 * 10**9, 'camera_optical_frame')
    publisher.publish(encode_detections(head, BOX, np.array([0.9])))
    wait(lambda: received, 'tracks')


def test_what_a_user_requests_is_kept(start, watcher):
    name = 'qos_overrides./avdet/detections.subscription.reliability'
    start(TrackerNode, **{name: 'reliable'})
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    watcher.publisher(Detection2DArray, 'detections', effort, matched=0)
    watcher.wait_status('tracker', 'QoS of publisher /avdet/watcher is incompatible')


def vehicle_at(x_m, y_m, rig):
    """A detection of a vehicle at a place of base_link, as node detector sends it."""
    place = np.array([x_m, y_m, 0.8])
    (column, row), _ = rig.camera.project(place)
    range_m = np.linalg.norm(place - rig.array_position_m)
    box = np.array([[column - 40, row - 30, column + 40, row + 30]], np.float32)
    ranges = np.array([[0.7, 1.0, 1.4]], np.float32) * range_m
    return Detections(box, np.array([0.9]), ranges, np.array([np.arctan2(y_m, x_m)]))


@pytest.fixture
def ground_chain(start, watcher, wait, rig):
    """A tracker in metres, a way to feed it with vehicles and odometry, and what it publishes."""
    node = start(TrackerNode, tracker='ground')
    received = watcher.collect(Detection3DArray, 'tracks_3d', 100)
    boxes = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
    odometry = watcher.publisher(Odometry, 'odom', qos.RESULTS)
    wait(lambda: watcher.node.count_publishers('/avdet/tracks_3d'), 'the tracker')

    def feed(stamp_s, place):
        found = vehicle_at(*place, rig)
        head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
        before = len(received)
        boxes.publish(
            encode_detections(head, found.boxes_px, found.scores, places=find_places(found, rig))
        )
        wait(lambda: len(received) > before, 'tracks in metres')
        return received[-1]

    def drive(stamp_s, x_m, child='base_link'):
        message = Odometry(header=encode_header(round(stamp_s * 1e9), 'odom'))
        message.child_frame_id = child
        message.pose.pose.position.x = x_m
        message.pose.pose.orientation.w = 1.0
        odometry.publish(message)

    return node, feed, drive, odometry


def test_a_vehicle_in_metres_at_the_end_of_the_window(ground_chain, watcher, wait):
    """The ego vehicle drives at 10 m/s towards a standing one."""
    _, feed, drive, _ = ground_chain
    nearest = watcher.collect(PoseWithCovarianceStamped, 'nearest')
    points = watcher.collect(PointCloud2, 'tracks_points')
    wait(lambda: watcher.node.count_publishers('/avdet/nearest'), 'the tracker')
    for step in range(30):
        t = 50 + 0.1 * step
        drive(t + 0.45, step + 4.5)
        drive(t + 0.5, step + 5.0)
        time.sleep(0.01)
        message = feed(t, (60.0 - step, 4.0))
    assert message.header.frame_id == 'base_link'
    assert message.header.stamp.sec + message.header.stamp.nanosec * 1e-9 == pytest.approx(53.4)
    (vehicle,) = message.detections
    assert (vehicle.id, vehicle.results[0].hypothesis.class_id) == ('1', '0')
    place = vehicle.bbox.center.position
    assert (place.x, place.y) == pytest.approx((60 - 34.0, 4.0), abs=4.0)
    covariance = np.array(vehicle.results[0].pose.covariance).reshape(6, 6)
    assert np.isfinite(covariance).all()
    assert np.linalg.eigvalsh(covariance)[0] > 0
    assert vehicle.bbox.size.x > 0
    wait(lambda: nearest and points, 'the other messages')
    assert nearest[-1].pose.pose.position.x == pytest.approx(place.x, abs=2.0)
    point = np.frombuffer(bytes(points[-1].data), POINT)[0]
    assert np.hypot(point['vx'], point['vy']) < 4.0, 'over ground it stands'
    values = watcher.wait_status('tracker', values=lambda v: v.get('ego_motion') == 'odometry')[2]
    assert 'not installed' in values['autoware_perception_msgs']


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        ('nan', 'odometry: expected finite'),
        ('frame', "expected child_frame_id base_link, found 'camera'"),
        ('turn', 'expected a quaternion of length 1'),
        ('jump', 'expected steps of a vehicle'),
    ],
)
def test_bad_odometry_is_said_and_no_number_is_lost(ground_chain, watcher, kind, words):
    _, feed, drive, odometry = ground_chain
    for step in range(4):
        drive(9.0 + 0.1 * step, 0.0)
    if kind == 'turn':
        odometry.publish(Odometry(header=encode_header(9_400_000_000, 'odom')))
        message = Odometry(header=encode_header(9_400_000_000, 'odom'))
        message.pose.pose.orientation.w = float('nan')
        odometry.publish(message)
    else:
        drive(
            9.4,
            {'nan': float('nan'), 'jump': 900.0}.get(kind, 0.0),
            'camera' if kind == 'frame' else 'base_link',
        )
    watcher.wait_status('tracker', words)
    for step in range(3):
        message = feed(9.2 + 0.1 * step, (20.0, 3.0))
    (vehicle,) = message.detections
    values = [vehicle.bbox.center.position.x, *vehicle.results[0].pose.covariance]
    assert np.isfinite(values).all()


def test_detections_without_a_pose_have_their_range_from_the_box(ground_chain, watcher, wait):
    """As bags from before have them, and models that give no range."""
    node, _, _, _ = ground_chain
    received = watcher.collect(Detection3DArray, 'tracks_3d', 100)
    publisher = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
    box = np.array([[920.0, 270.0, 1000.0, 350.0]])
    for step in range(4):
        head = encode_header(20_000_000_000 + step * 100_000_000, 'camera_optical_frame')
        publisher.publish(encode_detections(head, box, np.array([0.9])))
    wait(lambda: received and received[-1].detections, 'a vehicle')
    assert received[-1].detections[0].bbox.center.position.x == pytest.approx(
        22, abs=8
    )  # of a car's usual height
    assert node.get_parameter('ego_motion').value == 'odometry'


def square_map(frame, stands_x_m):
    """A wall across the way, 1 m thick."""
    message = OccupancyGrid(header=encode_header(1_000_000_000, frame))
    message.info.resolution, message.info.width, message.info.height = 0.5, 120, 40
    message.info.origin.position.x, message.info.origin.position.y = -10.0, -10.0
    message.info.origin.orientation.w = 1.0
    numbers = np.zeros((40, 120), np.int8)
    column = round((stands_x_m + 10) / 0.5)
    numbers[:, column : column + 2] = 100
    message.data = numbers.ravel().tolist()
    return message


def test_a_wall_in_the_map_hides_the_vehicle_behind_it(ground_chain, watcher, wait):
    """The map is in odom's frame, whose origin the vehicle has left, and is latched."""
    node, feed, drive, _ = ground_chain
    hidden = watcher.collect(PointCloud2, 'hidden')
    wait(lambda: watcher.node.count_publishers('/avdet/hidden'), 'the tracker')
    walls = watcher.node.create_publisher(OccupancyGrid, 'map', qos.LATCHED)
    wait(lambda: walls.get_subscription_count(), 'the tracker')

    def drive_and_hear(count, since):
        for step in range(count):
            t = since + 0.1 * step
            drive(t + 0.5, 8.0)
            time.sleep(0.01)
            feed(t, (20.0, 3.0))

    drive(29.9, 8.0)
    drive(30.0, 8.0)
    drive_and_hear(4, 30.0)
    wait(lambda: hidden, 'a message without a map')
    assert hidden[-1].width == 0
    walls.publish(square_map('map', 16.0))
    watcher.wait_status('tracker', "expected frame base_link or odom, found 'map': left out")
    walls.publish(square_map('odom', 16.0))  # 8 m ahead
    wait(lambda: node._map.at(30.5)[0] is not None, 'the map')
    drive_and_hear(4, 30.4)
    wait(lambda: hidden[-1].width, 'a hidden vehicle')
    point = np.frombuffer(bytes(hidden[-1].data), HIDDEN_POINT)[0]
    assert (point['by'], point['id']) == (2, 1)
    assert point['hidden'] > 0.5
    watcher.wait_status('tracker', values=lambda values: values.get('map') == 'used')
