"""Labelled windows as the network is fed with them: batches from a memory map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from avdet_ros.training.fitting.distributed import count, rank


@dataclass(frozen=True)
class WindowSet:
    """Windows of many drives.

    Attributes:
        features: N of (32, n_mels, T) float16, pooled features; may be memory maps.
        boxes: per window (n, 4) float32, in parts of the image.
        image_size_px: width and height of the image.
    """

    features: Sequence[np.ndarray]
    boxes: list[np.ndarray]
    image_size_px: tuple[int, int] = (1920, 650)

    def __len__(self) -> int:
        return len(self.features)

    def first(self, most: int) -> WindowSet:
        """The first ``most`` windows; 0 or too many gives all."""
        most = min(most or len(self), len(self))
        return WindowSet(self.features[:most], self.boxes[:most], self.image_size_px)


@dataclass(frozen=True)
class Batch:
    """Some windows of a set.

    Attributes:
        spectrogram: (B, 32, n_mels, T) float32.
        boxes: per window (n, 4) float32 in parts of the image.
        indices: their places in the set.
    """

    spectrogram: Tensor
    boxes: list[Tensor]
    indices: list[int]

    def to(self, device: torch.device, **how: bool) -> Batch:
        """The same on another device; Lightning calls this."""
        boxes = [box.to(device, **how) for box in self.boxes]
        return Batch(self.spectrogram.to(device, **how), boxes, self.indices)


class _Batches(Dataset):
    """Gives whole batches at once: 32 rows of a memory map are one copy."""

    def __init__(self, windows: WindowSet) -> None:
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> Batch:
        features = np.stack([self.windows.features[index] for index in indices])
        return Batch(
            torch.from_numpy(features).float(),
            [torch.from_numpy(self.windows.boxes[index]) for index in indices],
            list(indices),
        )


def batches(windows: WindowSet, batch: int, shuffle_seed: int | None = None) -> DataLoader:
    """A loader of `Batch`.

    Args:
        windows: what to load.
        batch: windows a step over all processes.
        shuffle_seed: order, new in each epoch (the sampler's ``set_epoch``); None keeps it, keeps
            the incomplete last batch too, and gives every process all of it.
    """
    shuffle = shuffle_seed is not None
    sampler = DistributedSampler(
        windows, *((count(), rank()) if shuffle else (1, 0)), shuffle=shuffle,
        seed=shuffle_seed or 0, drop_last=shuffle,
    )  # fmt: skip
    return DataLoader(
        _Batches(windows),
        batch_size=max(1, batch // count()) if shuffle else batch,
        sampler=sampler,
        drop_last=shuffle,
        collate_fn=lambda made: made,
    )
