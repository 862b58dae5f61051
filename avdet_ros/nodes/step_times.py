"""When each step of a window was done, on topic `debug/steps`, for `avdet bench latency`."""

from __future__ import annotations

import json

from std_msgs.msg import String

from avdet_ros.nodes.lifecycle import AvdetNode


class StepTimes:
    """Publishes the times of one node's steps while somebody subscribes; else it costs nothing."""

    def __init__(self, node: AvdetNode) -> None:
        """Create the publisher.

        Args:
            node: node that does the steps; its clock gives the times.
        """
        self._node = node
        self._publisher = node.create_publisher(String, 'debug/steps', 10)

    def publish(self, end_ns: int, **at_ns: int) -> None:
        """Publish one window's times.

        Args:
            end_ns: ROS time of the window's last sample, which names the window.
            **at_ns: ROS time at which each step was done, in their order.
        """
        if self._publisher.get_subscription_count():
            late_ms = {step: round((at - end_ns) * 1e-6, 4) for step, at in at_ns.items()}
            content = {'end_ns': end_ns, 'node': self._node.NAME, 'done_ms': late_ms}
            self._publisher.publish(String(data=json.dumps(content)))
