"""Labels of a drive: fused teacher predictions stored on disk, or the drive's own ground truth.

Teachers run once. Their output is one ``.npz`` file per drive, without pickled objects:

===================  ==================  =========================================================
``ids``              (F,) str            frame ids, ``<secs>_<nsec>_<code>``
``skipped``          (S,) str            ids of frames that have no readable picture
``disparity_px``     (K,) float32        disparity of the object in each box, if there are depth
                                         pictures (`dataset.depth_colours`); NaN elsewhere
``teachers``         (M,) str            modality of each teacher, in the order used below
``boxes_px``         (K, 4) float32      every teacher's boxes in camera pixels
``scores``           (K,) float32        their scores
``frame``            (K,) int32          index into ``ids``
``teacher``          (K,) int8           index into ``teachers``
``attention``        (F, M, V) float16   attention maps P3..P7, concatenated (r = 2), each scaled
                                         to a maximum of 1
``attention_sizes``  (5, 2) int32        height and width of each level
``embedding``        (F, M, 5, C) f16    mean of each level's features over its positions
``features``         (F, M, C, h, w) f16 features of P5, for the pairwise and AFD losses
===================  ==================  =========================================================

Each teacher's boxes are stored separately, so that a run with fewer teachers can fuse them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.detection.boxes import Detections, nms
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, write_atomically
from avdet_ros.quoting import one_line

SCORE_THRESHOLD = 0.3
"""Minimum score of a teacher's box to be a label."""

FUSION_IOU = 0.5
"""Overlap above which boxes of all teachers are the same vehicle."""

ARRAYS = {
    'ids': (1, 'U'),
    'teachers': (1, 'U'),
    'boxes_px': (2, 'f'),
    'scores': (1, 'f'),
    'frame': (1, 'i'),
    'teacher': (1, 'i'),
    'attention': (3, 'f'),
    'attention_sizes': (2, 'i'),
    'embedding': (4, 'f'),
    'features': (5, 'f'),
    'skipped': (1, 'U'),
    'disparity_px': (1, 'f'),
}
"""Number of dimensions and dtype kind of each array in a label file."""

LABELS = 'labels'
"""Folder in the data set that `avdet train label` writes to."""

LARGE = ('attention', 'embedding', 'features')
"""Arrays that can stay on disk, memory-mapped."""

NONE = np.zeros(0, 'U1')
"""No skipped frames: the default if a file has no such array."""

NO_DISPARITIES = np.zeros(0, np.float32)
"""No disparities: the default if a file has no such array, whatever boxes it has."""


@dataclass(frozen=True)
class FrameLabels:
    """The labelled vehicles of one frame.

    Attributes:
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max in camera pixels.
        ids: (N,) int64, a vehicle's identity within its drive, -1 where unknown.
        distance_m: (N,) float64 distance from the array, NaN if unknown.
        visible: (N,) float64, fraction that the camera sees, NaN if unknown.
        disparity_px: (N,) float32, disparity of the object in the box, NaN if unknown; None if all
            are unknown.
    """

    boxes_px: np.ndarray
    ids: np.ndarray
    distance_m: np.ndarray
    visible: np.ndarray
    disparity_px: np.ndarray | None = None


