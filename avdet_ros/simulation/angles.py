"""Labels as directions from the array's centre, independent of the camera.

The frame follows the camera's heading: x is the camera's optical axis projected onto the vehicle's
floor, y left, z up. The origin is the array's centre, but at the eye height of the models' boxes
(`avdet_ros.detection.angles.EYE_HEIGHT_M`). A vehicle's azimuths are those of its outline's
corners. Its elevations are read in the plane x = 1, so that the box is what a level pinhole camera
at the origin sees: the left and right edges lie at y = tan(azimuth), the upper and lower edges at
z = tan(elevation) / cos(azimuth of the middle).
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
"""Minimum height of a labelled vehicle: 12 px in the package's camera."""

AHEAD_M = 0.2
"""Minimum x of a vehicle's nearest corner; a nearer vehicle has no box in the plane x = 1."""


@dataclass(frozen=True)
class AngleLabels:
    """Vehicles to be reported at one instant, nearest first.

    Attributes:
        azimuth_deg: (N,) float32 middle of the box, from the camera's heading, left positive.
        elevation_deg: (N,) float32 middle of the box, up positive.
        width_deg: (N,) float32 width of the box.
        height_deg: (N,) float32 height of the box.
        in_image: (N,) bool, whether it is also a label of the camera's image (`Truth.labels`).
        truth: distances, levels and image boxes of the same vehicles.
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
    """Return directions and sizes of the vehicles that a sound-based detector should report.

    The middle of a labelled box lies within `FRONT_DEG` of the camera's heading. The vehicle is
    either a label of the image, or audible, within `LABEL_DISTANCE_M` and at least
    `LABEL_HEIGHT_DEG` high.

    Args:
        scene: the drive.
        t_s: drive time.
        truth: ground truth at that time, if already computed.
    """
    truth = truth or scene.truth(t_s)
    in_image = np.isin(truth.ids, truth.labels().ids)
    near = truth.audible & (truth.distance_m <= LABEL_DISTANCE_M)
    found = np.full((len(truth), 4), np.nan)
    rows = np.flatnonzero(in_image | near)
    for row, outline_m in zip(rows, outlines_m(scene, t_s, truth.ids[rows]), strict=True):
        found[row] = box_angles(outline_m)
    reported = (np.abs(found[:, 0]) <= FRONT_DEG) & (
        in_image | (near & (found[:, 3] >= LABEL_HEIGHT_DEG))
    )
    azimuth, elevation, width, height = found[reported].astype(np.float32).T
    seen = in_image[reported]
    return AngleLabels(azimuth, elevation, width, height, seen, truth.only(reported))


def outlines_m(scene: Scene, t_s: float, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the (P, 3) outline of each vehicle in `ids`, in the module's frame."""
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
        corners_m: (P, 3) outline of the body, x along the heading, y left, z up.

    Returns:
        (4,) azimuth, elevation, width and height in degrees; NaN if a corner is no farther ahead
        than `AHEAD_M`.
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
