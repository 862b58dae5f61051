"""Fit attention to drives with pictures, and store its maps next to the labels."""

from __future__ import annotations

from collections.abc import Sequence
import logging
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from avdet_ros.dataset import layout
from avdet_ros.dataset.attention_maps import write_attention
from avdet_ros.dataset.features import cache_sound, map_features
from avdet_ros.dataset.labels import LABELS, require_truth
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.dataset.thermal_counts import COUNTS_PER_K
from avdet_ros.evaluation.runs.on_dataset import dataset_rig
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, drive_numbers, true_boxes
from avdet_ros.evaluation.sounding.maps import box_mask
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.sounding.attention import COLUMNS, PICTURE_PX, ROWS, column_places
from avdet_ros.training.sounding.attention_fitting import AttentionPlan, attend, fit_attention
from avdet_ros.training.sounding.learning import all_maps, apart_in_time
from avdet_ros.training.sounding.sound_sums import DirectionMaps, sound_sums

STEPS_A_K = 4.0
"""Steps per kelvin in the thermal channel, which covers 32 K on each side of the median."""

_logger = logging.getLogger(__name__)


def keep_attention(
    root: Path,
    plan: AttentionPlan,
    labels: Path | None = None,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> int:
    """Fit attention to the training drives and store its maps of all drives.

    Args:
        root: the data set's folder.
        plan: settings.
        labels: folder that receives the maps, None for ``<root>/labels``.
        rig_path: rig file, None for the drives' own.
        progress: displays pictures and steps.

    Returns:
        Number of frames whose maps were stored.

    Raises:
        AvdetError: pictures are missing, or data that the plan needs.
    """
    split = read_split(root, 0.0)
    drives, taught = by_drive(split.student), by_drive(split.train)
    if plan.labelled:
        require_truth(root, taught, plan.labelled)
    rig = dataset_rig(root, list(drives), rig_path)
    cache_sound(root, drives, 'window', rig, progress)
    files = {name: map_features(root, 'window', name) for name in drives}
    frames = [
        one for name in sorted(drives) for one in drives[name] if one.stamp in files[name][0]
    ]
    maps = all_maps(
        DirectionMaps(rig),
        sound_sums([files[one.drive][1][files[one.drive][0][one.stamp]] for one in frames]),
    )
    pictures = read_pictures(root, frames, plan.thermal, progress)
    own = torch.tensor([one.drive in taught for one in frames])
    places = [number for number, is_taught in enumerate(own.tolist()) if is_taught]
    train = [frames[number] for number in places]
    masks = torch.zeros(len(train), ROWS, COLUMNS)
    if plan.labelled:
        size = rig.camera.width_px, rig.camera.height_px
        masks = torch.from_numpy(sounding_cells(true_boxes(root, by_drive(train)), size)).float()
    time_s = np.array([one.stamp_ns for one in train], np.float64) * 1e-9
    others = apart_in_time(
        torch.from_numpy(drive_numbers(train)), torch.from_numpy(time_s - time_s.min())
    )
    network = fit_attention(
        pictures[own], maps[own], others, masks, plan, column_places(rig), progress
    )
    heat = attend(network, pictures, maps)
    for name in drives:
        numbers = [number for number, one in enumerate(frames) if one.drive == name]
        stamps = [frames[number].stamp for number in numbers]
        write_attention(labels or root / LABELS, name, stamps, heat[numbers])
    _logger.info('attention computed for %d pictures of %d drives', len(frames), len(drives))
    return len(frames)


def read_pictures(
    root: Path,
    frames: Sequence[layout.FrameId],
    thermal: bool = False,
    progress: Progress = SILENT,
) -> Tensor:
    """Read (F, 3, *PICTURE_PX) uint8 pictures; ``thermal`` adds `warmth` as fourth channel.

    Raises:
        AvdetError: a picture is missing or cannot be read.
    """
    pictures = torch.zeros(len(frames), 3 + thermal, *PICTURE_PX, dtype=torch.uint8)
    with progress.step('pictures', len(frames)) as advance:
        for number, one in enumerate(frames):
            picture = layout.read_picture(root, one, 'rgb')
            small = cv2.resize(picture, PICTURE_PX[::-1], interpolation=cv2.INTER_AREA)
            pictures[number, :3] = torch.from_numpy(small).permute(2, 0, 1)
            if thermal:
                pictures[number, 3] = torch.from_numpy(
                    warmth(layout.read_picture(root, one, 'thermal'))
                )
            advance()
    return pictures


def warmth(picture: np.ndarray) -> np.ndarray:
    """Convert a thermal picture to PICTURE_PX uint8: `STEPS_A_K` per kelvin, median at 128.

    An 8-bit picture, whose counts are no temperatures, keeps its values.
    """
    plane = picture[..., 0] if picture.ndim == 3 else picture
    small = cv2.resize(plane, PICTURE_PX[::-1], interpolation=cv2.INTER_AREA)
    if small.dtype == np.uint8:
        return small
    kelvin = (small.astype(np.float32) - np.median(small)) / COUNTS_PER_K
    return np.clip(128 + STEPS_A_K * kelvin, 0, 255).astype(np.uint8)


def sounding_cells(boxes: SeenBoxes, size_px: tuple[int, int]) -> np.ndarray:
    """Return (F, ROWS, COLUMNS) float64, 1 in cells of visible vehicles that sound."""
    masks = np.zeros((len(boxes.frames), ROWS, COLUMNS))
    for number, box in zip(boxes.frame[boxes.sounds], boxes.boxes_px[boxes.sounds], strict=True):
        masks[number] = np.maximum(masks[number], cells_of(box, size_px))
    return masks


def cells_of(box_px: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Mark cells whose centre is in a box, and the cell of its centre: (ROWS, COLUMNS) bool."""
    box = np.asarray(box_px, np.float64) / np.tile(size_px, 2)
    mask = box_mask(box[None], ROWS, COLUMNS)
    x, y = (box[:2] + box[2:]) / 2
    mask[min(int(y * ROWS), ROWS - 1), min(int(x * COLUMNS), COLUMNS - 1)] = True
    return mask
