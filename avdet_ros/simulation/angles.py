"""Labels as directions: where vehicles are from the array's centre, whatever the camera.

The frame is that of the camera's heading: x along the camera's optical axis laid on the vehicle's
floor, y left, z up, its origin at the array's centre, but at the height that boxes of models are
seen from (`avdet_ros.detection.angles.EYE_HEIGHT_M`). A vehicle's azimuths are those of its
outline's corners; its elevations are read in the plane x = 1, so that the box through the four
edges is that of a level pinhole camera there: its left and right edges lie at
y = tan(azimuth), its upper and lower ones at z = tan(elevation) / cos(azimuth of the middle).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.angles import boxes_from_degrees, eye_position_m, heading_frame
from avdet_ros.detection.steering import FRONT_DEG
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.truth import LABEL_DISTANCE_M, Truth

LABEL_HEIGHT_DEG = 0.69
"""Least height of a labelled vehicle: 12 px of the package's camera."""

AHEAD_M = 0.2
"""A vehicle whose nearest corner is less far ahead has no box in the plane x = 1."""


@dataclass(frozen=True)
class AngleLabels:
    """Vehicles to be reported at one instant, nearest first.

    Attributes:
        azimuth_deg: (N,) float32 middle of the box, from the camera's heading, left positive.
        elevation_deg: (N,) float32 middle of the box, up positive.
        width_deg: (N,) float32.
        height_deg: (N,) float32.
        in_image: (N,) bool, also a label of the camera's image (`Truth.labels`).
        truth: the same vehicles' distances, levels and boxes in the image.
    """

    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    width_deg: np.ndarray
    height_deg: np.ndarray
    in_image: np.ndarray
    truth: Truth

    def __len__(self) -> int:
        return len(self.azimuth_deg)


def angle_labels(scene: Scene, t_s: float, truth: Truth | None = None) -> AngleLabels:
    """Directions and sizes of the vehicles that a detector of sound should report.

    Those whose box's middle lies within `FRONT_DEG` of the camera's heading, audible, within
    `LABEL_DISTANCE_M`, and `LABEL_HEIGHT_DEG` high or part of the image's labels.

    Args:
        scene: the drive.
        t_s: when.
        truth: of that instant, if it is known already.
    """
    truth = truth or scene.truth(t_s)
    in_image = np.isin(truth.ids, truth.labels().ids)
    near = truth.audible & (truth.distance_m <= LABEL_DISTANCE_M)
    found = np.full((len(truth), 4), np.nan)
    rows = np.flatnonzero(in_image | near)
    for row, outline_m in zip(rows, outlines_m(scene, t_s, truth.ids[rows]), strict=True):
        found[row] = box_angles(outline_m)
    wanted = (np.abs(found[:, 0]) <= FRONT_DEG) & (
        in_image | (near & (found[:, 3] >= LABEL_HEIGHT_DEG))
    )
    azimuth, elevation, width, height = found[wanted].astype(np.float32).T
    seen = in_image[wanted]
    return AngleLabels(azimuth, elevation, width, height, seen, truth.only(wanted))


def outlines_m(scene: Scene, t_s: float, ids: np.ndarray) -> Iterator[np.ndarray]:
    """(P, 3) outline of each of some vehicles in the module's frame, see `box_angles`."""
    position, rotation = scene.ego_pose(float(t_s))
    level, eye_m = heading_frame(scene.rig).T, eye_position_m(scene.rig)
    by_id = {vehicle.vehicle_id: vehicle for vehicle in scene.vehicles}
    for number in ids.tolist():
        place, turned = by_id[number].pose(float(t_s))
        corners = (place + by_id[number].outline_m() @ turned.T - position) @ rotation
        yield (corners - eye_m) @ level


def box_angles(corners_m: np.ndarray) -> np.ndarray:
    """Middle and size of a body seen from the origin.

    Args:
        corners_m: (P, 3) its outline, x along the heading, y left, z up.

    Returns:
        (4,) azimuth, elevation, width and height in degrees; NaN for a body that reaches back to
        `AHEAD_M` or further.
    """
    x, y, z = corners_m.T
    if x.min() <= AHEAD_M:
        return np.full(4, np.nan)
    azimuth = np.arctan2(y, x)
    middle = (azimuth.min() + azimuth.max()) / 2
    low, high = np.arctan(np.array([(z / x).min(), (z / x).max()]) * np.cos(middle))
    angles = [middle, (low + high) / 2, azimuth.max() - azimuth.min(), high - low]
    return np.degrees(angles)


def angle_boxes(labels: AngleLabels) -> np.ndarray:
    """(N, 4) float64 boxes in the level plane: x_min, y_min, x_max, y_max, x right and y down."""
    return boxes_from_degrees(
        labels.azimuth_deg, labels.elevation_deg, labels.width_deg, labels.height_deg
    )
