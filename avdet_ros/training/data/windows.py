"""Labelled windows in memory: one set, whoever labelled them, and its batches.

`avdet_ros.training.data.simulated` and `avdet_ros.training.data.drives` fill it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.training.data.batch import P5, Batch
from avdet_ros.training.fitting.distributed import count, rank


@dataclass(frozen=True)
class WindowDataset:
    """Windows of many drives; large arrays may be memory maps.

    Attributes:
        names: of the windows, for messages.
        spectrogram: per window (C, n_mels, T) float16 features.
        boxes: per window (n, 4) float32 in parts of the image.
        image_size_px: width and height of the image.
        attention: per window (M, V) float16 of M teachers; may be empty.
        embedding: per window (M, 5, D); may be empty.
        teacher_features: per window (M, D, h, w); may be empty.
        level_sizes: (L, 2) height and width of the attention maps.
        open_areas: per window (m, 4) parts of the image that teach nothing; may be empty.
    """

    names: Sequence[str]
    spectrogram: Sequence[np.ndarray]
    boxes: Sequence[np.ndarray]
    image_size_px: tuple[int, int] = (1920, 650)
    attention: Sequence[np.ndarray] = ()
    embedding: Sequence[np.ndarray] = ()
    teacher_features: Sequence[np.ndarray] = ()
    level_sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    open_areas: Sequence[np.ndarray] = ()

    def __len__(self) -> int:
        return len(self.names)

    def at_most(self, most: int) -> WindowDataset:
        """At most so many windows, evenly over the set; 0 takes all."""
        if not most or most >= len(self):
            return self
        return self.select(evenly_spaced(len(self), most))

    def select(self, places: Sequence[int]) -> WindowDataset:
        """The windows at some places."""
        parts = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ('image_size_px', 'level_sizes')
        }
        chosen = {
            name: [part[place] for place in places] if len(part) else part
            for name, part in parts.items()
        }
        return replace(self, **chosen)

    def batch(self, places: Sequence[int], levels: int = 0) -> Batch:
        """The windows at some places with the first so many levels of attention maps."""
        attention = []
        if len(self.attention):
            flat = _stacked([self.attention[place] for place in places])
            start = 0
            for height, width in self.level_sizes[:levels].tolist():
                part = flat[..., start : start + height * width]
                attention.append(part.unflatten(-1, (height, width)))
                start += height * width
        nothing = torch.zeros(len(places), 0, 0)
        embedding, features = nothing, nothing[..., None, None]
        if len(self.embedding):
            embedding = _stacked([self.embedding[place] for place in places])[:, :, P5]
        if len(self.teacher_features):
            features = _stacked([self.teacher_features[place] for place in places])
        return Batch(
            _stacked([self.spectrogram[place] for place in places]),
            [torch.from_numpy(self.boxes[place]) for place in places],
            attention,
            embedding,
            features,
            list(places),
            [self.names[place] for place in places],
            [torch.from_numpy(self.open_areas[place]) for place in places]
            if len(self.open_areas)
            else [],
        )


def loader(
    windows: WindowDataset, batch: int, shuffle_seed: int | None = None, levels: int = 0
) -> DataLoader:
    """A loader of `Batch`.

    Args:
        windows: what to load.
        batch: windows a step over all processes.
        shuffle_seed: order, new in each epoch (the sampler's ``set_epoch``); None keeps it, keeps
            the incomplete last batch too, and gives every process all of it.
        levels: how many levels of attention maps.
    """
    shuffle = shuffle_seed is not None
    processes, own_rank = (count(), rank()) if shuffle else (1, 0)
    sampler = DistributedSampler(
        windows, processes, own_rank, shuffle=shuffle, seed=shuffle_seed or 0, drop_last=False
    )
    return DataLoader(
        _Batches(windows, levels),
        batch_size=max(1, batch // count()) if shuffle else batch,
        sampler=sampler,
        # A last batch of one window has no statistics for batch norms.
        drop_last=shuffle and len(windows) >= batch,
        collate_fn=lambda made: made,
    )


class _Batches(Dataset):
    """Gives whole batches at once: 32 rows of a memory map are one copy."""

    def __init__(self, windows: WindowDataset, levels: int) -> None:
        self.windows, self.levels = windows, levels

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.windows.batch(indices, self.levels)


def _stacked(rows: list) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(row) for row in rows])).float()
