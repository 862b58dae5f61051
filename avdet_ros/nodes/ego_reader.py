"""The ego vehicle's motion for nodes detector and tracker: from `nav_msgs/Odometry` or from TF."""

from __future__ import annotations

import math
import time
from typing import Any

from nav_msgs.msg import Odometry

from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_odometry, stamp_ns, yaw_of
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.tracking.ego_motion import EgoMotion, PlanarPose

STOPPED_S = 1.0
"""Odometry counts as stopped if none arrives for this long."""

_LONGEST_CHAIN = 20


class EgoReader:
    """Keeps the ego vehicle's path of the last seconds."""

    def __init__(
        self,
        node: AvdetNode,
        source: str,
        odom_frame: str,
        base_frame: str,
        consequences: tuple[str, str] = (
            'velocities are relative',
            'velocities are relative and ellipses wider',
        ),
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes, and reports anomalies.
            source: ``odometry``, ``tf`` or ``none``.
            odom_frame: fixed frame of TF.
            base_frame: the rig's frame.
            consequences: consequences to report, if the motion was never known or no longer is.
        """
        self._node, self._source = node, source
        self._odom_frame, self._base_frame = odom_frame, base_frame
        self._frame = odom_frame if source == 'tf' else ''
        self._consequence, self._consequence_now = consequences
        self._motion = EgoMotion()
        self._last_s: float | None = None
        self._edges: dict[str, tuple[str, float, float, float, float]] = {}
        self._absent = ''
        self._subscriptions: list[Any] = []
        if source == 'odometry':
            self._listen(Odometry, 'odom', self._on_odometry, qos.ASK_ODOMETRY)
        elif source == 'tf':
            self._listen_to_tf()

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def at(self, stamp_s: float) -> PlanarPose | None:
        """Return the pose of base_link at an instant, or None if it is unknown."""
        return self._motion.at(stamp_s)

    @property
    def frame(self) -> str:
        """Name of the fixed frame, '' while it is not known."""
        return self._frame

    def in_frame(self, stamp_s: float) -> PlanarPose | None:
        """Return the pose of base_link in `frame`, jumps included, or None if it is unknown."""
        return self._motion.in_frame(stamp_s)

    def speed_mps(self, stamp_s: float) -> float | None:
        """Return the forward speed around an instant, negative in reverse; None if unknown."""
        return self._motion.speed_mps(stamp_s)

    def diagnose(self, report: diagnostics.Report, ended: bool = False) -> None:
        """Report the source of the motion, and whether it still delivers.

        Args:
            report: report to add to.
            ended: whether the whole drive has ended, and so the motion too.
        """
        since_s = None if self._last_s is None else time.monotonic() - self._last_s
        if self._source == 'none':
            state = f'none: {self._consequence}'
        elif since_s is None:
            state = self._absent or f'no {self._source} yet: {self._consequence}'
        else:
            state = self._source
        report.value(
            ego_motion=state, ego_jumps=self._motion.jumps, ego_time_jumps=self._motion.returns
        )
        if since_s is not None and since_s > STOPPED_S and not ended:
            report.warn(
                f'{self._source} of the ego vehicle stopped {since_s:.0f} s ago: '
                f'{self._consequence_now}'
            )

    def _listen(self, kind: Any, topic: str, callback: Any, profile: Any) -> None:
        self._subscriptions.append(self._node.create_subscription(kind, topic, callback, profile))

    def _listen_to_tf(self) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self._absent = f'tf: expected package tf2_msgs, found none: {self._consequence}'
            self._node.refuse('tf', self._absent)
            return
        self._listen(TFMessage, '/tf', self._on_tf, qos.ASK_TF)
        self._listen(TFMessage, '/tf_static', self._on_tf, qos.LATCHED_OF_ALL)

    def _on_odometry(self, message: Odometry) -> None:
        try:
            x_m, y_m, yaw = decode_odometry(message, self._base_frame, 'odom')
        except AvdetError as error:
            self._node.refuse('odometry', str(error))
            return
        self._frame = message.header.frame_id
        self._add(stamp_ns(message), x_m, y_m, yaw)

    def _on_tf(self, message: Any) -> None:
        """Follow the chain of frames from base_link up to the fixed one."""
        newest_ns = 0
        for transform in message.transforms:
            place = transform.transform.translation
            try:
                yaw = yaw_of(transform.transform.rotation)
            except AvdetError as error:
                self._node.refuse('tf', f'/tf: {transform.child_frame_id}: {error}')
                continue
            child, parent = (
                transform.child_frame_id.lstrip('/'),
                transform.header.frame_id.lstrip('/'),
            )
            at_ns = stamp_ns(transform)
            self._edges[child] = (parent, at_ns * 1e-9, place.x, place.y, yaw)
            newest_ns = max(newest_ns, at_ns)
        x, y, yaw, frame, stamp_s = 0.0, 0.0, 0.0, self._base_frame, 0.0
        for _ in range(_LONGEST_CHAIN):
            if frame == self._odom_frame:
                if stamp_s > 0 and abs(stamp_s - newest_ns * 1e-9) < STOPPED_S:
                    self._add(round(stamp_s * 1e9), x, y, yaw)
                return
            if frame not in self._edges:
                return
            frame, at_s, dx, dy, turn = self._edges[frame]
            cos, sin = math.cos(turn), math.sin(turn)
            x, y, yaw = dx + cos * x - sin * y, dy + sin * x + cos * y, yaw + turn
            stamp_s = max(stamp_s, at_s)

    def _add(self, at_ns: int, x_m: float, y_m: float, yaw_rad: float) -> None:
        if at_ns <= 0:
            self._node.refuse('odometry', f'odom: expected a stamp, found {at_ns} ns: left out')
            return
        try:
            problem = self._motion.add(at_ns * 1e-9, x_m, y_m, yaw_rad)
        except AvdetError as error:
            problem = str(error)
        else:
            self._last_s = time.monotonic()
        if problem:
            self._node.refuse('odometry', problem)
