"""Windows of any arrays (format 3) in the memory of the training device, and batches of them.

A set may grow while it is read: `ArrayStore.refresh` adds new shards; if there is no room left,
new windows replace the oldest. 300,000 windows fit with the network on one large GPU; a growing
set takes half as much again. Augmentation is drawn on the device as well. It changes the geometry
that the network receives and the microphones that are left, so every window can stand for another
vehicle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avdet_ros.detection.taught_ranges import RANGE_NAMES, TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.losses import BearingLabels
from avdet_ros.training.any_array.windows.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    missing,
    stretch,
    wave_speed_mps,
    wind,
)
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import FULL, read_shard

LABELS_AT = {'centre': '', 'end': 'end_'}
"""Prefix of the label fields, by the instant of the window that is learned."""

LABELS = ('angles_deg', 'range_m', 'count', 'seen_deg', 'unsure')
"""The stored arrays that `ArrayStore.labels` combines."""


@dataclass(frozen=True)
class ArrayBatch:
    """A batch of windows, ready for the network.

    Attributes:
        level_db: (B, n_mels, T) float32.
        coherence: (B, n_mels, 2 pairs, T) float32 (or the type autocast chooses).
        steering: (B, n_mels, A, 2 pairs) float32.
        labels: of these windows.
    """

    level_db: Tensor
    coherence: Tensor
    steering: Tensor
    labels: BearingLabels


class ArrayStore:
    """The windows of a folder of format 3 that exist so far.

    Attributes:
        folder: of the shards.
        device: where windows are kept.
        labels_at: a key of `LABELS_AT`.
    """

    def __init__(
        self,
        folder: str | Path,
        table: SteeringTable,
        azimuths_deg: np.ndarray,
        device: torch.device | str = 'cpu',
        labels_at: str = 'centre',
        geometry: str = 'rig',
        most: int | None = None,
        renews: bool = True,
    ) -> None:
        """Create an empty store; `refresh` fills it.

        Args:
            folder: of ``windows_*.npz``.
            table: computes steering for the set's pairs of microphones.
            azimuths_deg: (A,) the network's directions.
            device: where windows are kept.
            labels_at: a key of `LABELS_AT`.
            geometry: 'rig' for the positions in the rig file, 'true' for the real ones.
            most: windows at most; None for all.
            renews: whether new windows replace the oldest when there are ``most``.
        """
        self.folder, self.device, self.most = Path(folder), torch.device(device), most
        self._table, self._geometry = table, geometry
        self._azimuths = torch.as_tensor(azimuths_deg, dtype=torch.float32, device=self.device)
        self.labels_at, self._prefix = labels_at, LABELS_AT[labels_at]
        self._seen: set[str] = set()
        self._parts: dict[str, Tensor] = {}
        self._renews = renews
        self._taken = 0

    def __len__(self) -> int:
        return self._taken if self.most is None else min(self._taken, self.most)

    @property
    def nbytes(self) -> int:
        """Bytes on the device, including room for growth."""
        return sum(part.nbytes for part in self._parts.values())

    def refresh(self) -> int:
        """Add the shards that are new since the last call.

        The first call takes no more windows than there is room for.

        Returns:
            Number of new windows.

        Raises:
            AvdetError: a shard cannot be read or is of another format.
        """
        renews, taken = self._renews and bool(self._seen), 0
        for path in sorted(self.folder.glob('windows_*.npz')):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            if len(self) == self.most and not renews:
                continue
            try:
                new = read_shard(
                    path, self._table.pairs, self._prefix, self._geometry, self.device
                )
            except AvdetError:
                if path.exists():
                    raise
                continue  # deleted meanwhile by the process that makes the set, see `drop_oldest`
            taken += self._append(new, renews)
        return taken

    def _append(self, new: dict[str, Tensor], renews: bool) -> int:
        """Append windows; memory grows by half when it is full.

        Args:
            new: the arrays to keep.
            renews: whether the oldest windows make room for those beyond `most`.

        Returns:
            Number of windows added.
        """
        before, count = len(self), len(new['count'])
        slots = torch.arange(self._taken, self._taken + count, device=self.device)
        room = max(before + count, int(1.5 * before), 1024)
        if self.most is not None:
            slots = slots[: self.most if renews else self.most - before] % self.most
            room = self.most
        for name, values in new.items():
            stored = self._parts.get(name)
            if stored is None or len(stored) < min(before + count, room):
                grown = torch.empty(
                    (room, *values.shape[1:]), dtype=values.dtype, device=self.device
                )
                if stored is not None:
                    grown[:before] = stored[:before]
                # Only one array at a time exists twice.
                self._parts[name] = stored = grown
            stored[slots] = values[: len(slots)]
        self._taken += len(slots)
        return len(slots)

    def column(self, name: str) -> np.ndarray:
        """Return one of the stored arrays for all windows, e.g. ``seed`` or ``count``."""
        return self._parts[name][: len(self)].cpu().numpy()

    def part(self, name: str) -> Tensor:
        """Return one of the stored arrays, on the device, to be changed in place."""
        return self._parts[name][: len(self)]

    def levels(self, most: int = 2048) -> Tensor:
        """Return the levels, (N, n_mels, T), of up to ``most`` windows, evenly over the set."""
        step = max(1, len(self) // most)
        return self._parts['level_db'][: len(self) : step].float()

    def batch(
        self,
        index: Tensor,
        augmentation: Augmentation = NO_AUGMENTATION,
        generator: torch.Generator | None = None,
    ) -> ArrayBatch:
        """Return some windows, augmented.

        Args:
            index: (B,) of the windows.
            augmentation: the random changes.
            generator: of random numbers, on the device.
        """
        take = {name: part[index] for name, part in self._parts.items() if name not in LABELS}
        count = len(index)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(count, *shape, device=self.device, generator=generator)

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, device=self.device, generator=generator)

        mirrored = uniform() < augmentation.mirror
        sign = torch.where(mirrored, -1.0, 1.0)
        spread_m = augmentation.position_m * uniform()[:, None, None]
        places = take['microphones_m'] + spread_m * normal(MICROPHONES, 3)
        places = torch.stack([places[..., 0], places[..., 1] * sign[:, None]], dim=-1)
        # Turning the scene to the left is turning the camera to the right.
        left_deg = augmentation.turned_deg * (2 * uniform() - 1)
        yaw = (take['yaw_deg'] + augmentation.yaw_deg * normal()) * sign + left_deg
        alive = take['alive'] & ~missing(uniform(2), uniform(MICROPHONES), augmentation.missing)
        first, second = torch.tensor(self._table.pairs, device=self.device).T
        live = (alive[:, first] & alive[:, second]).repeat_interleave(2, dim=1)
        # On a GPU, the integers are read once and converted to floats there.
        coherence = take['coherence'].float() * (live / FULL)[:, None, :, None]
        level_db = take['level_db'].float() + augmentation.level_db * normal(1, 1)
        bands, frames = level_db.shape[1:]
        calm = 1 - wind(uniform(4), augmentation, bands)
        level_db = level_db - 10 * torch.log10(calm)[:, :, None]
        quiet = level_db.mean(dim=(1, 2), keepdim=True)
        silent = stretch(uniform(3), augmentation.masked, augmentation.masked_bands, bands)
        still = stretch(uniform(3), augmentation.masked, augmentation.masked_frames, frames)
        silent = silent[:, :, None] | still[:, None]
        level_db = torch.where(silent, quiet, level_db)
        coherence = coherence * torch.where(silent, 0.0, calm[:, :, None])[:, :, None]
        known = (uniform() < augmentation.motion, uniform() < augmentation.air)
        heading_deg = take['camera_heading_deg'] * sign - left_deg
        azimuth = torch.deg2rad(self._azimuths + heading_deg[:, None])
        moments = (take['ahead_mps'], take['temperature_c'])
        speed_mps = wave_speed_mps(azimuth, *moments, *known)
        late_s = take['late_s']
        steering = self._table.steering(places, yaw, self._azimuths, alive, late_s, speed_mps)
        labels = self.labels(index).mirrored(mirrored)
        if augmentation.turned_deg:
            labels = labels.turned(left_deg)
        return ArrayBatch(level_db, coherence, steering, labels)

    def labels(self, index: Tensor) -> BearingLabels:
        """Return the labels of (B,) windows."""
        angles_deg, range_m, count, *known = (self._parts[name][index] for name in LABELS)
        slots = torch.arange(range_m.shape[1], device=self.device)
        return BearingLabels(angles_deg, range_m, slots < count[:, None], *known)

    def taught_ranges(self) -> TaughtRanges:
        """Ranges of the set's arrays; camera and number of microphones as drawn in training."""
        places = self.column('microphones_m')[..., :2]
        alive = self.column('alive')
        first, second = np.array(self._table.pairs).T
        apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
        apart *= alive[:, :, None] & alive[:, None]
        pairs = np.where(alive[:, first] & alive[:, second], apart[:, first, second], np.inf)
        values = {
            'aperture_m': apart.max(axis=(1, 2)),
            'spacing_m': pairs.min(axis=1),
            'live_microphones': np.clip(alive.sum(axis=1), 3, MICROPHONES),
        }
        ends = {
            name: (round(float(value.min()), 3), round(float(value.max()), 3))
            for name, value in values.items()
        }
        ends['live_microphones'] = (min(6.0, ends['live_microphones'][0]), float(MICROPHONES))
        ends |= {'array_height_m': (0.4, 2.5), 'field_of_view_deg': (10.0, 56.0)}
        return TaughtRanges(**{name: ends[name] for name in RANGE_NAMES})
