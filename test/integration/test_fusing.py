"""The example of docs/fusing.md pairs pictures with tracks that arrive half a second later."""

from __future__ import annotations

from pathlib import Path
import re
import time

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / 'docs' / 'fusing.md'
LATENCY_S = 0.56
"""Half a second, plus more than the processing time of the nodes."""


def example() -> dict:
    """The page's program, as a module."""
    source = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
    names = {'__name__': 'example'}
    exec(compile(source[1], str(PAGE), 'exec'), names)  # the page is part of this repository
    return names


def test_queue_and_slop_table_matches_the_formulas():
    rows = re.findall(r'\| (\d+) Hz \| (\d+) \| ([\d.]+) s \|', PAGE.read_text())
    assert len(rows) == 4
    for rate, queue, slop in rows:
        assert int(queue) == round(0.8 * float(rate)) + 1
        assert float(slop) == pytest.approx(0.5 / float(rate), abs=6e-4)
        assert int(queue) > LATENCY_S * float(rate) + 1  # the picture is still queued


@pytest.mark.ros
@pytest.mark.parametrize(('queue', 'pairs'), [(None, True), (10, False)])
def test_example_pairs_pictures_and_tracks_unless_the_queue_is_short(ros, queue, pairs):
    pytest.importorskip('message_filters', reason='message_filters is not installed')
    from helpers.running_nodes import Spinning
    import rclpy
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray

    from avdet_ros.messages.encode import encode_detections, encode_header

    names = example()
    node = names['Fusion']()
    if queue is not None:
        node.pairs.queue_size = queue
    found = []
    node.pairs.callbacks.clear()
    node.pairs.registerCallback(lambda picture, tracks: found.append((picture, tracks)))
    talker = rclpy.create_node('talker')
    pictures = talker.create_publisher(Image, '/camera/image_rect', 10)
    tracks = talker.create_publisher(Detection2DArray, '/avdet/tracks', 10)
    spinning = Spinning(node)
    try:
        began = time.monotonic()
        while tracks.get_subscription_count() + pictures.get_subscription_count() < 2:
            assert time.monotonic() < began + 30
            time.sleep(0.05)
        for n in range(90):  # three seconds of messages, sent as fast as they are received
            now_ns = 10**12 + round(n / 30 * 1e9)
            pictures.publish(Image(header=encode_header(now_ns, 'camera'), height=1, width=1))
            if n % 3 == 0 and n / 30 > LATENCY_S:
                head = encode_header(now_ns - round(LATENCY_S * 1e9), 'camera')
                box = np.array([[0.0, 0, 9, 9]])
                tracks.publish(encode_detections(head, box, np.ones(1), ['1']))
            time.sleep(0.01)
        time.sleep(0.5)
    finally:
        spinning.close()
        talker.destroy_node()
    assert bool(found) == pairs
    if pairs:
        assert len(found) > 15
        for picture, heard in found:
            apart = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in (picture, heard)]
            assert abs(apart[0] - apart[1]) <= 0.5 / 30 + 1e-6
