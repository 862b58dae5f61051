"""The example node of CONTRIBUTING.md, run unchanged."""

from __future__ import annotations

from helpers.contributing import examples
import numpy as np
import pytest
from std_msgs.msg import Int32
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.encode import encode_header, encode_tracks
from avdet_ros.nodes import qos
from avdet_ros.parameters import NODES
from avdet_ros.tracking import Track

pytestmark = pytest.mark.ros


def test_custom_node_counts_vehicles(start, watcher, wait):
    module = {}
    exec(examples()['counter_node.py'], module)
    try:
        start(module['CounterNode'], least_score=0.6)
        counts = watcher.collect(Int32, 'vehicle_count')
        publisher = watcher.publisher(Detection2DArray, 'tracks', qos.RESULTS)
        box = np.array([0, 0, 10, 10], np.float32)
        tracks = [Track(number, box, score, 0.0, 1.0) for number, score in ((1, 0.5), (2, 0.9))]

        def counted():
            publisher.publish(encode_tracks(encode_header(10**18, 'camera'), tracks))
            return len(counts) > 0

        wait(counted, 'a count')
        assert counts[-1].data == 1
        watcher.wait_status('counter', '1 vehicles', level=0)
    finally:
        del NODES['counter']
