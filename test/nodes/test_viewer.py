"""Published messages are shown on the live page; damaged ones are skipped."""

from __future__ import annotations

import re
import subprocess
import time

import numpy as np
import pytest
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from vision_msgs.msg import (
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from avdet_ros.drawing.live_page import LivePage
from avdet_ros.messages.encode import encode_detections, encode_header, encode_image, encode_sound
from avdet_ros.nodes import qos
from avdet_ros.nodes.viewer import Viewer
from avdet_ros.rig import load_rig

pytest.importorskip('rerun')
pytestmark = pytest.mark.ros


def rows_by_entity(path):
    """Rows of every entity in a Rerun file, as Rerun's own reader counts them."""
    done = subprocess.run(
        ['rerun', 'rrd', 'print', path], capture_output=True, text=True, check=True
    )
    rows = {}
    for count, entity in re.findall(r'with (\d+) rows .*? - (/\S+) - ', done.stdout):
        rows[entity] = rows.get(entity, 0) + int(count)
    return rows


def hostile_pictures(head):
    """Pictures with no width, with an absurd encoding, and with an extreme width."""
    no_width, digits = (encode_image(head, 'rgb8', np.ones((2, 2, 3), 'u1')) for _ in range(2))
    no_width.width = 0
    digits.encoding = '32FC' + '9' * 5000
    return no_width, digits, encode_image(head, 'mono8', np.ones((1, 100_000), np.uint8))


def test_sound_boxes_and_latency_are_shown(tmp_path):
    rclpy.init()
    page = LivePage(load_rig(), save=tmp_path / 'page.rrd')
    viewer = Viewer(page, 'drive', 'image')
    talker = rclpy.create_node('talker', namespace='drive')
    audio = talker.create_publisher(Image, 'audio', qos.OFFER_STREAM)
    pictures = talker.create_publisher(Image, 'image', qos.OFFER_STREAM)
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    tracks = talker.create_publisher(Detection2DArray, 'tracks', effort)  # less than requested
    metres = talker.create_publisher(Detection3DArray, 'tracks_3d', qos.RESULTS)
    late = talker.create_publisher(Float64, 'debug/latency_ms', 10)
    until = time.monotonic() + 60
    try:
        while viewer.shown < 80 and time.monotonic() < until:
            head = encode_header(talker.get_clock().now().nanoseconds, 'array')
            audio.publish(encode_sound(head, np.ones((4410, 8), np.int16)))
            audio.publish(
                encode_sound(head, np.ones((4410, 4), np.int16))
            )  # another array's channel count
            for picture in hostile_pictures(head):
                pictures.publish(picture)
            boxes, scores = np.array([[1.0, 2, 30, 40]]), np.array([0.5])
            tracks.publish(encode_detections(head, boxes, scores, ['7']))
            place = Detection3D(id='7', results=[ObjectHypothesisWithPose()])
            metres.publish(Detection3DArray(header=head, detections=[place]))
            late.publish(Float64(data=12.0))
            for _ in range(8):  # the messages sent above
                rclpy.spin_once(viewer, timeout_sec=0.05)
        assert viewer.shown >= 80
    finally:
        viewer.destroy_node()
        talker.destroy_node()
        rclpy.try_shutdown()
    page.close()
    rows = rows_by_entity(tmp_path / 'page.rrd')
    for entity in (
        '/level/0',
        '/camera/tracks',
        '/above/ellipses',
        '/milliseconds/latency',
        '/camera/picture',
    ):
        assert rows[entity] >= 3, entity
