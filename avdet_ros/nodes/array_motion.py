"""The array's speed and the air temperature, for the steering of node detector."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import Temperature

from avdet_ros.detection.moving_steering import check_air
from avdet_ros.errors import AvdetError
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.ego_reader import EgoReader
from avdet_ros.nodes.lifecycle import AvdetNode

STANDING = 'the array is assumed to stand still'


class ArrayMotion:
    """Speed and air temperature that a model for any array receives with each window.

    The speed is that at the middle of the window, half a second ago, so that odometry from before
    and after it has arrived. `avdet bag process` finds the same.
    """

    def __init__(self, node: AvdetNode, base_frame: str, window_s: float) -> None:
        """Subscribe.

        Args:
            node: detector, with its parameters.
            base_frame: the rig's frame.
            window_s: length of a window.
        """
        self._node, self._half_s = node, window_s / 2
        self._ego = EgoReader(
            node, node.p['ego_motion'], node.p['odom_frame'], base_frame, (STANDING, STANDING)
        )
        self._received_c: float | None = None
        self._speed_mps: float | None = None
        self._air: Any = node.create_subscription(
            Temperature, 'air_temperature', self._on_air, qos.ASK_ODOMETRY
        )

    def destroy(self) -> None:
        """Unsubscribe."""
        self._ego.destroy()
        self._node.destroy_subscription(self._air)

    def at(self, end_ns: int) -> tuple[float, float]:
        """Return forward speed in m/s, 0 if unknown, and air temperature in degrees Celsius.

        Args:
            end_ns: end of the window.
        """
        self._speed_mps = self._ego.speed_mps(end_ns * 1e-9 - self._half_s)
        return self._speed_mps or 0.0, self._air_c

    @property
    def _air_c(self) -> float:
        return self._node.p['air_temperature_c'] if self._received_c is None else self._received_c

    def _on_air(self, message: Temperature) -> None:
        try:
            self._received_c = check_air(message.temperature, 'air_temperature')
        except AvdetError as error:
            self._node.refuse('air_temperature', f'{error}: left out')

    def diagnose(self, report: diagnostics.Report, ended: bool) -> None:
        """Report the values that windows are steered for, and their sources."""
        self._ego.diagnose(report, ended)
        report.value(
            own_speed_mps='unknown' if self._speed_mps is None else self._speed_mps,
            air_temperature_c=float(self._air_c),
            air_temperature_from='parameter' if self._received_c is None else 'topic',
        )
