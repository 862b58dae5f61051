"""Fixtures for running nodes, and a small network for them."""

from __future__ import annotations

from helpers.models import small_network
from helpers.running_nodes import ros, start, wait_fixture, watcher
import numpy as np
import pytest

TRACKED_BOX = np.array([[100.0, 200.0, 300.0, 400.0]])

__all__ = ['ros', 'start', 'wait_fixture', 'watcher']


@pytest.fixture
def make_network(rig):
    return lambda front_end: small_network(rig, front_end)


@pytest.fixture
def chain(start, watcher, wait):
    """Start a tracker; return it, a function that feeds it, and the tracks that it publishes."""

    from vision_msgs.msg import Detection2DArray

    from avdet_ros.messages.encode import encode_detections, encode_header
    from avdet_ros.nodes import qos
    from avdet_ros.nodes.tracker import TrackerNode

    def make(**parameters):
        node = start(TrackerNode, **{'tracker': 'iou', **parameters})
        received = watcher.collect(Detection2DArray, 'tracks', 100)
        publisher = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
        wait(lambda: watcher.node.count_publishers('/avdet/tracks'), 'the tracker')

        def feed(stamp_s, boxes=TRACKED_BOX, scores=(0.9,)):
            before = len(received)
            head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
            publisher.publish(encode_detections(head, boxes, np.array(scores)))
            wait(lambda: len(received) > before, 'tracks')
            return received[-1]

        return node, publisher, feed, received

    return make
