"""Filters of teachers' labels: which of their boxes a student should learn from sound.

A box that surely sounds is kept. A box that surely does not, in a direction from which the array
receives little, counts as road. All other boxes are left open: they do not affect training. A
frame with a box in the direction of its loudest sound keeps at least one box. Where there is loud
sound but no box, a vehicle may be hidden. That part of the picture is left open too, or the
student would lose the ability to detect vehicles around corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.label_filter import (
    KEEP,
    OPEN,
    ROAD,
    FilteredFrame,
    filter_path,
    write_filtered,
)
from avdet_ros.detection.steering import heading_rad
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import AUDIBLE, SeenBoxes, vehicles_of
from avdet_ros.evaluation.sounding.directions import (
    AZIMUTHS_DEG,
    Received,
    at_boxes,
    box_sides_deg,
)
from avdet_ros.rig import Rig

OPEN_DEG = 2.5
"""Half the width of a sector that is left open."""

SHOWN_M = 20.0
"""Distance at which a direction of the array is projected into the picture."""


@dataclass(frozen=True)
class Thresholds:
    """When a box is kept or counts as road; chosen on validation drives where there is truth.

    Attributes:
        sounds: a box with a higher probability to sound is kept.
        silent: a box with a lower probability is road, if its direction is also quiet.
        quiet: quantile of the level over all boxes up to which a direction is quiet.
        hidden_db: a direction without a box is left open from this share of all sound on;
            at most 0.
    """

    sounds: float = 0.7
    silent: float = 0.2
    quiet: float = 0.2
    hidden_db: float = -6.0


def by_score(
    boxes: SeenBoxes, chance: np.ndarray, received: Received, rig: Rig, thresholds: Thresholds
) -> list[FilteredFrame]:
    """Filter teachers' boxes by a selector's probabilities, frame by frame.

    Args:
        boxes: the teachers' boxes; their states are not used.
        chance: (N,) probability that each box sounds.
        received: sound received in the frames.
        rig: array and camera.
        thresholds: the thresholds.
    """
    sides = box_sides_deg(boxes.boxes_px, rig)
    level = at_boxes(received.level_db, boxes.frame, sides)
    quiet = level <= np.quantile(level, thresholds.quiet) if len(level) else np.zeros(0, bool)
    verdict = np.where(chance > thresholds.sounds, KEEP, OPEN)
    verdict[(chance < thresholds.silent) & quiet] = ROAD
    loudest = received.level_db.argmax(axis=1)
    frames = []
    for number in range(len(boxes.frames)):
        indices = np.flatnonzero(boxes.frame == number)
        peak_deg = AZIMUTHS_DEG[loudest[number]]
        off = np.abs(sides[indices].mean(axis=1) - peak_deg)
        inside = off <= (sides[indices, 0] - sides[indices, 1]) / 2 + OPEN_DEG
        if inside.any() and not (verdict[indices] == KEEP).any():
            verdict[indices[np.where(inside, chance[indices], -1).argmax()]] = KEEP
        hidden = received.level_db[number].max() >= thresholds.hidden_db and not inside.any()
        strips = strip_px(peak_deg, rig)[None] if hidden else np.zeros((0, 4))
        frames.append(_frame(boxes.boxes_px[indices], verdict[indices], chance[indices], strips))
    return frames


def by_truth(boxes: SeenBoxes, root: Path, keep: np.ndarray, hidden: bool) -> list[FilteredFrame]:
    """Filter teachers' boxes by the truth: each is kept or left open.

    Args:
        boxes: the teachers' boxes, with their states.
        root: the data set's folder.
        keep: (N,) bool, the boxes to keep.
        hidden: leave the places of audible vehicles in the image that have no box open.
    """
    truth = {
        name: layout.read_truth(root, name) for name in {frame.drive for frame in boxes.frames}
    }
    frames = []
    for number, frame in enumerate(boxes.frames):
        in_frame = boxes.frame == number
        strips = np.zeros((0, 4))
        if hidden:
            vehicles = vehicles_of(truth[frame.drive][frame.stamp], str(frame))
            unseen = (vehicles['state'] == AUDIBLE) & vehicles['in_image']
            unseen &= ~np.isin(vehicles['ids'], boxes.ids[in_frame])
            strips = vehicles['boxes_px'][unseen]
        verdict = np.where(keep[in_frame], KEEP, OPEN)
        unknown = np.full(int(in_frame.sum()), np.nan)
        frames.append(_frame(boxes.boxes_px[in_frame], verdict, unknown, strips))
    return frames


def write_filter(
    labels: Path, name: str, boxes: SeenBoxes, filtered: Sequence[FilteredFrame]
) -> Mapping[str, int]:
    """Write a filter's files next to the labels.

    Args:
        labels: folder of the label files.
        name: name of the filter.
        boxes: the teachers' boxes.
        filtered: result for each frame of ``boxes``.

    Returns:
        Number of boxes by verdict, ``kept``, ``open``, ``road``, and of other parts left open,
        ``hidden``.

    Raises:
        AvdetError: files cannot be written.
    """
    drives: dict[str, dict[str, FilteredFrame]] = {}
    for frame, result in zip(boxes.frames, filtered, strict=True):
        drives.setdefault(frame.drive, {})[frame.stamp] = result
    for drive, frames in drives.items():
        write_filtered(filter_path(labels, name, drive), frames)
    verdict = np.concatenate([np.zeros(0, int), *(result.verdict for result in filtered)])
    counts = {'kept': KEEP, 'open': OPEN, 'road': ROAD}
    return {word: int((verdict == value).sum()) for word, value in counts.items()} | {
        'hidden': sum(len(result.open_px) for result in filtered)
    }


def check_speeds(boxes: SeenBoxes, source: str) -> None:
    """Check that the truth has vehicle speeds, for the filter ``moving``.

    Raises:
        AvdetError: no vehicle has a known speed.
    """
    if len(boxes) and not np.isfinite(boxes.speed_mps).any():
        raise AvdetError(
            f'{source}: expected boxes on vehicles whose speed the truth knows, for what moves, '
            'found none'
        )


def strip_px(azimuth_deg: float, rig: Rig, half_deg: float = OPEN_DEG) -> np.ndarray:
    """Return the (4,) strip of the picture, full height, in a direction of the array.

    Args:
        azimuth_deg: relative to the camera's heading, left positive.
        rig: array and camera.
        half_deg: half the width of the strip.
    """
    camera = rig.camera
    azimuth = heading_rad(camera) + np.radians(azimuth_deg + np.array([half_deg, -half_deg]))
    directions = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(2)], axis=1)
    columns = camera.project(rig.array_position_m + SHOWN_M * directions)[0][:, 0]
    left, right = np.clip(np.sort(columns), 0, camera.width_px)
    return np.array([left, 0.0, right, camera.height_px], np.float32)


def _frame(
    boxes_px: np.ndarray, verdict: np.ndarray, chance: np.ndarray, strips: np.ndarray
) -> FilteredFrame:
    inside = strips[strips[:, 2] - strips[:, 0] >= 1]
    return FilteredFrame(
        boxes_px.astype(np.float32),
        verdict.astype(np.int8),
        chance.astype(np.float32),
        inside.astype(np.float32),
    )
