"""The map of cells for node tracker: obstacles between the camera and a vehicle."""

from __future__ import annotations

import time
from typing import Any, cast

from nav_msgs.msg import OccupancyGrid

from avdet_ros.errors import AvdetError
from avdet_ros.messages.hidden import decode_cells
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.ego_reader import EgoReader
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.quoting import brief_repr
from avdet_ros.tracking.cells import Cells
from avdet_ros.tracking.ego_motion import PlanarPose

STALE_S = 2.0
"""A map around the vehicle, in base_link, is no longer used after this time."""

_ORIGIN = PlanarPose(0.0, 0.0, 0.0)


class MapReader:
    """Keeps the newest map, and determines the pose of base_link in it."""

    def __init__(self, node: AvdetNode, ego: EgoReader, base_frame: str) -> None:
        """Subscribe.

        Args:
            node: node that subscribes, and reports anomalies.
            ego: knows where base_link is in the map's frame.
            base_frame: the rig's frame.
        """
        self._node, self._ego, self._base_frame = node, ego, base_frame
        self._cells: Cells | None = None
        self._frame, self._received_s = '', 0.0
        self._state = 'none'
        subscription = node.create_subscription(
            OccupancyGrid,
            'map',
            self._on_map,
            qos.ASK_MAP,
            qos_overriding_options=qos.overridable(),
        )
        self._subscription = cast(AdaptiveSubscription, subscription)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def at(self, stamp_s: float) -> tuple[Cells | None, PlanarPose]:
        """Return the map, None if not usable at this time, and base_link's pose in its frame."""
        if self._cells is None:
            return None, _ORIGIN
        if self._frame == self._base_frame:
            fresh = time.monotonic() - self._received_s < STALE_S
            return (self._cells if fresh else None), _ORIGIN
        pose = self._ego.in_frame(stamp_s) if self._frame == self._ego.frame else None
        if pose is None:
            self._state = f'not used: the vehicle is not known in its frame {self._frame}'
            return None, _ORIGIN
        self._state = 'used'
        return self._cells, pose

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report whether there is a map, and whether it is used."""
        if sentence := self._subscription.adapt(may_latch=True):
            self._node.get_logger().info(sentence)
        stale = time.monotonic() - self._received_s >= STALE_S
        if self._cells is not None and self._frame == self._base_frame:
            self._state = f'not used: older than {STALE_S:g} s' if stale else 'used'
        report.value(map=self._state)

    def _on_map(self, message: Any) -> None:
        frame = message.header.frame_id.lstrip('/')
        odom_frame = self._ego.frame
        if frame != self._base_frame and odom_frame and frame != odom_frame:
            self._node.refuse(
                'map',
                f'map: expected frame {self._base_frame} or {odom_frame}, found '
                f'{brief_repr(frame)}: left out',
            )
            return
        try:
            self._cells = decode_cells(message)
        except AvdetError as error:
            self._node.refuse('map', f'{error}: left out')
            return
        self._frame, self._received_s, self._state = frame, time.monotonic(), 'used'
