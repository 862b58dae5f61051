"""Filters of teachers' labels: which of their boxes a student that hears should learn.

What surely sounds is kept; what surely does not, and where the array hears nothing either, is
taken for road; all between teaches nothing. A frame that has a box where its sound comes from
never loses all of them. Where something sounds and no box is, a vehicle may be hidden: that part
of the picture is left open, or a student would unlearn to hear around corners.
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
"""Half the width of a direction that is left open."""

SHOWN_M = 20.0
"""Distance at which a direction of the array is shown in the picture."""


@dataclass(frozen=True)
class Thresholds:
    """When a box is kept or taken for road; of validation drives where there is a truth.

    Attributes:
        sounds: a box that is likelier to sound is kept.
        silent: one that is less likely is road, if also less comes from there than `quiet` says.
        quiet: part of all boxes whose directions are as quiet.
        hidden_db: a direction from which so much of all the sound comes, and where no box is, is
            left open; at most 0.
    """

    sounds: float = 0.7
    silent: float = 0.2
    quiet: float = 0.2
    hidden_db: float = -6.0


def by_score(
    boxes: SeenBoxes, chance: np.ndarray, heard: Received, rig: Rig, how: Thresholds
) -> list[FilteredFrame]:
    """What a selector makes of teachers' boxes, a frame each.

    Args:
        boxes: the teachers'; their states are not looked at.
        chance: (N,) how likely each sounds.
        heard: of the frames.
        rig: array and camera.
        how: the thresholds.
    """
    sides = box_sides_deg(boxes.boxes_px, rig)
    level = at_boxes(heard.level_db, boxes.frame, sides)
    quiet = level <= np.quantile(level, how.quiet) if len(level) else np.zeros(0, bool)
    verdict = np.where(chance > how.sounds, KEEP, OPEN)
    verdict[(chance < how.silent) & quiet] = ROAD
    loudest = heard.level_db.argmax(axis=1)
    frames = []
    for number in range(len(boxes.frames)):
        own = np.flatnonzero(boxes.frame == number)
        peak_deg = AZIMUTHS_DEG[loudest[number]]
        off = np.abs(sides[own].mean(axis=1) - peak_deg)
        inside = off <= (sides[own, 0] - sides[own, 1]) / 2 + OPEN_DEG
        if inside.any() and not (verdict[own] == KEEP).any():
            verdict[own[np.where(inside, chance[own], -1).argmax()]] = KEEP
        hidden = heard.level_db[number].max() >= how.hidden_db and not inside.any()
        strips = strip_px(peak_deg, rig)[None] if hidden else np.zeros((0, 4))
        frames.append(_frame(boxes.boxes_px[own], verdict[own], chance[own], strips))
    return frames


def by_truth(boxes: SeenBoxes, root: Path, keep: np.ndarray, hidden: bool) -> list[FilteredFrame]:
    """What the truth makes of teachers' boxes: kept, or left open.

    Args:
        boxes: the teachers', with their states.
        root: the data set's folder.
        keep: (N,) bool.
        hidden: leave audible vehicles open that are in the image and have no box.
    """
    truth = {name: layout.read_truth(root, name) for name in {one.drive for one in boxes.frames}}
    frames = []
    for number, one in enumerate(boxes.frames):
        own = boxes.frame == number
        strips = np.zeros((0, 4))
        if hidden:
            there = vehicles_of(truth[one.drive][one.stamp], str(one))
            unseen = (there['state'] == AUDIBLE) & there['in_image']
            unseen &= ~np.isin(there['ids'], boxes.ids[own])
            strips = there['boxes_px'][unseen]
        verdict = np.where(keep[own], KEEP, OPEN)
        unknown = np.full(int(own.sum()), np.nan)
        frames.append(_frame(boxes.boxes_px[own], verdict, unknown, strips))
    return frames


def write_filter(
    labels: Path, name: str, boxes: SeenBoxes, filtered: Sequence[FilteredFrame]
) -> Mapping[str, int]:
    """Write a filter's files beside the labels.

    Args:
        labels: folder of the label files.
        name: of the filter.
        boxes: the teachers'.
        filtered: of each frame of ``boxes``.

    Returns:
        Boxes by verdict: ``kept``, ``open``, ``road``; and parts left open as ``hidden``.

    Raises:
        AvdetError: files cannot be written.
    """
    drives: dict[str, dict[str, FilteredFrame]] = {}
    for one, its in zip(boxes.frames, filtered, strict=True):
        drives.setdefault(one.drive, {})[one.stamp] = its
    for drive, frames in drives.items():
        write_filtered(filter_path(labels, name, drive), frames)
    verdict = np.concatenate([np.zeros(0, int), *(its.verdict for its in filtered)])
    counts = {'kept': KEEP, 'open': OPEN, 'road': ROAD}
    return {word: int((verdict == value).sum()) for word, value in counts.items()} | {
        'hidden': sum(len(its.open_px) for its in filtered)
    }


def check_speeds(boxes: SeenBoxes, where: str) -> None:
    """See that the truth knows how fast vehicles are, for the filter ``moving``.

    Raises:
        AvdetError: it knows of none.
    """
    if len(boxes) and not np.isfinite(boxes.speed_mps).any():
        raise AvdetError(
            f'{where}: expected boxes on vehicles whose speed the truth knows, for what moves, '
            'found none'
        )


def strip_px(azimuth_deg: float, rig: Rig, half_deg: float = OPEN_DEG) -> np.ndarray:
    """(4,) the part of the picture, from top to bottom, in a direction of the array.

    Args:
        azimuth_deg: about the camera's heading, left positive.
        rig: array and camera.
        half_deg: half the width.
    """
    camera = rig.camera
    azimuth = heading_rad(camera) + np.radians(azimuth_deg + np.array([half_deg, -half_deg]))
    along = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(2)], axis=1)
    columns = camera.project(rig.array_position_m + SHOWN_M * along)[0][:, 0]
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
