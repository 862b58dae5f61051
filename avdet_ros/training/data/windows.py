"""Windows with what the teachers say of them: what is heard, boxes, attention maps, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import map_features
from avdet_ros.dataset.labels import read_labels
from avdet_ros.dataset.splits import by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.training.fitting.distributed import count, rank

P5 = 2
"""Place of P5 among the levels P3..P7; its features and embedding are compared."""


@dataclass(frozen=True)
class Lesson:
    """A batch.

    Attributes:
        sound: (B, C, n_mels, T) float32 features.
        boxes: per window (n, 4) float32 in parts of the image.
        attention: one (B, M, h, w) a level, of M teachers; empty if not asked for.
        embedding: (B, M, D) of P5; (B, 0, 0) if not asked for.
        features: (B, M, D, h, w) of P5; (B, 0, 0, 0, 0) if not asked for.
        indices: places in the set.
        frames: their ids.
    """

    sound: Tensor
    boxes: list[Tensor]
    attention: list[Tensor]
    embedding: Tensor
    features: Tensor
    indices: list[int]
    frames: list[str]

    def to(self, device: torch.device, **how: bool) -> Lesson:
        """The same on another device; Lightning calls this."""
        return replace(
            self,
            sound=self.sound.to(device, **how),
            boxes=[box.to(device, **how) for box in self.boxes],
            attention=[level.to(device, **how) for level in self.attention],
            embedding=self.embedding.to(device, **how),
            features=self.features.to(device, **how),
        )


@dataclass(frozen=True)
class TaughtWindows:
    """Windows of labelled drives; large arrays stay on disk.

    Attributes:
        frames: ids.
        sound: per window (C, n_mels, T) float16.
        boxes: per window (n, 4) float32 in parts of the image, of the teachers in question.
        all_boxes: the same of all teachers: what scores are computed against. Both are the true
            boxes where these are taught.
        attention: per window (M, V) float16; may be empty.
        embedding: per window (M, 5, D); may be empty.
        features: per window (M, D, h, w); may be empty.
        level_sizes: (L, 2) height and width of the attention maps.
        image_size_px: width and height of the image.
    """

    frames: list[layout.FrameId]
    sound: list[np.ndarray]
    boxes: list[np.ndarray]
    all_boxes: list[np.ndarray]
    attention: list[np.ndarray]
    embedding: list[np.ndarray]
    features: list[np.ndarray]
    level_sizes: np.ndarray
    image_size_px: tuple[int, int]

    def __len__(self) -> int:
        return len(self.frames)

    def first(self, most: int) -> TaughtWindows:
        """At most so many windows, evenly over the set; 0 takes all."""
        if not most or most >= len(self):
            return self
        chosen = np.unique(np.linspace(0, len(self) - 1, most).astype(int))
        names = ('frames', 'sound', 'boxes', 'all_boxes', 'attention', 'embedding', 'features')
        parts = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{name: [part[i] for i in chosen] if part else [] for name, part in parts.items()},
        )


def taught_windows(
    root: Path,
    labels: Path,
    frames: Sequence[layout.FrameId],
    kind: str,
    teachers: Sequence[str],
    needs: Sequence[str],
    image_size_px: tuple[int, int],
    true_boxes: bool = False,
) -> TaughtWindows:
    """Lay together what was heard and what was seen.

    Args:
        root: the data set's folder, with features (`sound_cache`).
        labels: folder of the label files.
        frames: which; those that features or labels skipped are left out, and those without
            truth if it is wanted.
        kind: of the features.
        teachers: whose boxes and maps are taught.
        needs: which of ``attention``, ``embedding`` and ``features`` are wanted.
        image_size_px: width and height of the image.
        true_boxes: take the data set's own instead of the teachers'.

    Raises:
        AvdetError: files are missing or damaged, lack a teacher, or nothing is left.
    """
    made: dict[str, list] = {
        name: []
        for name in ('frames', 'sound', 'boxes', 'all_boxes', 'attention', 'embedding', 'features')
    }
    scale = np.tile(np.array(image_size_px, np.float32), 2)
    sizes = np.zeros((0, 2), int)
    for drive, members in by_drive(frames).items():
        places, sound = map_features(root, kind, drive)
        told = read_labels(labels / f'{drive}.npz', mapped=True)
        columns = told.columns(teachers)
        rows = {str(stamp): index for index, stamp in enumerate(told.ids)}
        sizes = told.attention_sizes if len(told) else sizes
        truth = layout.read_truth(root, drive) if true_boxes else {}
        for frame in members:
            if frame.stamp not in places or frame.stamp not in rows:
                continue
            if true_boxes and frame.stamp not in truth:
                continue
            row = rows[frame.stamp]
            made['frames'].append(frame)
            made['sound'].append(sound[places[frame.stamp]])
            for name, names in (('boxes', teachers), ('all_boxes', told.teachers)):
                if true_boxes:
                    line = truth[frame.stamp]
                    boxes = line['boxes_px'][np.array(line['label'], bool).reshape(-1)]
                else:
                    boxes = told.fused(row, names).boxes_px
                made[name].append((boxes / scale).astype(np.float32))
            for name in needs:
                made[name].append(_Rows(getattr(told, name), row, columns))
    if not made['frames']:
        raise AvdetError(
            f'{labels}: expected labels of the {len(frames)} frames in {root}, found none'
        )
    return TaughtWindows(**made, level_sizes=sizes, image_size_px=image_size_px)


class _Rows:
    """Some teachers' part of a mapped row, read when it is asked for."""

    def __init__(self, array: np.ndarray, row: int, columns: list[int]) -> None:
        self.array, self.row, self.columns = array, row, columns

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[self.row][self.columns], dtype)


