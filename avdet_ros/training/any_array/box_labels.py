"""Convert boxes in a camera's image to labels for a network that knows no camera.

Teachers find pixels; a `BearingFirst` predicts directions from the array's centre. To convert
them, the rig's camera and the vehicle's distance are needed, since camera and array are apart. The
distance comes from the depth picture where the teachers had one. Otherwise it is estimated from
the point where the box meets the road, which is good enough for this parallax but not as a label
of the range.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import MAX_LABELS
from avdet_ros.dataset.depth_colours import BASELINE_M
from avdet_ros.dataset.labels import FrameLabels
from avdet_ros.detection.angles import EYE_HEIGHT_M, degrees_from_boxes, from_pixels
from avdet_ros.detection.road_ranges import SURFACE_TO_MIDDLE_M, ranges_on_road
from avdet_ros.detection.steering import FRONT_DEG, heading_rad
from avdet_ros.rig import Rig

ANGLES = ('azimuth_deg', 'elevation_deg', 'width_deg', 'height_deg')

EDGE_PX = 2.0
"""A box this close to the image's left or right edge is cut off by it, so its centre is
unknown."""


def label_fields(
    labels: FrameLabels, rig: Rig, columns_px: tuple[float, float] | None = None
) -> dict[str, np.ndarray | np.generic]:
    """Convert a frame's boxes to the fields of a window of format 3 (`simulation.array_windows`).

    Args:
        labels: of the frame; known distances (those of the truth) are used unchanged.
        rig: camera and array.
        columns_px: first and last column of the image that the teachers saw; None for all.

    Returns:
        ``azimuth_deg``, ``elevation_deg``, ``width_deg``, ``height_deg``, ``range_m`` (NaN where
        unknown), ``level_db`` (NaN), ``visible_fraction``, ``unsure`` (cut by the edge),
        each (`MAX_LABELS`,), those nearest to the heading first; ``count`` and
        ``seen_deg`` (2,), the ends of the sector in which vehicles are labelled; ``eye_height_m``.
    """
    left_px, right_px = columns_px or (0.0, float(rig.camera.width_px))
    boxes_px = np.asarray(labels.boxes_px, np.float64).reshape(-1, 4)
    range_m = known_ranges(labels, rig)
    shown_m = np.where(np.isfinite(range_m), range_m, ranges_on_road(boxes_px, rig))
    angles = degrees_from_boxes(from_pixels(boxes_px, shown_m, rig))
    unsure = (boxes_px[:, 0] <= left_px + EDGE_PX) | (boxes_px[:, 2] >= right_px - EDGE_PX)
    order = np.argsort(np.abs(angles[:, 0]), kind='stable')[:MAX_LABELS]
    order = order[np.abs(angles[order, 0]) < FRONT_DEG]
    fields = {name: _padded(angles[order, place]) for place, name in enumerate(ANGLES)}
    return {
        **fields,
        'range_m': _padded(range_m[order]),
        'level_db': np.full(MAX_LABELS, np.nan, np.float32),
        'visible_fraction': _padded(np.asarray(labels.visible, np.float64)[order]),
        'unsure': _padded(unsure[order], bool),
        'count': np.int64(len(order)),
        'seen_deg': seen_sector(rig, (left_px, right_px)),
        'eye_height_m': np.float32(EYE_HEIGHT_M),
    }


def seen_sector(rig: Rig, columns_px: tuple[float, float]) -> np.ndarray:
    """(2,) float32 azimuths of two image columns relative to the heading, at the horizon."""
    camera = rig.camera
    edges = camera.directions(np.array([[column, camera.cy] for column in columns_px]))
    away = np.arctan2(edges[:, 1], edges[:, 0]) - heading_rad(camera)
    ends = np.degrees(np.angle(np.exp(1j * away)))
    return np.clip(ends, -FRONT_DEG, FRONT_DEG).astype(np.float32)


def known_ranges(labels: FrameLabels, rig: Rig) -> np.ndarray:
    """(N,) metres from the array's centre to each vehicle's centre; NaN where unknown."""
    range_m = np.asarray(labels.distance_m, np.float64).copy()
    if labels.disparity_px is None:
        return range_m
    boxes_px = np.asarray(labels.boxes_px, np.float64).reshape(-1, 4)
    middles_px = (boxes_px[:, :2] + boxes_px[:, 2:]) / 2
    camera = rig.camera
    ahead_m = camera.fx * BASELINE_M / np.asarray(labels.disparity_px, np.float64)
    rays = camera.directions(middles_px)
    along = rays @ np.asarray(camera.rotation)[2]
    points_m = camera.position_m + rays * (ahead_m / along + SURFACE_TO_MIDDLE_M)[:, None]
    seen_m = np.linalg.norm(points_m - rig.array_position_m, axis=1)
    return np.where(np.isfinite(range_m), range_m, seen_m)


def _padded(values: np.ndarray, kind: type = np.float32) -> np.ndarray:
    out: np.ndarray = np.zeros(MAX_LABELS, kind)
    out[: len(values)] = values
    return out
