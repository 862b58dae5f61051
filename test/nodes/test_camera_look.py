"""look_at_camera on a few seconds of camera topics, published from another ROS context."""

from __future__ import annotations

import threading
import time

from geometry_msgs.msg import TransformStamped
import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import qos_profile_sensor_data
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from avdet_ros.checkup.camera import judge_camera
from avdet_ros.nodes import qos
from avdet_ros.nodes.camera_look import look_at_camera

pytestmark = pytest.mark.ros


@pytest.fixture
def driver(rig):
    """A driver for the rig's camera: best effort, a camera_info of zeros first, latched TF."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node('driver', namespace='/front', context=context)
    pictures = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
    infos = node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
    static = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
    camera, ended = rig.camera, threading.Event()
    entry = TransformStamped()
    entry.header.frame_id, entry.child_frame_id = rig.frame_id, 'front_optical'
    place, turn = entry.transform.translation, entry.transform.rotation
    place.x, place.y, place.z = map(float, camera.position_m)
    turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(camera.rotation.T).as_quat()
    static.publish(TFMessage(transforms=[entry]))
    picture = Image(width=camera.width_px, height=camera.height_px, encoding='mono8')
    picture.step, picture.data = camera.width_px, bytes(camera.width_px * camera.height_px)
    info = CameraInfo(width=camera.width_px, height=camera.height_px)
    calibrated = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]

    def publish():
        count = 0
        while not ended.wait(0.05):
            info.k = calibrated if count else [0.0] * 9
            for message, publisher in ((info, infos), (picture, pictures)):
                message.header.stamp = node.get_clock().now().to_msg()
                message.header.frame_id = 'front_optical'
                publisher.publish(message)
            count += 1

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    ended.set()
    thread.join()
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.slow
@pytest.mark.usefixtures('driver')
def test_camera_topics_are_found_and_agree_with_the_rig(rig):
    began = time.monotonic()
    seen = look_at_camera('avdet', '/front/image_raw', 30.0)
    assert time.monotonic() - began < 30  # it returns as soon as it has enough
    assert seen.size_px == (rig.camera.width_px, rig.camera.height_px)
    assert seen.info is not None
    found = {finding.part: finding for finding in judge_camera(rig, seen)}
    assert (found['camera'].state, found['TF'].state) == ('ok', 'ok'), found
    assert found['stamps'].found.startswith('pictures arrive ')


@pytest.mark.slow
@pytest.mark.usefixtures('driver')
def test_look_at_a_missing_topic_lists_the_existing_one():
    seen = look_at_camera('avdet', 'image', 2.0)
    assert (seen.topic, seen.size_px) == ('/avdet/image', None)
    assert '/front/image_raw' in seen.others
