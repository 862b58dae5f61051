"""Topics `truth` and `drive_time` of node capture, when its source is a simulated drive."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import TimeReference
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.encode import encode_detections, encode_header, encode_stamp
from avdet_ros.nodes import qos
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.rig import Rig
from avdet_ros.sources.base import StampedBlock


class TruthPublisher:
    """Publishes the true boxes of a drive at each hop, and when the drive began.

    Attributes:
        scene: the source's world, see `Source.scene`; None until the source has started.
    """

    def __init__(self, node: AvdetNode, rig: Rig, label: str) -> None:
        """Create the topics' publishers.

        Args:
            node: that publishes.
            rig: sample rate and the camera's frame.
            label: what a person calls the source.
        """
        self._node, self._rig, self._label = node, rig, label
        self._truth = node.create_publisher(
            Detection2DArray, 'truth', qos.RESULTS, qos_overriding_options=qos.overridable()
        )
        self._drive_time = node.create_publisher(TimeReference, 'drive_time', qos.LATCHED)
        self.scene: Any = None
        self.restart()

    def restart(self) -> None:
        """The source was reopened: its sample numbers begin at 0."""
        self._next_truth_s = 0.0
        self._next_drive_time_sample = 0

    def publish_drive_time(self, stamped: StampedBlock) -> None:
        """Publish when the drive began, once a second: its pictures are shown by it.

        Args:
            stamped: the newest block; on the source's thread.
        """
        if stamped.block.first_sample < self._next_drive_time_sample:
            return
        self._next_drive_time_sample = stamped.block.first_sample + self._rig.sample_rate_hz
        head = encode_header(stamped.time_ns(0), '')
        self._drive_time.publish(
            TimeReference(header=head, time_ref=encode_stamp(0), source=self._label)
        )

    def publish(self, end_sample: int, start_ns: int, hop_s: float) -> None:
        """Publish the truth at each hop up to a window's end, on the worker's thread.

        It begins with the stream and not with the first window's end, since boxes hold for an
        instant inside their window.

        Args:
            end_sample: of the window.
            start_ns: ROS time of sample 0.
            hop_s: from one truth to the next.
        """
        if self.scene is None:
            return
        rate = self._rig.sample_rate_hz
        while round(self._next_truth_s * rate) <= end_sample:
            time_s = self._next_truth_s
            truth = self.scene.labels(time_s)
            head = encode_header(start_ns + round(time_s * 1e9), self._rig.camera.frame_id)
            ids = [str(identity) for identity in truth.ids]
            scores = np.ones(len(ids))
            self._truth.publish(encode_detections(head, truth.boxes_px, scores, ids))
            self._next_truth_s += hop_s

    def destroy(self) -> None:
        """Withdraw the topics."""
        self._node.destroy_publisher(self._truth)
        self._node.destroy_publisher(self._drive_time)