class _Lessons(Dataset):
    """Gives whole batches at once."""

    def __init__(self, windows: TaughtWindows, levels: int) -> None:
        self.windows, self.levels = windows, levels

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> Lesson:
        windows = self.windows
        attention = []
        if windows.attention:
            flat = _stacked([windows.attention[index] for index in indices])
            start = 0
            for height, width in windows.level_sizes[: self.levels].tolist():
                part = flat[..., start : start + height * width]
                attention.append(part.unflatten(-1, (height, width)))
                start += height * width
        nothing = torch.zeros(len(indices), 0, 0)
        embedding, features = nothing, nothing[..., None, None]
        if windows.embedding:
            embedding = _stacked([windows.embedding[index] for index in indices])[:, :, P5]
        if windows.features:
            features = _stacked([windows.features[index] for index in indices])
        return Lesson(
            _stacked([windows.sound[index] for index in indices]),
            [torch.from_numpy(windows.boxes[index]) for index in indices],
            attention,
            embedding,
            features,
            list(indices),
            [str(windows.frames[index]) for index in indices],
        )


def lessons(
    windows: TaughtWindows, batch: int, shuffle_seed: int | None = None, levels: int = 5
) -> DataLoader:
    """A loader of `Lesson`.

    Args:
        windows: what to load.
        batch: windows a step over all processes.
        shuffle_seed: order, new in each epoch; None keeps it and gives every process all of it.
        levels: how many levels of attention maps.
    """
    shuffle = shuffle_seed is not None
    share = {'num_replicas': count(), 'rank': rank()} if shuffle else {}
    sampler = DistributedSampler(
        windows, **{'num_replicas': 1, 'rank': 0, **share}, shuffle=shuffle,
        seed=shuffle_seed or 0, drop_last=False,
    )  # fmt: skip
    own = max(1, batch // count()) if shuffle else batch
    return DataLoader(
        _Lessons(windows, levels),
        batch_size=own,
        sampler=sampler,
        # A last batch of one window has no statistics for batch norms.
        drop_last=shuffle and len(windows) >= batch,
        collate_fn=lambda made: made,
    )


def _stacked(rows: list) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(row) for row in rows])).float()
