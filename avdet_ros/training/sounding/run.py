"""Fit a selector to labelled drives, and filter labels with a selector or with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import logging
from pathlib import Path

import numpy as np
import torch

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import cache_sound, map_features
from avdet_ros.dataset.label_filter import FILTERS
from avdet_ros.dataset.labels import LABELS, labels_of, require_labels, require_truth
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_dataset import dataset_rig
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, teacher_boxes
from avdet_ros.evaluation.sounding.directions import received
from avdet_ros.evaluation.sounding.filters import (
    Thresholds,
    by_score,
    by_truth,
    check_speeds,
    write_filter,
)
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.data.mirror import Mirror, find_mirror
from avdet_ros.training.sounding.box_set import BoxSet, box_set
from avdet_ros.training.sounding.learning import SelectorPlan, fit_selector, predict
from avdet_ros.training.sounding.selector_file import read_selector, write_selector
from avdet_ros.training.sounding.sound_sums import DirectionMaps
from avdet_ros.training.teachers.label_folder import ABOUT, read_about

_logger = logging.getLogger(__name__)


def make_selector(
    root: Path,
    plan: SelectorPlan,
    out: Path,
    labels: Path | None = None,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Fit a selector to the teachers' boxes of the training drives.

    Args:
        root: the data set's folder.
        plan: settings.
        out: receives the selector.
        labels: folder of the label files, None for ``<root>/labels``.
        rig_path: rig file, None for the drives' own.
        progress: displays frames and steps.

    Returns:
        The selector's file.

    Raises:
        AvdetError: labels, boxes or data that the plan needs are missing.
    """
    labels = labels or root / LABELS
    drives = by_drive(read_split(root, 0.0).train)
    if len(drives) == 1:
        _logger.warning(
            '%s: one training drive: all sounds that do not belong to a picture are other moments '
            'of this drive',
            root,
        )
    rig = dataset_rig(root, list(drives), rig_path)
    boxes = _boxes(root, drives, rig, labels, progress)
    if not len(boxes):
        raise AvdetError(f'{labels}: expected boxes in training frames to learn from, found none')
    known = None
    if plan.labelled:
        require_truth(root, drives, plan.labelled)
        known = teacher_boxes(root, _only(drives, boxes), labels)
        boxes = known
    frames = _padded(root, boxes, rig, known, 'thermal' in plan.kinds, progress)
    network = fit_selector(frames, plan, DirectionMaps(rig), mirror_of(rig), progress)
    path = write_selector(out, network, rig, _teachers(labels))
    _logger.info('%s: trained on %d boxes of %d drives', path, len(boxes), len(drives))
    return path


def filter_labels(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    name: str,
    labels: Path | None = None,
    selector: Path | None = None,
    thresholds: Thresholds | None = None,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> Mapping[str, int]:
    """Write a filter's verdicts on the labels of some drives; see `dataset.label_filter`.

    Args:
        root: the data set's folder.
        drives: frames of each drive, labelled by teachers.
        name: ``moving``, ``sounding`` or ``oracle``.
        labels: folder of the label files, None for ``<root>/labels``.
        selector: file or folder of `make_selector`, for ``sounding``.
        thresholds: thresholds on the selector's predictions, None for the defaults.
        rig_path: rig file, None for the drives' own.
        progress: displays the frames.

    Returns:
        Number of boxes by verdict, see `filters.write_filter`.

    Raises:
        AvdetError: the filter is unknown, or data that it needs are missing.
    """
    labels = labels or root / LABELS
    if name not in FILTERS[1:]:
        raise AvdetError(f'--filter: expected one of {", ".join(FILTERS[1:])}, found {name}')
    if name != 'sounding':
        boxes = teacher_boxes(root, drives, labels)
        if name == 'moving':
            check_speeds(boxes, str(labels))
        keep = boxes.moves if name == 'moving' else boxes.sounds
        return write_filter(labels, name, boxes, by_truth(boxes, root, keep, name == 'oracle'))
    if selector is None:
        raise AvdetError(
            '--selector: expected a selector for --filter sounding, found none; avdet train '
            'selector makes one'
        )
    rig = dataset_rig(root, list(drives), rig_path)
    chosen = read_selector(selector)
    chosen.check(rig, _teachers(labels), str(selector))
    boxes = _boxes(root, drives, rig, labels, progress)
    frames = _padded(root, boxes, rig, None, 'thermal' in chosen.network.kinds, progress)
    logits = predict(chosen.network, frames, DirectionMaps(rig))
    chance = torch.sigmoid(torch.from_numpy(frames.flat(logits, len(boxes)))).numpy()
    maps = {drive: map_features(root, 'window', drive) for drive in drives}
    sound = received(
        [maps[one.drive][1][maps[one.drive][0][one.stamp]] for one in boxes.frames], rig
    )
    return write_filter(
        labels, name, boxes, by_score(boxes, chance, sound, rig, thresholds or Thresholds())
    )


def mirror_of(rig: Rig) -> Mirror | None:
    """Return the rig's mirror, or None for an asymmetric rig."""
    try:
        return find_mirror(rig)
    except AvdetError:
        return None


def _padded(
    root: Path,
    boxes: SeenBoxes,
    rig: Rig,
    known: SeenBoxes | None,
    thermal: bool,
    progress: Progress,
) -> BoxSet:
    sounds = None if known is None else known.sounds.astype(float)
    return box_set(root, boxes.frames, boxes.frame, boxes.boxes_px, rig, sounds, thermal, progress)


def _boxes(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    rig: Rig,
    labels: Path,
    progress: Progress,
) -> SeenBoxes:
    """Load the teachers' fused boxes of frames with sound; their content is unknown."""
    require_labels(root, drives, 'teachers', labels)
    cache_sound(root, drives, 'window', rig, progress)
    frames: list[layout.FrameId] = []
    found: list[np.ndarray] = []
    for drive, members in sorted(drives.items()):
        table, places = (
            labels_of(root, drive, 'teachers', labels),
            map_features(root, 'window', drive)[0],
        )
        for one in members:
            if one.stamp in table and one.stamp in places:
                frames.append(one)
                found.append(table[one.stamp].boxes_px)
    return unknown_boxes(frames, found)


def unknown_boxes(frames: Sequence[layout.FrameId], boxes_px: Sequence[np.ndarray]) -> SeenBoxes:
    """Make boxes of which only the position is known, from a list for each frame."""
    counts = [len(frame_boxes) for frame_boxes in boxes_px]
    count = sum(counts)
    nothing = np.full(count, np.nan)
    return SeenBoxes(
        frames=tuple(frames),
        frame=np.repeat(np.arange(len(frames)), counts),
        boxes_px=np.concatenate([np.zeros((0, 4), np.float32), *boxes_px]).astype(np.float32),
        state=np.full(count, -1, np.int8),
        ids=np.full(count, -1),
        speed_mps=nothing,
        distance_m=nothing,
        relative_db=nothing,
        electric=np.zeros(count, bool),
        near_px=nothing,
        hidden=np.zeros(len(frames), int),
        ego_stands=np.zeros(len(frames), bool),
    )


def _only(
    drives: Mapping[str, Sequence[layout.FrameId]], boxes: SeenBoxes
) -> dict[str, list[layout.FrameId]]:
    """Return the frames of boxes, by drive."""
    known = set(boxes.frames)
    return {name: [one for one in members if one in known] for name, members in drives.items()}


def _teachers(labels: Path) -> dict[str, str]:
    """Return the fingerprints of the labelling teachers; empty if not recorded."""
    return dict(read_about(labels)['teachers']) if (labels / ABOUT).exists() else {}