@dataclass(frozen=True)
class DriveLabels:
    """The teachers' output for one drive; the attributes are the arrays of the file."""

    ids: np.ndarray
    teachers: tuple[str, ...]
    boxes_px: np.ndarray
    scores: np.ndarray
    frame: np.ndarray
    teacher: np.ndarray
    attention: np.ndarray
    attention_sizes: np.ndarray
    embedding: np.ndarray
    features: np.ndarray
    skipped: np.ndarray = field(default_factory=lambda: NONE)
    disparity_px: np.ndarray = field(default_factory=lambda: NO_DISPARITIES)

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self, modalities: Sequence[str]) -> list[int]:
        """Return the indices of the named teachers.

        Raises:
            AvdetError: one of them is not in the file.
        """
        missing = [name for name in modalities if name not in self.teachers]
        if missing:
            raise AvdetError(
                f'labels: expected the teachers {", ".join(modalities)}, '
                f'found {", ".join(self.teachers)}: {missing[0]} is missing'
            )
        return [self.teachers.index(name) for name in modalities]

    def fused(self, index: int, modalities: Sequence[str]) -> Detections:
        """Fuse the boxes of several teachers for a frame.

        Args:
            index: index of the frame.
            modalities: teachers whose boxes are used.
        """
        rows = self.fused_rows(index, modalities)
        return Detections(
            self.boxes_px[rows].astype(np.float32), self.scores[rows].astype(np.float32)
        )

    def fused_rows(self, index: int, modalities: Sequence[str]) -> np.ndarray:
        """Return (N,) int64 indices of the boxes that `fused` keeps, best first."""
        of_frame = (self.frame == index) & np.isin(self.teacher, self.columns(modalities))
        rows = np.flatnonzero(of_frame)
        return rows[fused_places(self.boxes_px[rows], self.scores[rows])]

    def attention_levels(self, index: int, modality: str) -> Iterator[np.ndarray]:
        """Yield the attention maps P3..P7 of a frame and teacher, each (H, W) float32."""
        (column,) = self.columns([modality])
        start = 0
        for height, width in self.attention_sizes:
            level = self.attention[index, column, start : start + height * width]
            yield level.reshape(height, width).astype(np.float32)
            start += height * width


def fuse_boxes(boxes_px: np.ndarray, scores: np.ndarray) -> Detections:
    """Keep the best of the boxes of the same vehicle (MM-DistillNet, section 3.3).

    Args:
        boxes_px: (N, 4) boxes of all teachers, camera pixels.
        scores: (N,) their scores.

    Returns:
        Boxes with a score above 0.3 after non-maximum suppression at IoU 0.5, best first.
    """
    best = fused_places(boxes_px, scores)
    return Detections(boxes_px[best].astype(np.float32), scores[best].astype(np.float32))


