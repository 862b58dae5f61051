"""What the teachers say, fused into labels and kept on disk, so that they run once.

One ``.npz`` file a drive, without pickled objects:

===================  ==================  =========================================================
``ids``              (F,) str            frame ids, ``<secs>_<nsec>_<code>``
``skipped``          (S,) str            ids of frames that have no readable picture
``teachers``         (M,) str            modality of each teacher, in the order used below
``boxes_px``         (K, 4) float32      every teacher's boxes in camera pixels
``scores``           (K,) float32        their scores
``frame``            (K,) int32          index into ``ids``
``teacher``          (K,) int8           index into ``teachers``
``attention``        (F, M, V) float16   attention maps P3..P7 end to end (r = 2), each scaled to a
                                         largest value of 1
``attention_sizes``  (5, 2) int32        height and width of each level
``embedding``        (F, M, 5, C) f16    mean of each level's features over its positions
``features``         (F, M, C, h, w) f16 features of P5, for the pairwise and AFD losses
===================  ==================  =========================================================

Each teacher's boxes are kept apart, so that a run with fewer teachers fuses anew from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avdet_ros.detection.boxes import Detections, nms
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, write_atomically

SCORE_THRESHOLD = 0.3
"""A teacher's box below this score is no label."""

FUSION_IOU = 0.5
"""Boxes of all teachers that overlap more than this are one vehicle."""

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
}
"""Dimensions and kind of each array of a label file."""

LARGE = ('attention', 'embedding', 'features')
"""Arrays that can stay on disk."""

NONE = np.zeros(0, 'U1')
"""No frame skipped, which a file need not say."""


@dataclass(frozen=True)
class DriveLabels:
    """The teachers' answers for one drive; the attributes are the arrays of the file."""

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

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self, modalities: Sequence[str]) -> list[int]:
        """Indices of the named teachers.

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
        """One set of boxes of several teachers for a frame.

        Args:
            index: of the frame.
            modalities: whose boxes count.
        """
        of_frame = (self.frame == index) & np.isin(self.teacher, self.columns(modalities))
        return fuse_boxes(self.boxes_px[of_frame], self.scores[of_frame])

    def attention_levels(self, index: int, modality: str) -> Iterator[np.ndarray]:
        """The attention maps P3..P7 of a frame and teacher, each (H, W) float32."""
        (column,) = self.columns([modality])
        start = 0
        for height, width in self.attention_sizes:
            level = self.attention[index, column, start : start + height * width]
            yield level.reshape(height, width).astype(np.float32)
            start += height * width


def fuse_boxes(boxes_px: np.ndarray, scores: np.ndarray) -> Detections:
    """Keep the best of boxes that mean the same vehicle (MM-DistillNet, section 3.3).

    Args:
        boxes_px: (N, 4) boxes of all teachers, camera pixels.
        scores: (N,) their scores.

    Returns:
        those above a score of 0.3 after non-maximum suppression at IoU 0.5, best first.
    """
    sure = scores > SCORE_THRESHOLD
    boxes_px, scores = boxes_px[sure], scores[sure]
    best = nms(boxes_px, scores, FUSION_IOU)
    return Detections(boxes_px[best].astype(np.float32), scores[best].astype(np.float32))


def nothing_said(teachers: tuple[str, ...]) -> DriveLabels:
    """The labels of a drive of which no frame could be looked at."""
    many = len(teachers)
    return DriveLabels(
        ids=NONE,
        teachers=teachers,
        boxes_px=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        frame=np.zeros(0, np.int32),
        teacher=np.zeros(0, np.int8),
        attention=np.zeros((0, many, 0), np.float16),
        attention_sizes=np.zeros((0, 2), np.int32),
        embedding=np.zeros((0, many, 0, 0), np.float16),
        features=np.zeros((0, many, 0, 0, 0), np.float16),
    )


def write_labels(path: Path, labels: DriveLabels) -> None:
    """Write a drive's labels; a file that exists is whole, whenever the run was killed.

    Raises:
        AvdetError: the disk is full or the folder cannot be written.
    """
    with write_atomically(path) as file:
        np.savez(file, **{name: np.asarray(getattr(labels, name)) for name in ARRAYS})


def read_labels(path: Path, mapped: bool = False) -> DriveLabels:
    """Read a drive's labels.

    Args:
        path: the file.
        mapped: leave maps and features on disk until they are needed.

    Raises:
        AvdetError: the file is missing, broken, or lacks an array.
    """
    large = LARGE if mapped else ()
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS if name in file and name not in large}
            arrays.setdefault('skipped', NONE)
            there = [name for name in large if name in file]
        arrays |= {name: map_member(path, name) for name in there}
    except FileNotFoundError:
        raise AvdetError(
            f'labels {path}: expected a file made by avdet train label, found none'
        ) from None
    except Exception as error:  # numpy raises whatever zipfile does
        raise AvdetError(f'labels {path}: expected arrays, found {error!s:.120}') from error
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
