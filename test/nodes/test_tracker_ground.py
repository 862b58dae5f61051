"""Node tracker in metres: vehicles, ego motion over DDS, and the map."""

from __future__ import annotations

from functools import partial
import time

from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import OccupancyGrid, Odometry
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray

from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.encode import encode_detections, encode_header
from avdet_ros.messages.encode_ground import POINT
from avdet_ros.messages.hidden import HIDDEN_POINT
from avdet_ros.messages.places import find_places
from avdet_ros.nodes import qos
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros


def vehicle_at(x_m, y_m, rig):
    """A detection of a vehicle at a position in base_link, as node detector sends it."""
    place = np.array([x_m, y_m, 0.8])
    (column, row), _ = rig.camera.project(place)
    range_m = np.linalg.norm(place - rig.array_position_m)
    box = np.array([[column - 40, row - 30, column + 40, row + 30]], np.float32)
    ranges = np.array([[0.7, 1.0, 1.4]], np.float32) * range_m
    return Detections(box, np.array([0.9]), ranges, np.array([np.arctan2(y_m, x_m)]))


@pytest.fixture
def ground_chain(start, watcher, wait, rig):
    """A tracker in metres, and functions that feed it with vehicles and odometry."""
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


def test_vehicle_in_metres_is_published_for_the_window_end(ground_chain, watcher, wait):
    """The ego vehicle drives at 10 m/s towards a stationary vehicle."""
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
def test_bad_odometry_is_reported_and_outputs_stay_finite(ground_chain, watcher, kind, words):
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


def test_range_of_detections_without_a_pose_comes_from_the_box(ground_chain, watcher, wait):
    """Older bags and models without a range output have such detections."""
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
    )  # from the usual height of a car
    assert node.get_parameter('ego_motion').value == 'odometry'


def transform(parent, child, stamp_s, x_m=0.0, w=1.0):
    """A frame in its parent; with w = 0.7071 it is turned 90 degrees to the left."""
    each = TransformStamped(header=encode_header(round(stamp_s * 1e9), parent))
    each.child_frame_id = child
    each.transform.translation.x = float(x_m)
    each.transform.rotation.w, each.transform.rotation.z = w, (1 - w * w) ** 0.5
    return each


@pytest.fixture
def tf_chain(start, watcher, wait, rig):
    """A tracker with ego motion from TF, and functions that send vehicles and transforms."""
    node = start(TrackerNode, tracker='ground', ego_motion='tf', odom_frame='world')
    received = watcher.collect(Detection3DArray, 'tracks_3d', 100)
    points = watcher.collect(PointCloud2, 'tracks_points', 100)
    boxes = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
    moving = watcher.publisher(TFMessage, '/tf', qos.ASK_TF)
    static = watcher.publisher(TFMessage, '/tf_static', qos.LATCHED_OF_ALL)

    def feed(stamp_s, place):
        found = vehicle_at(*place, rig)
        head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
        before = len(received), len(points)
        boxes.publish(
            encode_detections(head, found.boxes_px, found.scores, places=find_places(found, rig))
        )
        wait(lambda: len(received) > before[0] and len(points) > before[1], 'tracks in metres')
        for entry in received[-1].detections:
            numbers = [entry.bbox.center.position.x, *entry.results[0].pose.covariance]
            assert np.isfinite(numbers).all()
        return np.frombuffer(bytes(points[-1].data), POINT)

    def send(*transforms, on=moving):
        on.publish(TFMessage(transforms=list(transforms)))

    return node, feed, send, static


def approach(feed, send, wait, node, steps=25, since=50.0):
    """The ego vehicle drives at 10 m/s along its x axis, which is the fixed frame's y axis."""
    for step in range(steps):
        t = since + 0.1 * step
        for later in (0.45, 0.5):
            send(transform('odometry', 'chassis', t + later, 10 * (t + later - since)))
        if step:
            wait(partial(node._ego.at, t + 0.5), 'the transform')
        found = feed(t, (60.0 - 10 * (t - since), 4.0))
    return found


