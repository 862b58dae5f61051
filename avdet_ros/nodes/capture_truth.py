"""Topics `truth`, `odom`, `air_temperature` and `drive_time` of node capture.

The node publishes them when it plays a simulated drive.
"""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import Odometry
import numpy as np
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Temperature, TimeReference
from vision_msgs.msg import Detection2DArray

from avdet_ros.dataset.odometry import FRAME
from avdet_ros.messages.encode import encode_detections, encode_header, encode_stamp
from avdet_ros.nodes import qos
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.rig import Rig
from avdet_ros.simulation.ego_odometry import ego_state
from avdet_ros.sources.base import StampedBlock


class TruthPublisher:
    """Publishes true boxes and odometry of a drive at each hop, and the time of its beginning.

    Attributes:
        scene: the source's world, see `Source.scene`; None until the source has started.
    """

    def __init__(self, node: AvdetNode, rig: Rig, label: str) -> None:
        """Create the topics' publishers.

        Args:
            node: node that publishes.
            rig: sample rate and the camera's frame.
            label: name of the source for users.
        """
        self._node, self._rig, self._label = node, rig, label
        self._truth = node.create_publisher(
            Detection2DArray, 'truth', qos.RESULTS, qos_overriding_options=qos.overridable()
        )
        self._odom = node.create_publisher(Odometry, 'odom', qos.RESULTS)
        self._air = node.create_publisher(Temperature, 'air_temperature', qos.RESULTS)
        self._drive_time = node.create_publisher(TimeReference, 'drive_time', qos.LATCHED)
        self.scene: Any = None
        self.restart()

    def restart(self) -> None:
        """Start again after the source was reopened; its sample numbers begin at 0."""
        self._next_truth_s = 0.0
        self._next_drive_time_sample = 0

    def publish_drive_time(self, stamped: StampedBlock) -> None:
        """Once a second, publish the drive's beginning, which dates its pictures, and its air.

        Args:
            stamped: the newest block. Called on the source's thread.
        """
        if stamped.block.first_sample < self._next_drive_time_sample:
            return
        self._next_drive_time_sample = stamped.block.first_sample + self._rig.sample_rate_hz
        head = encode_header(stamped.time_ns(0), '')
        self._drive_time.publish(
            TimeReference(header=head, time_ref=encode_stamp(0), source=self._label)
        )
        if self.scene is not None:
            now_ns = stamped.time_ns(stamped.block.first_sample)
            head = encode_header(now_ns, self._rig.frame_id)
            self._air.publish(Temperature(header=head, temperature=self.scene.temperature_c))

    def publish(self, end_sample: int, start_ns: int, hop_s: float) -> None:
        """Publish the truth at each hop up to a window's end, on the worker's thread.

        The truth begins with the stream and not at the first window's end, since boxes are valid
        for an instant inside their window.

        Args:
            end_sample: end of the window.
            start_ns: ROS time of sample 0.
            hop_s: time from one truth to the next.
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
            self._publish_odometry(time_s, start_ns)
            self._next_truth_s += hop_s

    def _publish_odometry(self, time_s: float, start_ns: int) -> None:
        """Publish the ego vehicle's pose and velocity in the drive's world."""
        state = ego_state(self.scene, time_s)
        message = Odometry(header=encode_header(start_ns + round(time_s * 1e9), FRAME))
        message.child_frame_id = self._rig.frame_id
        at, turn = message.pose.pose.position, message.pose.pose.orientation
        at.x, at.y, at.z = state.position_m.tolist()
        turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(state.rotation).as_quat().tolist()
        linear, angular = message.twist.twist.linear, message.twist.twist.angular
        linear.x, linear.y, linear.z = state.velocity_mps.tolist()
        angular.x, angular.y, angular.z = state.turning_rad_s.tolist()
        self._odom.publish(message)

    def destroy(self) -> None:
        """Destroy the publishers."""
        self._node.destroy_publisher(self._truth)
        self._node.destroy_publisher(self._odom)
        self._node.destroy_publisher(self._air)
        self._node.destroy_publisher(self._drive_time)
