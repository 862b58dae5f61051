"""Encode vehicles hidden from the camera, and decode the map that helps to find them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import yaw_of
from avdet_ros.messages.encode_ground import point_cloud
from avdet_ros.messages.hidden_points import HIDDEN_POINT
from avdet_ros.tracking.around_corner import CELLS, IMAGE, VEHICLE, Sight
from avdet_ros.tracking.cells import Cells, make_cells
from avdet_ros.tracking.ego_motion import PlanarPose

REASONS = {IMAGE: 1, CELLS: 2, VEHICLE: 3}
"""Values of column `by`, which says why a vehicle is hidden."""


def encode_hidden(head: Header, sights: list[Sight]) -> PointCloud2:
    """Encode hidden vehicles, one point each.

    Args:
        head: stamp is the instant they are valid for, frame base_link.
        sights: the hidden vehicles.
    """
    table = np.zeros(len(sights), HIDDEN_POINT)
    for row, sight in zip(table, sights, strict=True):
        row['x'], row['y'] = sight.track.position_m
        row['z'] = float(sight.track.size_m[1]) / 2
        row['bearing'], row['bearing_rate'] = sight.track.bearing_rad, sight.bearing_rate_rad_s
        row['range_rate'], row['std_range_rate'] = sight.range_rate_mps, sight.range_rate_std_mps
        row['time_to_sight'], row['std_time_to_sight'] = sight.sight_s, sight.sight_std_s
        row['hidden'], row['approaching'] = sight.hidden, sight.approaching
        row['score'], row['by'] = sight.track.score, REASONS.get(sight.by, 0)
        row['id'] = sight.track.track_id
    return point_cloud(head, table)


def decode_cells(message: Any) -> Cells:
    """Decode a map of cells.

    Args:
        message: ``nav_msgs/OccupancyGrid``.

    Raises:
        AvdetError: its sizes contradict each other, or its numbers are invalid.
    """
    info = message.info
    data = np.asarray(message.data, np.int8)
    if len(data) != info.width * info.height:
        raise AvdetError(
            f'map: expected {info.width} x {info.height} cells, found {len(data)} numbers'
        )
    place = info.origin.position
    try:
        yaw = yaw_of(info.origin.orientation)
    except AvdetError as error:
        raise AvdetError(f'map: origin: {error}') from error
    origin = PlanarPose(float(place.x), float(place.y), yaw)
    return make_cells(data.reshape(info.height, info.width), float(info.resolution), origin)
