"""Attention maps: where in the picture a sound seems to be, stored for `avdet view`.

``<labels>/attention/<drive>.npz``, without pickled objects:

========  ========================  ==============================================
``ids``   (F,) str                  stamps of the frames
``heat``  (F, rows, columns) f16    attention over the picture's cells, from 0
========  ========================  ==============================================
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.quoting import one_line

FOLDER = 'attention'


def attention_path(labels: Path, drive: str) -> Path:
    """Return the path of a drive's file."""
    return labels / FOLDER / f'{drive}.npz'


def write_attention(labels: Path, drive: str, stamps: Sequence[str], heat: np.ndarray) -> None:
    """Write the maps of a drive's frames.

    Args:
        labels: folder of the label files.
        drive: name of the drive.
        stamps: stamps of the frames.
        heat: (F, rows, columns) maps.

    Raises:
        AvdetError: the disk is full or the folder cannot be written.
    """
    with write_atomically(attention_path(labels, drive)) as file:
        np.savez(file, ids=np.array(list(stamps), 'U64'), heat=heat.astype(np.float16))


def read_attention(labels: Path, drive: str) -> dict[str, np.ndarray]:
    """Read (rows, columns) float32 maps of a drive's frames, by stamp; empty without a file.

    Raises:
        AvdetError: the file is damaged.
    """
    path = attention_path(labels, drive)
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, heat = file['ids'], file['heat']
        if heat.ndim != 3 or heat.dtype.kind != 'f' or len(heat) != len(ids):
            raise ValueError(f'heat of {heat.dtype} and shape {heat.shape} for {len(ids)} frames')
    except FileNotFoundError:
        return {}
    except Exception as error:  # numpy passes on any error of zipfile
        raise AvdetError(
            f'{path}: expected attention of avdet train selector --attention, found '
            f'{one_line(error)}'
        ) from error
    return dict(zip(ids.tolist(), heat.astype(np.float32), strict=True))
