"""Output of node tracker in metres: vehicles in base_link at the end of the window."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from avdet_ros.messages.autoware import autoware_messages, encode_detected, encode_tracked
from avdet_ros.messages.encode_ground import encode_ground, encode_nearest, encode_points
from avdet_ros.messages.foxglove import encode_annotations, foxglove_messages
from avdet_ros.messages.hidden import encode_hidden
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.map_reader import MapReader
from avdet_ros.rig import Camera
from avdet_ros.tracking.around_corner import hidden_sights, look
from avdet_ros.tracking.ground_track import GroundTrack
from avdet_ros.tracking.track import Track


class GroundOutput:
    """Publishers of all messages in metres, and of those for optional packages."""

    def __init__(self, node: AvdetNode) -> None:
        """Create the publishers.

        Args:
            node: node that publishes.
        """
        self._node = node
        qos_options = {'qos_overriding_options': qos.overridable()}
        create = node.create_publisher
        self._boxes = create(Detection3DArray, 'tracks_3d', qos.RESULTS, **qos_options)
        self._points = create(PointCloud2, 'tracks_points', qos.RESULTS)
        self._nearest = create(PoseWithCovarianceStamped, 'nearest', qos.RESULTS)
        self._hidden = create(PointCloud2, 'hidden', qos.RESULTS)
        self._optional: list[tuple[Any, Any]] = []
        self._notes: dict[str, str] = {}
        if msg := self._found('autoware_perception_msgs', autoware_messages()):
            for kind, topic, encode in (
                (msg.DetectedObjects, 'autoware/detected_objects', encode_detected),
                (msg.TrackedObjects, 'autoware/tracked_objects', encode_tracked),
            ):
                self._optional.append((create(kind, topic, qos.RESULTS), encode))
        self._annotations = None
        if msg := self._found('foxglove_msgs', foxglove_messages()):
            self._annotations = create(msg.ImageAnnotations, 'annotations', qos.RESULTS)
        self._dropped = 0

    def publish(self, head: Header, vehicles: list[GroundTrack]) -> None:
        """Publish vehicles in metres.

        Args:
            head: instant that the vehicles are valid for, and frame base_link.
            vehicles: vehicles of the tracker; those with non-finite numbers are left out.
        """
        sound = [vehicle for vehicle in vehicles if is_sound(vehicle)]
        if len(sound) < len(vehicles):
            self._dropped += len(vehicles) - len(sound)
            self._node.refuse(
                'tracks_3d', 'tracks_3d: expected finite numbers, found a track without: left out'
            )
        self._boxes.publish(encode_ground(head, sound))
        if self._points.get_subscription_count():
            self._points.publish(encode_points(head, sound))
        if self._nearest.get_subscription_count() and sound:
            self._nearest.publish(encode_nearest(head, sound))
        for publisher, encode in self._optional:
            if publisher.get_subscription_count():
                publisher.publish(encode(head, sound))

    def publish_hidden(
        self, head: Header, vehicles: list[GroundTrack], camera: Camera, cells: MapReader
    ) -> None:
        """Publish the vehicles that are hidden from the camera, while somebody subscribes.

        Args:
            head: as in `publish`.
            vehicles: as in `publish`.
            camera: camera of the rig.
            cells: map of the surroundings.
        """
        if self._hidden.get_subscription_count():
            sound = [vehicle for vehicle in vehicles if is_sound(vehicle)]
            sights = look(sound, camera, *cells.at(head.stamp.sec + head.stamp.nanosec * 1e-9))
            self._hidden.publish(encode_hidden(head, hidden_sights(sights)))

    def annotate(self, head: Header, tracks: list[Track]) -> None:
        """Publish tracks as annotations of the picture, if Foxglove's messages are installed."""
        if self._annotations is not None and self._annotations.get_subscription_count():
            self._annotations.publish(encode_annotations(head.stamp, tracks))

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report which optional messages are installed, and how many tracks were left out."""
        report.value(**self._notes, tracks_3d_left_out=self._dropped)

    def _found(self, package: str, module: Any | None) -> Any | None:
        self._notes[package] = 'installed' if module else 'not installed: its topics are left out'
        return module


def is_sound(vehicle: GroundTrack) -> bool:
    """Whether all numbers of a track are finite, and its variances positive."""
    values = (
        *vehicle.position_m,
        *vehicle.velocity_mps,
        *vehicle.covariance.ravel(),
        *vehicle.size_m,
        *vehicle.ego_mps,
        vehicle.score,
    )
    return bool(np.isfinite(values).all() and (np.diag(vehicle.covariance) > 0).all())
