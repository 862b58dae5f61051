"""A set of labelled windows, whatever the source of the labels, and its batches.

`avdet_ros.training.data.simulated` and `avdet_ros.training.data.drives` load such sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.errors import AvdetError
from avdet_ros.training.data.batch import P5, Batch
from avdet_ros.training.fitting.distributed import count, rank


@dataclass(frozen=True)
class WindowDataset:
    """Windows of many drives; large arrays may be memory maps.

    Attributes:
        names: names of the windows, for messages.
        spectrogram: per window (C, n_mels, T) float16 features.
        boxes: per window (n, 4) float32, relative to the image size.
        image_size_px: width and height of the image.
        attention: per window (M, V) float16 of M teachers; may be empty.
        embedding: per window (M, 5, D); may be empty.
        teacher_features: per window (M, D, h, w); may be empty.
        level_sizes: (L, 2) height and width of the attention maps.
        open_areas: per window (m, 4) areas of the image without labels; may be empty.
        drives: drive of each window; may be empty.
        times_s: time of each window in its drive; may be empty.
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
    drives: Sequence[str] = ()
    times_s: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.names)

    def at_most(self, most: int) -> WindowDataset:
        """Select at most ``most`` windows, spread evenly over the set; 0 takes all."""
        if not most or most >= len(self):
            return self
        return self.select(evenly_spaced(len(self), most))

    def select(self, places: Sequence[int] | np.ndarray) -> WindowDataset:
        """Select the windows at some positions."""
        parts = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ('image_size_px', 'level_sizes')
        }
        chosen: dict[str, Any] = {
            name: [part[place] for place in places] if len(part) else part
            for name, part in parts.items()
        }
        return replace(self, **chosen)

    def share_of_drives(self, share: float, seed: int) -> WindowDataset:
        """Select the windows of a share of the drives, repeated up to the size of the whole set.

        Neighbouring windows are nearly identical, so a share of the windows of every drive would
        be nearly as informative as all of them. The repetitions keep the steps per epoch constant.

        Args:
            share: share of the drives, rounded, at least one drive.
            seed: seed of the choice of drives.

        Raises:
            AvdetError: the windows do not name their drives.
        """
        if share >= 1:
            return self
        if not self.drives:
            raise AvdetError(
                'fit.drives: expected windows that name their drives, found some that do not'
            )
        names = sorted(set(self.drives))
        chosen = np.random.default_rng([seed, 31]).permutation(names)
        kept = set(chosen[: max(1, round(share * len(names)))].tolist())
        places = [place for place, drive in enumerate(self.drives) if drive in kept]
        return self.select([places[number % len(places)] for number in range(len(self))])

    def batch(self, places: Sequence[int], levels: int = 0) -> Batch:
        """Make a batch of the windows at some positions, with ``levels`` levels of attention."""
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
            [self.drives[place] for place in places] if self.drives else [],
            [self.times_s[place] for place in places] if self.times_s else [],
        )


class DriveGroups(DistributedSampler):
    """Shuffle windows in groups from the same drive, in a new order each epoch.

    Where a task compares the windows of a batch with each other, some must be from the same drive.
    Otherwise the drive's noise, array errors and light would suffice to distinguish them.

    Args:
        windows: windows to order; if they do not name their drives, they count as one drive.
        group: number of neighbouring windows from the same drive.
        options: arguments of `DistributedSampler`.
    """

    def __init__(self, windows: WindowDataset, group: int, **options: int) -> None:
        super().__init__(windows, **options)
        self.group = group
        drives = np.array(windows.drives if windows.drives else [''] * len(windows))
        self._members = [np.flatnonzero(drives == name) for name in np.unique(drives)]

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch, 32])
        groups: list[np.ndarray] = []
        for members in self._members:
            shuffled = rng.permutation(members)
            groups += np.split(shuffled, np.arange(self.group, len(shuffled), self.group))
        order = np.concatenate([groups[place] for place in rng.permutation(len(groups))])
        own = np.resize(order, self.total_size)[self.rank : self.total_size : self.num_replicas]
        return iter(own.tolist())


def loader(
    windows: WindowDataset,
    batch: int,
    shuffle_seed: int | None = None,
    levels: int = 0,
    group: int = 0,
) -> DataLoader:
    """Make a loader of `Batch`.

    Args:
        windows: windows to load.
        batch: windows per step over all processes.
        shuffle_seed: seed of the order, which is new in each epoch (the sampler's ``set_epoch``).
            None keeps the original order and the incomplete last batch, and gives every process
            all windows.
        levels: number of levels of attention maps.
        group: neighbours from the same drive in a shuffled order, see `DriveGroups`.
    """
    shuffle = shuffle_seed is not None
    processes, own_rank = (count(), rank()) if shuffle else (1, 0)
    options = {'num_replicas': processes, 'rank': own_rank, 'seed': shuffle_seed or 0}
    if group and shuffle:
        sampler: DistributedSampler = DriveGroups(windows, group, **options)
    else:
        sampler = DistributedSampler(windows, shuffle=shuffle, drop_last=False, **options)
    return DataLoader(
        _Batches(windows, levels),
        batch_size=max(1, batch // count()) if shuffle else batch,
        sampler=sampler,
        # A last batch of one window would give batch norms no statistics.
        drop_last=shuffle and len(windows) >= batch,
        collate_fn=lambda made: made,
    )


class _Batches(Dataset):
    """Return whole batches at once: 32 rows of a memory map need one copy."""

    def __init__(self, windows: WindowDataset, levels: int) -> None:
        self.windows, self.levels = windows, levels

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.windows.batch(indices, self.levels)


def _stacked(rows: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(row) for row in rows])).float()