def test_ego_motion_comes_from_a_chain_of_transforms(tf_chain, watcher, wait):
    """world -> odometry (static, turned 90 degrees) -> chassis (moving) -> base_link (static)."""
    node, feed, send, static = tf_chain
    send(
        transform('world', 'odometry', 1.0, 5.0, w=0.5**0.5),
        transform('chassis', 'base_link', 1.0, 1.5),
        on=static,
    )
    wait(lambda: len(node._ego._edges) == 2, 'the static frames')
    (vehicle,) = approach(feed, send, wait, node)
    assert np.hypot(vehicle['vx'], vehicle['vy']) < 4.0, 'over ground it stands'
    pose = node._ego.at(52.0)
    assert pose.yaw_rad == pytest.approx(np.pi / 2, abs=1e-3)
    assert (pose.x_m, pose.y_m) == pytest.approx((5.0, 21.5), abs=0.1)
    watcher.wait_status('tracker', values=lambda v: v.get('ego_motion') == 'tf')


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        ('missing', ''),
        ('turn', 'expected a quaternion of length 1'),
        ('nan', 'odometry: expected finite metres'),
        ('back', 'expected rising stamps'),
        ('jump', 'expected steps of a vehicle'),
    ],
)
def test_bad_transforms_are_reported_and_outputs_stay_finite(tf_chain, watcher, wait, kind, words):
    node, feed, send, _ = tf_chain
    if kind == 'missing':  # the chain does not reach frame world
        send(transform('somewhere', 'base_link', 8.9))
        feed(9.2, (20.0, 3.0))
        state = watcher.wait_status('tracker', values=lambda v: 'no tf yet' in v['ego_motion'])
        assert 'relative' in state[2]['ego_motion']
        return
    for step in range(4):
        send(transform('world', 'base_link', 9.0 + 0.1 * step))
    bad = transform('world', 'base_link', 9.1 if kind == 'back' else 9.4)
    bad.transform.translation.x = {'nan': float('nan'), 'jump': 500.0}.get(kind, 0.0)
    if kind == 'turn':
        bad.transform.rotation.w = bad.transform.rotation.z = 0.0
    wait(lambda: node._ego.at(9.3) is not None, 'the transforms')
    send(bad)
    watcher.wait_status('tracker', words)
    for step in range(3):
        found = feed(9.2 + 0.1 * step, (20.0, 3.0))
    assert len(found) == 1


def test_late_transforms_are_extrapolated_for_half_a_second(tf_chain, watcher, wait):
    node, feed, send, _ = tf_chain
    for step in range(8):
        send(transform('world', 'base_link', 20 + 0.1 * step, step))
    wait(lambda: node._ego.at(20.7) is not None, 'the transforms')
    assert node._ego.at(21.1).x_m == pytest.approx(11.0, abs=0.05)
    assert node._ego.at(21.3) is None
    for step in range(3):
        assert len(feed(21.3 + 0.1 * step, (20.0, 3.0))) == (step > 0)
    watcher.wait_status('tracker', 'tf of the ego vehicle stopped')


def wall_map(frame, wall_x_m):
    """A map with a wall across the road, 1 m thick."""
    message = OccupancyGrid(header=encode_header(1_000_000_000, frame))
    message.info.resolution, message.info.width, message.info.height = 0.5, 120, 40
    message.info.origin.position.x, message.info.origin.position.y = -10.0, -10.0
    message.info.origin.orientation.w = 1.0
    numbers = np.zeros((40, 120), np.int8)
    column = round((wall_x_m + 10) / 0.5)
    numbers[:, column : column + 2] = 100
    message.data = numbers.ravel().tolist()
    return message


def test_wall_in_the_map_hides_the_vehicle_behind_it(ground_chain, watcher, wait):
    """The map is latched and in frame odom, whose origin the vehicle has left."""
    node, feed, drive, _ = ground_chain
    hidden = watcher.collect(PointCloud2, 'hidden')
    wait(lambda: watcher.node.count_publishers('/avdet/hidden'), 'the tracker')
    walls = watcher.node.create_publisher(OccupancyGrid, 'map', qos.LATCHED)
    wait(lambda: walls.get_subscription_count(), 'the tracker')

    def drive_and_feed(count, since):
        for step in range(count):
            t = since + 0.1 * step
            drive(t + 0.5, 8.0)
            time.sleep(0.01)
            feed(t, (20.0, 3.0))

    drive(29.9, 8.0)
    drive(30.0, 8.0)
    drive_and_feed(4, 30.0)
    wait(lambda: hidden, 'a message without a map')
    assert hidden[-1].width == 0
    walls.publish(wall_map('map', 16.0))
    watcher.wait_status('tracker', "expected frame base_link or odom, found 'map': left out")
    walls.publish(wall_map('odom', 16.0))  # 8 m ahead
    wait(lambda: node._map.at(30.5)[0] is not None, 'the map')
    drive_and_feed(4, 30.4)
    wait(lambda: hidden[-1].width, 'a hidden vehicle')
    point = np.frombuffer(bytes(hidden[-1].data), HIDDEN_POINT)[0]
    assert (point['by'], point['id']) == (2, 1)
    assert point['hidden'] > 0.5
    watcher.wait_status('tracker', values=lambda values: values.get('map') == 'used')
