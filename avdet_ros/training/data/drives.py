"""Load a set of windows from drives in the MAVD layout, with teachers' or true labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import map_features
from avdet_ros.dataset.label_filter import check_same_boxes, read_filtered
from avdet_ros.dataset.labels import LABELS, DriveLabels, labels_of, read_labels
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.splits import by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.training.data.windows import WindowDataset

ALWAYS = ('names', 'spectrogram', 'boxes', 'drives', 'times_s')
"""Fields that every window of a drive has."""


def drive_windows(
    root: Path,
    frames: Sequence[layout.FrameId],
    kind: str,
    image_size_px: tuple[int, int],
    source: str,
    folder: Path | None = None,
    teachers: Sequence[str] = (),
    needs: Sequence[str] = (),
    label_filter: str = 'none',
) -> WindowDataset:
    """Combine the frames' features, their labels, and the teachers' maps and vectors.

    Args:
        root: the data set's folder, with features (`avdet_ros.dataset.features`).
        frames: frames to load. Those without sound were counted with the features and are left
            out; those without labels are counted here.
        kind: kind of the features.
        image_size_px: width and height of the image.
        source: source of the boxes, see `labels_of`.
        folder: folder of the teachers' label files, None for ``<root>/labels``.
        teachers: teachers whose boxes and maps are used, empty for all of them.
        needs: which of the teachers' ``attention``, ``embedding`` and ``features`` to load.
        label_filter: filter of the teachers' boxes, see `avdet_ros.dataset.label_filter`.

    Raises:
        AvdetError: files are missing or damaged, lack a teacher, too many frames have no labels,
            or no window is left.
    """
    made: dict[str, list[Any]] = {name: [] for name in (*ALWAYS, *needs)}
    filtering = label_filter != 'none'
    if filtering:
        made['open_areas'] = []
    scale = np.tile(np.array(image_size_px, np.float32), 2)
    sizes = np.zeros((0, 2), int)
    skipped = Skipped(f'labels of {root}', len(frames))
    for drive, members in by_drive(frames).items():
        places, spectrogram = map_features(root, kind, drive)
        labels = labels_of(root, drive, source, folder, teachers)
        path = (folder or root / LABELS) / f'{drive}.npz'
        table = read_labels(path, mapped=True) if needs or source == 'teachers' else None
        if table is not None:
            _check_vectors(table, needs, path)
        rows = {} if table is None else {str(stamp): row for row, stamp in enumerate(table.ids)}
        judged = read_filtered(path.parent, label_filter, drive) if filtering else {}
        columns = table.columns(teachers or table.teachers) if table and needs else []
        sizes = table.attention_sizes if table and len(table) else sizes
        unseen = set() if table is None else set(table.skipped.tolist())
        for frame in members:
            if frame.stamp not in places:
                continue
            if frame.stamp in unseen:  # no readable picture: counted when it was labelled
                skipped.recall(1)
                continue
            if frame.stamp not in labels or (needs and frame.stamp not in rows):
                skipped.add(f'{root}: expected labels ({source}) of frame {frame}, found none')
                continue
            if filtering and frame.stamp not in judged:
                raise AvdetError(
                    f'{path}: expected frame {frame} among those that the filter {label_filter} '
                    'knows, found others; make the filter again'
                )
            made['names'].append(str(frame))
            made['drives'].append(drive)
            made['times_s'].append((frame.stamp_ns - members[0].stamp_ns) / 1e9)
            made['spectrogram'].append(spectrogram[places[frame.stamp]])
            boxes = labels[frame.stamp].boxes_px
            if filtering:
                filtered = judged[frame.stamp]
                check_same_boxes(filtered, boxes, str(frame))
                boxes = filtered.kept_px
                made['open_areas'].append((filtered.left_open_px / scale).astype(np.float32))
            made['boxes'].append((boxes / scale).astype(np.float32))
            for name in needs:
                row = _Rows(getattr(table, name), rows[frame.stamp], columns)
                made[name].append(row)
    skipped.close()
    if not made['names']:
        raise AvdetError(
            f'{root}: expected labels ({source}) of the {len(frames)} frames, found none'
        )
    features = made.pop('features', ())
    return WindowDataset(
        **made, teacher_features=features, level_sizes=sizes, image_size_px=image_size_px
    )


def _check_vectors(table: DriveLabels, needs: Sequence[str], path: Path) -> None:
    """Check that the label files contain the requested maps and vectors of the teachers."""
    for name in needs:
        if len(table) and 0 in getattr(table, name).shape:
            raise AvdetError(
                f"{path}: expected the teachers' {name} of every frame, found boxes without; "
                'delete the file, and avdet train label DATA --teachers RUN makes it again'
            )


class _Rows:
    """Some teachers' part of a memory-mapped row, read on demand."""

    def __init__(self, array: np.ndarray, row: int, columns: list[int]) -> None:
        self.array, self.row, self.columns = array, row, columns

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[self.row][self.columns], dtype)
