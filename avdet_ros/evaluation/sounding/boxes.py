"""Boxes of visible vehicles, true ones or teachers', and whether each vehicle sounds.

Teachers label what they see, but a student can only learn what it hears. A visible vehicle is
audible, masked (its sound is too faint against all other sound) or silent (it makes none: parked,
or a standing electric vehicle). All three look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import labels_of, require_labels
from avdet_ros.dataset.subsets import listed_motions, motion_of
from avdet_ros.detection.boxes import box_iou
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.truth import LABEL_DISTANCE_M, LABEL_HEIGHT_PX, LABEL_IN_IMAGE

AUDIBLE, MASKED, SILENT, NOTHING = range(4)
"""State of the vehicle in a box; `NOTHING` marks a teacher's box without a vehicle."""

STATES = ('audible', 'masked', 'silent', 'nothing')

LEAST_VISIBLE = 0.3
"""Minimum visible fraction of a vehicle that counts as visible."""

MATCH_IOU = 0.5
"""Minimum IoU at which a teacher's box belongs to a vehicle."""

MOVING_MPS = 0.5
"""A slower vehicle counts as standing."""


@dataclass(frozen=True)
class SeenBoxes:
    """Boxes of many frames, concatenated in the order of the frames.

    Attributes:
        frames: every frame considered, including frames without boxes.
        frame: (N,) int64, each box's index into ``frames``.
        boxes_px: (N, 4) float32 camera pixels.
        state: (N,) int8, `AUDIBLE` and so on.
        ids: (N,) int64 identity within the drive, -1 for `NOTHING`.
        speed_mps: (N,) float64, NaN where unknown.
        distance_m: (N,) float64 from the array, NaN where unknown.
        relative_db: (N,) float64 level relative to all other sound, -inf for silence, NaN if
            unknown.
        electric: (N,) bool.
        near_px: (N,) float64 distance to the centre of the nearest other audible vehicle in the
            image, visible or hidden; inf where there is none.
        hidden: (F,) int64, audible vehicles of each frame that are in the image but hidden.
        ego_stands: (F,) bool, whether the ego vehicle stands during the frame's drive.
    """

    frames: tuple[layout.FrameId, ...]
    frame: np.ndarray
    boxes_px: np.ndarray
    state: np.ndarray
    ids: np.ndarray
    speed_mps: np.ndarray
    distance_m: np.ndarray
    relative_db: np.ndarray
    electric: np.ndarray
    near_px: np.ndarray
    hidden: np.ndarray
    ego_stands: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def sounds(self) -> np.ndarray:
        """(N,) bool, whether a vehicle is audible: the target of a selector."""
        return self.state == AUDIBLE

    @property
    def drive(self) -> np.ndarray:
        """(N,) int64, number of each box's drive."""
        numbers = drive_numbers(self.frames)
        return numbers[self.frame]

    @property
    def night(self) -> np.ndarray:
        """(N,) bool, whether the frame is a night frame."""
        return np.array([not frame.is_day for frame in self.frames], bool)[self.frame]

    @property
    def moves(self) -> np.ndarray:
        """(N,) bool, whether the vehicle moves, by its true speed."""
        return np.nan_to_num(self.speed_mps) > MOVING_MPS

    @property
    def seen(self) -> np.ndarray:
        """(N,) int64, number of boxes in each box's frame."""
        return np.bincount(self.frame, minlength=len(self.frames))[self.frame]

    def only(self, keep: np.ndarray) -> SeenBoxes:
        """Keep the boxes where a (N,) bool mask is true; the frames stay."""
        return replace(self, **{name: getattr(self, name)[keep] for name in ROWS})


ROWS = (
    'frame',
    'boxes_px',
    'state',
    'ids',
    'speed_mps',
    'distance_m',
    'relative_db',
    'electric',
    'near_px',
)
"""Attributes of `SeenBoxes` with one entry a box."""


def drive_numbers(frames: Sequence[layout.FrameId]) -> np.ndarray:
    """Return the (F,) int64 number of each frame's drive, from 0 in the order of names."""
    names = np.array([frame.drive for frame in frames])
    return np.unique(names, return_inverse=True)[1].astype(np.int64).reshape(-1)


def true_boxes(root: Path, drives: Mapping[str, Sequence[layout.FrameId]]) -> SeenBoxes:
    """Collect the true boxes of visible vehicles in simulated drives.

    Args:
        root: the data set's folder.
        drives: frames of each drive.

    Raises:
        AvdetError: a drive has no truth, or its truth has no levels.
    """
    return _gathered(root, drives, lambda drive, stamp, table: table)