def fused_places(boxes_px: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return (K,) int64 indices of the boxes that `fuse_boxes` keeps, best first."""
    sure = np.flatnonzero(scores > SCORE_THRESHOLD)
    return sure[nms(boxes_px[sure], scores[sure], FUSION_IOU)]


def empty_labels(teachers: tuple[str, ...]) -> DriveLabels:
    """Return the labels of a drive without a readable frame."""
    count = len(teachers)
    return DriveLabels(
        ids=NONE,
        teachers=teachers,
        boxes_px=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        frame=np.zeros(0, np.int32),
        teacher=np.zeros(0, np.int8),
        attention=np.zeros((0, count, 0), np.float16),
        attention_sizes=np.zeros((0, 2), np.int32),
        embedding=np.zeros((0, count, 0, 0), np.float16),
        features=np.zeros((0, count, 0, 0, 0), np.float16),
    )


def write_labels(path: Path, labels: DriveLabels) -> None:
    """Write a drive's labels atomically: an existing file is complete, even if the run was killed.

    Raises:
        AvdetError: the disk is full or the folder cannot be written.
    """
    arrays: dict[str, Any] = {name: np.asarray(getattr(labels, name)) for name in ARRAYS}
    with write_atomically(path) as file:
        np.savez(file, **arrays)


def read_labels(path: Path, mapped: bool = False) -> DriveLabels:
    """Read a drive's labels.

    Args:
        path: the file.
        mapped: memory-map attention maps and features instead of reading them.

    Raises:
        AvdetError: the file is missing, broken, or lacks an array.
    """
    large = LARGE if mapped else ()
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS if name in file and name not in large}
            arrays.setdefault('skipped', NONE)
            arrays.setdefault('disparity_px', NO_DISPARITIES)
            there = [name for name in large if name in file]
        arrays |= {name: map_member(path, name) for name in there}
    except FileNotFoundError:
        raise AvdetError(
            f'labels {path}: expected a file made by avdet train label, found none'
        ) from None
    except Exception as error:  # numpy passes on any error of zipfile
        raise AvdetError(f'labels {path}: expected arrays, found {one_line(error)}') from error
    for name, (dimensions, kind) in ARRAYS.items():
        found = arrays.get(name)
        if found is None or found.ndim != dimensions or found.dtype.kind != kind:
            state = 'none' if found is None else f'{found.ndim} dimensions of {found.dtype}'
            raise AvdetError(
                f'labels {path}: {name}: expected {dimensions} dimensions of kind {kind}, '
                f'found {state}'
            )
    arrays['teachers'] = tuple(str(name) for name in arrays['teachers'])
    return DriveLabels(**arrays)


def labels_of(
    root: Path,
    drive: str,
    source: str,
    folder: Path | None = None,
    teachers: Sequence[str] = (),
) -> dict[str, FrameLabels]:
    """Read the labels of a drive's frames, by stamp; frames missing in the source are left out.

    Args:
        root: the data set's folder.
        drive: name of the drive.
        source: ``teachers`` for their fused boxes, or ``truth`` for the drive's ground truth.
        folder: folder of the teachers' label files, None for ``<root>/labels``.
        teachers: teachers whose boxes are fused; empty for all of them.

    Raises:
        AvdetError: the file is missing or damaged, or lacks a teacher.
    """
    if source == 'teachers':
        table = read_labels((folder or root / LABELS) / f'{drive}.npz', mapped=True)
        # Only the boxes: a reference to the table would keep its memory-mapped arrays open.
        names = teachers or table.teachers
        return {
            str(stamp): _boxes_alone(table, table.fused_rows(index, names))
            for index, stamp in enumerate(table.ids)
        }
    require_labels(root, [drive], source)
    return {stamp: _true_labels(line) for stamp, line in layout.read_truth(root, drive).items()}


def require_truth(root: Path, drives: Iterable[str], labelled: int) -> None:
    """Check that every drive has a ground truth, to label what is audible in ``labelled`` frames.

    Raises:
        AvdetError: a drive has none.
    """
    if not all('truth' in label_sources(root, name) for name in drives):
        raise AvdetError(
            '--labelled: expected training drives with a truth (truth/frames.jsonl), to label '
            f'what is audible in {labelled} frames, found some without'
        )


def require_labels(
    root: Path, drives: Iterable[str], source: str, folder: Path | None = None
) -> None:
    """Check that every drive has labels from a source, before anything is computed.

    Raises:
        AvdetError: a drive has none.
    """
    for drive in drives:
        if source not in label_sources(root, drive, folder):
            file = (folder or root / LABELS) / f'{drive}.npz'
            truth = root / drive / 'truth' / 'frames.jsonl'
            raise AvdetError(
                f'{root / drive}: expected '
                + (f'labels from teachers in {file}' if source == 'teachers' else f'{truth}')
                + ', found none; avdet train label makes labels from teachers'
                + ('; the drive has true boxes, for labels: truth' if truth.is_file() else '')
            )


def label_sources(root: Path, drive: str, folder: Path | None = None) -> tuple[str, ...]:
    """Return which sources of `labels_of` a drive has: some of ``teachers`` and ``truth``."""
    paths = {
        'teachers': (folder or root / LABELS) / f'{drive}.npz',
        'truth': root / drive / 'truth' / 'frames.jsonl',
    }
    return tuple(source for source, path in paths.items() if path.is_file())


def _boxes_alone(table: DriveLabels, rows: np.ndarray) -> FrameLabels:
    unknown = np.full(len(rows), np.nan)
    disparity_px = table.disparity_px[rows] if len(table.disparity_px) else None
    boxes_px = table.boxes_px[rows].astype(np.float32)
    return FrameLabels(boxes_px, np.full(len(rows), -1), unknown, unknown, disparity_px)


def _true_labels(line: dict[str, Any]) -> FrameLabels:
    """The vehicles in a line of the truth that a sound-based detector should report."""
    reported = np.array(line['label'], bool).reshape(-1)
    return FrameLabels(
        line['boxes_px'][reported],
        np.array(line['ids'], np.int64)[reported],
        _with_nan(line['distance_m'])[reported],
        _with_nan(line['visible_fraction'])[reported],
    )


def _with_nan(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
