"""Filters that select which of the teachers' boxes a sound-based student is trained on.

Teachers label what they see. A filter decides for each of their fused boxes whether it is a label,
whether its part of the picture is left unlabelled (it is trained neither as a vehicle nor as
background), or whether it counts as empty road. It also leaves parts unlabelled in which something
is audible but not visible. The result is stored beside the labels, in
``<labels>/filter_<name>/<drive>.npz``, without pickled objects:

==============  =============  ==================================================================
``ids``         (F,) str       stamps of the frames
``frame``       (K,) int32     of each box, index into ``ids``
``boxes_px``    (K, 4) float32 the fused boxes, in the labels' order
``score``       (K,) float32   probability that each is audible; NaN if the filter has none
``verdict``     (K,) int8      `KEEP`, `OPEN` or `ROAD`
``open_frame``  (H,) int32     of each unlabelled part, index into ``ids``
``open_px``     (H, 4) float32 the unlabelled parts
==============  =============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.quoting import one_line

KEEP, OPEN, ROAD = 1, 0, -1
"""The box is a label; it is left unlabelled; it counts as empty road."""

FILTERS = ('none', 'moving', 'sounding', 'oracle')
"""``moving`` keeps vehicles that move by the ground truth, ``sounding`` those that a selector
finds audible, ``oracle`` those that are audible by the ground truth."""


@dataclass(frozen=True)
class FilteredFrame:
    """Result of a filter for one frame.

    Attributes:
        boxes_px: (N, 4) float32, the teachers' fused boxes.
        verdict: (N,) int8.
        score: (N,) float32, probability that each is audible, NaN if unknown.
        open_px: (M, 4) float32, unlabelled parts of the picture in addition to unlabelled boxes.
    """

    boxes_px: np.ndarray
    verdict: np.ndarray
    score: np.ndarray
    open_px: np.ndarray

    @property
    def kept_px(self) -> np.ndarray:
        """(K, 4) boxes that are kept as labels."""
        return self.boxes_px[self.verdict == KEEP]

    @property
    def left_open_px(self) -> np.ndarray:
        """(M, 4) all unlabelled parts of the picture, boxes included."""
        return np.concatenate([self.boxes_px[self.verdict == OPEN], self.open_px])


def filter_path(labels: Path, name: str, drive: str) -> Path:
    """Return the path of a drive's file."""
    return labels / f'filter_{name}' / f'{drive}.npz'


def write_filtered(path: Path, frames: Mapping[str, FilteredFrame]) -> None:
    """Write a filter's results for a drive's frames, by stamp.

    Raises:
        AvdetError: the disk is full or the folder cannot be written.
    """
    results = list(frames.values())
    counts = [len(result.boxes_px) for result in results]
    opened = [len(result.open_px) for result in results]
    nothing = np.zeros((0, 4), np.float32)
    with write_atomically(path) as file:
        np.savez(
            file,
            ids=np.array(list(frames), 'U64'),
            frame=np.repeat(np.arange(len(results)), counts).astype(np.int32),
            boxes_px=np.concatenate([nothing, *(result.boxes_px for result in results)]),
            score=np.concatenate([nothing[:, 0], *(result.score for result in results)]),
            verdict=np.concatenate(
                [np.zeros(0, np.int8), *(result.verdict for result in results)]
            ),
            open_frame=np.repeat(np.arange(len(results)), opened).astype(np.int32),
            open_px=np.concatenate([nothing, *(result.open_px for result in results)]),
        )


def read_filtered(labels: Path, name: str, drive: str) -> dict[str, FilteredFrame]:
    """Read a filter's results for a drive's frames, by stamp.

    Raises:
        AvdetError: the file is missing or damaged.
    """
    path = filter_path(labels, name, drive)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ('ids', *_SHAPES)}
        for key, (kind, width) in _SHAPES.items():
            shape = arrays[key].shape
            if arrays[key].dtype.kind != kind or shape[1:] != ((width,) if width else ()):
                raise ValueError(f'{key} of {arrays[key].dtype} and shape {shape}')
        parts = {
            key: [arrays[key][arrays[frame] == place] for place in range(len(arrays['ids']))]
            for frame, keys in _OF_FRAME.items()
            for key in keys
        }
    except FileNotFoundError:
        command = f'avdet train label --filter {name}'
        if name == 'sounding':
            command += ' --selector RUN'
        raise AvdetError(
            f'{path}: expected results of the filter {name}, found none; {command} makes it'
        ) from None
    except Exception as error:  # numpy passes on any error of zipfile
        raise AvdetError(
            f'{path}: expected results of a filter, found {one_line(error)}'
        ) from error
    return {
        str(stamp): FilteredFrame(
            *(parts[key][place] for key in ('boxes_px', 'verdict', 'score', 'open_px'))
        )
        for place, stamp in enumerate(arrays['ids'])
    }


def check_same_boxes(filtered: FilteredFrame, boxes_px: np.ndarray, where: str) -> None:
    """Check that a filter was made for these labels.

    Raises:
        AvdetError: it was made for other boxes.
    """
    if filtered.boxes_px.shape != boxes_px.shape or not np.allclose(
        filtered.boxes_px, boxes_px, atol=0.01
    ):
        raise AvdetError(
            f'{where}: expected the {len(filtered.boxes_px)} boxes that the filter was made for, '
            f'found {len(boxes_px)} others; the labels are newer: make the filter again'
        )


_SHAPES = {
    'frame': ('i', 0),
    'boxes_px': ('f', 4),
    'score': ('f', 0),
    'verdict': ('i', 0),
    'open_frame': ('i', 0),
    'open_px': ('f', 4),
}
_OF_FRAME = {'frame': ('boxes_px', 'score', 'verdict'), 'open_frame': ('open_px',)}