def teacher_boxes(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    folder: Path | None = None,
    teachers: Sequence[str] = (),
) -> SeenBoxes:
    """Collect the teachers' fused boxes, each with the state of the vehicle it overlaps most.

    Args:
        root: the data set's folder.
        drives: frames of each drive.
        folder: folder of the label files, None for ``<root>/labels``.
        teachers: names of the teachers to use, empty for all.

    Raises:
        AvdetError: labels are missing or damaged, or a drive has no truth or no levels.
    """
    require_labels(root, drives, 'teachers', folder)
    labels = {drive: labels_of(root, drive, 'teachers', folder, teachers) for drive in drives}

    def found(drive: str, stamp: str, table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        there = labels[drive].get(stamp)
        return _matched(np.zeros((0, 4)) if there is None else there.boxes_px, table)

    return _gathered(root, drives, found)


def vehicles_of(line: Mapping[str, Any], source: str = '') -> dict[str, np.ndarray]:
    """Convert one line of the truth, with all its vehicles, to arrays; see `layout.read_truth`.

    Returns:
        The arrays of `ROWS` that one frame defines, ``visible`` (M,) bool, ``in_image`` (M,) bool.

    Raises:
        AvdetError: the line has no levels, speeds or kinds, as in recordings.
    """
    for name in ('level_db', 'rest_db', 'audible', 'speed_mps', 'kinds', 'in_image'):
        if name not in line:
            raise AvdetError(
                f'{source or "truth"}: expected {name} of each vehicle, as in simulated drives, '
                'found none: which vehicle sounds is not known'
            )
    boxes = np.asarray(line['boxes_px'], np.float64).reshape(-1, 4)
    level = np.array([-np.inf if v is None else v for v in line['level_db']], np.float64)
    rest = np.array([-np.inf if v is None else v for v in line['rest_db']], np.float64)
    audible = np.array(line['audible'], bool).reshape(-1)
    state = np.where(audible, AUDIBLE, np.where(np.isfinite(level), MASKED, SILENT))
    inside = np.array(line['in_image'], np.float64).reshape(-1)
    distance = np.array(line['distance_m'], np.float64).reshape(-1)
    seen = np.array(line['visible_fraction'], np.float64).reshape(-1)
    in_image = (
        (boxes[:, 3] - boxes[:, 1] >= LABEL_HEIGHT_PX)
        & (inside >= LABEL_IN_IMAGE)
        & (distance <= LABEL_DISTANCE_M)
    )
    return {
        'boxes_px': boxes.astype(np.float32),
        'state': state.astype(np.int8),
        'ids': np.array(line['ids'], np.int64).reshape(-1),
        'speed_mps': np.array(line['speed_mps'], np.float64).reshape(-1),
        'distance_m': distance,
        'relative_db': level - rest,
        'electric': np.array([kind == 'electric_car' for kind in line['kinds']], bool),
        'near_px': _nearest_audible_px(boxes, in_image & audible),
        'in_image': in_image,
        'visible': in_image & (seen >= LEAST_VISIBLE),
    }


def _nearest_audible_px(boxes: np.ndarray, audible: np.ndarray) -> np.ndarray:
    """Return the (M,) horizontal distances to the centre of the nearest other audible vehicle."""
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    apart = np.abs(middle[:, None] - middle[None])
    apart[:, ~audible] = np.inf
    np.fill_diagonal(apart, np.inf)
    return apart.min(axis=1) if len(boxes) else np.zeros(0)


def _matched(boxes_px: np.ndarray, table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give each box the attributes of the vehicle it overlaps most, or those of `NOTHING`."""
    boxes = np.asarray(boxes_px, np.float32).reshape(-1, 4)
    overlap = box_iou(boxes, table['boxes_px'])
    best = overlap.argmax(axis=1) if overlap.shape[1] else np.zeros(len(boxes), int)
    hit = overlap.max(axis=1, initial=0.0) >= MATCH_IOU
    unknown = {'state': NOTHING, 'ids': -1, 'electric': False}
    found = {
        name: np.where(hit, table[name][best], unknown.get(name, np.nan))
        if overlap.shape[1]
        else np.full(len(boxes), unknown.get(name, np.nan))
        for name in ROWS
        if name not in ('frame', 'boxes_px')
    }
    return {**found, 'boxes_px': boxes, 'visible': np.ones(len(boxes), bool)}


Table = dict[str, np.ndarray]


def _gathered(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    boxes: Callable[[str, str, Table], Table],
) -> SeenBoxes:
    """Concatenate the results of `boxes` for every frame that has truth."""
    require_labels(root, drives, 'truth')
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ROWS}
    frames: list[layout.FrameId] = []
    hidden: list[int] = []
    ego_stands: list[bool] = []
    listed = listed_motions(root)
    for drive, members in sorted(drives.items()):
        truth = layout.read_truth(root, drive)
        standing = motion_of(root, drive, listed) == 'static'
        for frame in members:
            if frame.stamp not in truth:
                continue
            line = vehicles_of(truth[frame.stamp], f'{root / drive}/truth')
            audible = line['state'] == AUDIBLE
            found = boxes(drive, frame.stamp, line)
            keep = found['visible']
            rows['frame'].append(np.full(int(keep.sum()), len(frames)))
            for name in ROWS[1:]:
                rows[name].append(found[name][keep])
            frames.append(frame)
            hidden.append(int((audible & line['in_image'] & ~line['visible']).sum()))
            ego_stands.append(standing)
    if not frames:
        raise AvdetError(f'{root}: expected frames that the truth knows, found none')
    kinds: dict[str, Any] = {
        'frame': np.int64,
        'state': np.int8,
        'ids': np.int64,
        'electric': bool,
    }
    kinds['boxes_px'] = np.float32
    joined = {
        name: np.concatenate(part).astype(kinds.get(name, np.float64))
        for name, part in rows.items()
    }
    return SeenBoxes(
        tuple(frames), **joined, hidden=np.array(hidden), ego_stands=np.array(ego_stands)
    )
