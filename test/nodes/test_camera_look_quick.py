"""look_at_camera on small pictures, published from another ROS context."""

from __future__ import annotations

import threading

from geometry_msgs.msg import TransformStamped
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from avdet_ros.nodes import camera_look as module
from avdet_ros.nodes import qos
from avdet_ros.nodes.camera_look import look_at_camera

pytestmark = pytest.mark.ros


@pytest.fixture
def run_driver():
    """A function that runs a camera driver; its node can create publishers."""
    context, ended, threads = Context(), threading.Event(), []
    rclpy.init(args=[], context=context)
    node = rclpy.create_node('driver', namespace='/front', context=context)

    def run_driver(each):
        """Call `each(node, count)` every 50 ms."""

        def work():
            count = 0
            while not ended.wait(0.05):
                each(node, count)
                count += 1

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    run_driver.node = node
    yield run_driver
    ended.set()
    for thread in threads:
        thread.join()
    node.destroy_node()
    rclpy.shutdown(context=context)


def picture(node, age_s=0.0, encoding='mono8'):
    message = Image(width=8, height=6, step=8, encoding=encoding, data=bytes(48))
    message.header.frame_id = 'front_optical'
    now = node.get_clock().now()
    message.header.stamp = (now - rclpy.duration.Duration(seconds=age_s)).to_msg()
    return message


def test_picture_size_calibration_and_pose_are_found_from_the_only_topic(run_driver):
    """The zero calibration that drivers send first is skipped; some pictures are unreadable."""
    node = run_driver.node
    pictures = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
    infos = node.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
    ours = [node.create_publisher(Image, name, 10) for name in ('audio', 'spectrogram', 'overlay')]
    static = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
    entry = TransformStamped()
    entry.header.frame_id, entry.child_frame_id = 'base_link', 'front_optical'
    entry.transform.translation.x, entry.transform.rotation.w = 1.5, 1.0
    static.publish(TFMessage(transforms=[entry]))
    info = CameraInfo(width=8, height=6)

    def each(node, count):
        info.k = [float(10 + count)] * 9 if count % 4 else [0.0] * 9
        infos.publish(info)
        pictures.publish(picture(node, 10.0, 'mono8' if count % 5 else 'h265'))

    run_driver(each)
    assert len(ours) == 3
    seen = look_at_camera('avdet', '', 20.0)
    assert (seen.topic, seen.size_px, seen.frame_id) == (
        '/front/image_raw',
        (8, 6),
        'front_optical',
    )
    assert len(seen.ages_s) >= module.ENOUGH_PICTURES
    assert np.median(seen.ages_s) == pytest.approx(10, abs=1)
    assert seen.info.k[0] > 10
    assert seen.transforms.has('front_optical')
    assert list(seen.others) == []
    assert not rclpy.ok()


def test_several_topics_are_listed_and_only_a_named_one_is_used(run_driver, ros, wait):
    node = run_driver.node
    raw = node.create_publisher(Image, '/avdet/right', 10)
    small = node.create_publisher(CompressedImage, 'left/compressed', 10)

    def each(node, count):
        message = picture(node)
        message.header.stamp.sec = message.header.stamp.nanosec = 0
        raw.publish(message)
        small.publish(CompressedImage(format='jpeg', data=b'none'))

    run_driver(each)
    node = rclpy.create_node('doctor', namespace='avdet')
    wait(lambda: node.count_publishers('/avdet/right'), 'the driver')
    wait(lambda: node.count_publishers('/front/left/compressed'), 'the driver')
    seen = module._look(node, '', 0.0)
    assert (seen.topic, seen.size_px) == ('', None)
    assert list(seen.others) == ['/avdet/right', '/front/left/compressed']
    seen = module._look(node, 'right', 1.5)
    assert (seen.topic, seen.size_px) == ('/avdet/right', (8, 6))
    assert list(seen.others) == ['/front/left/compressed']
    assert seen.info is None
    assert np.isnan(seen.ages_s).all()  # no stamp, no age
    assert not seen.transforms.has('front_optical')
    seen = module._look(node, '/front/left/compressed', 0.3)  # no picture is readable
    assert (seen.topic, seen.size_px, seen.frame_id) == ('/front/left/compressed', None, '')
    node.destroy_node()
