"""Windows of any arrays (format 3) in the memory of the device that trains, and batches of them.

A set may grow while it is read: `ArrayStore.refresh` takes in what shards have come. Of a window
is kept what the network looks at: coherences in steps of 1/127 and the mean level of the live
microphones, 205 kB (92 of twelve pairs), so that 300,000 windows fit beside the network on one
large GPU; a set that grows takes half as much again. Augmentation is drawn on the device as well:
what is changed is the geometry that the network is told, and which microphones are left, so every
window can be another vehicle's.
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import pair_count_of
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.detection.taught_ranges import RANGE_NAMES, TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, read_bounded
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.bearing_first import mean_level
from avdet_ros.training.any_array.fitting.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    missing,
    stretch,
    wave_speed_mps,
    wind,
)
from avdet_ros.training.any_array.fitting.drawn_steering import SteeringTable
from avdet_ros.training.any_array.losses import BearingLabels

ANGLES = ('azimuth_deg', 'elevation_deg', 'width_deg', 'height_deg')

LABELS_AT = {'centre': '', 'end': 'end_'}
"""Prefix of the labels of the window's instant that is learned."""

LABELS = ('angles_deg', 'range_m', 'count', 'seen_deg', 'unsure')
"""What of a window `ArrayStore.labels` is made of."""

_FULL = 127.0

LARGEST_CARD = 1 << 20
"""Bytes of a set's windows.json."""


MOTION = ('ahead_mps', 'camera_heading_deg', 'temperature_c')
"""What a detector can be told of a window's moment; NaN where a set does not say it."""


@dataclass(frozen=True)
class ArrayBatch:
    """Some windows, ready for the network.

    Attributes:
        level_db: (B, n_mels, T) float32.
        coherence: (B, n_mels, 2 pairs, T) float32 (or what autocast likes).
        steering: (B, n_mels, A, 2 pairs) float32.
        labels: what is true.
    """

    level_db: Tensor
    coherence: Tensor
    steering: Tensor
    labels: BearingLabels


def front_end_of(folder: Path) -> FrontEnd:
    """What made the features of a set, as its ``windows.json`` says; without one the default.

    Raises:
        AvdetError: the file cannot be read, or names no features of a front end.
    """
    path = folder / 'windows.json'
    if not path.exists():
        return FrontEnd()
    try:
        names = json.loads(read_bounded(path, LARGEST_CARD, 'what a set is'))['features']
    except (ValueError, KeyError, TypeError) as error:
        raise AvdetError(
            f'{path}: expected what made a set of windows, found {one_line(error)}'
        ) from error
    front_end = FrontEnd(pair_count=pair_count_of(names))
    if tuple(names) != front_end.feature_names:
        raise AvdetError(
            f'{path}: features: expected those of a front end, found {len(names)} names'
        )
    return front_end


class ArrayStore:
    """All windows of a folder of format 3, as far as they are there.

    Attributes:
        folder: of the shards.
        device: where windows lie.
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
    ) -> None:
        """Begin with an empty store; `refresh` fills it.

        Args:
            folder: of ``windows_*.npz``.
            table: makes steering, for the pairs of microphones that the set has.
            azimuths_deg: (A,) the network's directions.
            device: where windows are kept.
            labels_at: a key of `LABELS_AT`.
            geometry: 'rig' for what the rig file says, 'true' for where microphones really are.
            most: windows at most; None for all.
        """
        self.folder, self.device, self.most = Path(folder), torch.device(device), most
        self._table, self._geometry = table, geometry
        self._azimuths = torch.as_tensor(azimuths_deg, dtype=torch.float32, device=self.device)
        self.labels_at, self._prefix = labels_at, LABELS_AT[labels_at]
        self._seen: set[str] = set()
        self._parts: dict[str, Tensor] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes on the device, room for growth included."""
        return sum(part.nbytes for part in self._parts.values())

    def refresh(self) -> int:
        """Take in shards that have come since the last time.

        Returns:
            How many windows are new.

        Raises:
            AvdetError: a shard cannot be read or is of another format.
        """
        before = self._count
        for path in sorted(self.folder.glob('windows_*.npz')):
            if path.name in self._seen or self._count >= (self.most or np.inf):
                continue
            self._seen.add(path.name)
            self._append(self._read(path))
        return self._count - before

    def _read(self, path: Path) -> dict[str, Tensor]:
        names = ['features', 'count', 'range_m', *ANGLES]
        names[1:] = [self._prefix + name for name in names[1:]]
        told = '' if self._geometry == 'true' else 'rig_'
        names += [told + 'microphones_m', told + 'array_yaw_deg', 'alive', 'seed', 'eye_height_m']
        try:
            with np.load(path, allow_pickle=False) as shard:
                given = ('seen_deg', 'unsure', *MOTION)
                known = {name: shard[name] for name in given if name in shard}
                raw = {name: shard[name] for name in names if name != 'features'}
                late = shard['delay_s'] if self._geometry == 'true' else None
                extra = {
                    name: shard[self._prefix + name] for name in ('level_db', 'visible_fraction')
                }
            # Mapped, not read: without the archive's checksum it is several times as fast.
            raw['features'] = np.array(map_member(path, 'features'))
        except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
            raise AvdetError(
                f'{path}: expected a shard of windows of format 3, found {one_line(error)}'
            ) from error
        if not np.allclose(eye_m := raw.pop('eye_height_m'), EYE_HEIGHT_M):
            raise AvdetError(
                f'{path}: eye_height_m: expected {EYE_HEIGHT_M:g} as models are taught, found '
                f'{eye_m.flat[0]:g}'
            )
        expected = MICROPHONES + 2 * len(self._table.pairs)
        if raw['features'].shape[1] != expected:
            raise AvdetError(
                f'{path}: expected {expected} features of {len(self._table.pairs)} pairs of '
                f'microphones, found {raw["features"].shape[1]}'
            )
        on_device = {
            name: torch.from_numpy(values).to(self.device)
            for name, values in raw.items()
            if name != 'features'
        }
        features = torch.from_numpy(raw['features']).to(self.device).float()
        alive = on_device['alive'].bool()
        count = on_device[self._prefix + 'count']
        angles = torch.stack([on_device[self._prefix + name] for name in ANGLES], dim=-1)
        coherence = features[:, MICROPHONES:].clamp(-1, 1).transpose(1, 2)
        return {
            'level_db': mean_level(features[:, :MICROPHONES], alive.float()).half(),
            'coherence': (coherence * _FULL).round().to(torch.int8),
            'angles_deg': angles.float(),
            'range_m': on_device[self._prefix + 'range_m'].float(),
            'count': count.long(),
            'microphones_m': on_device[told + 'microphones_m'].float(),
            'yaw_deg': on_device[told + 'array_yaw_deg'].float(),
            'alive': alive,
            'late_s': (
                torch.zeros(len(count), MICROPHONES, device=self.device)
                if late is None
                else torch.from_numpy(late).to(self.device).float()
            ),
            'seed': on_device['seed'].long(),
            'level_db_of': torch.from_numpy(extra['level_db']).to(self.device).float(),
            'visible_fraction': torch.from_numpy(extra['visible_fraction']).to(self.device),
            **self._known(known, len(count), angles.shape[1]),
        }

    def _known(self, given: dict[str, np.ndarray], count: int, slots: int) -> dict[str, Tensor]:
        """What not all shards say: where labels are complete, which are unsure, how it moved."""
        seen, unsure = given.get('seen_deg'), given.get('unsure')
        if seen is None:
            seen = np.tile(np.array([180, -180], np.float32), (count, 1))
        if unsure is None:
            unsure = np.zeros((count, slots), bool)
        nothing = np.full(count, np.nan, np.float32)
        motion = {name: torch.from_numpy(given.get(name, nothing)) for name in MOTION}
        return {
            **{name: values.to(self.device).float() for name, values in motion.items()},
            'seen_deg': torch.from_numpy(seen).to(self.device).float(),
            'unsure': torch.from_numpy(unsure).to(self.device).bool(),
        }

    def _append(self, new: dict[str, Tensor]) -> None:
        """Put windows behind the others; memory grows by half when it is full."""
        count = len(new['count'])
        if self.most is not None:
            count = min(count, self.most - self._count)
        needed = self._count + count
        for name, values in new.items():
            there = self._parts.get(name)
            if there is None or len(there) < needed:
                room = max(needed, int(1.5 * self._count), 1024)
                if self.most is not None:
                    room = self.most
                grown = torch.empty(
                    (room, *values.shape[1:]), dtype=values.dtype, device=self.device
                )
                if there is not None:
                    grown[: self._count] = there[: self._count]
                # One array at a time is doubled, not all at once.
                self._parts[name] = there = grown
            there[self._count : needed] = values[:count]
        self._count = needed

    def column(self, name: str) -> np.ndarray:
        """All windows' values of one of the arrays kept, e.g. ``seed`` or ``count``."""
        return self._parts[name][: self._count].cpu().numpy()

    def part(self, name: str) -> Tensor:
        """One of the arrays kept, on the device, to be changed in place."""
        return self._parts[name][: self._count]

    def levels(self, most: int = 2048) -> Tensor:
        """(N, n_mels, T) level of up to so many windows, evenly over the set."""
        step = max(1, self._count // most)
        return self._parts['level_db'][: self._count : step].float()

    def batch(
        self,
        index: Tensor,
        augmentation: Augmentation = NO_AUGMENTATION,
        generator: torch.Generator | None = None,
    ) -> ArrayBatch:
        """Some windows, augmented.

        Args:
            index: (B,) which.
            augmentation: what is drawn.
            generator: of the device; draws it.
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
        # Turned to the left as the camera is turned to the right.
        left_deg = augmentation.turned_deg * (2 * uniform() - 1)
        yaw = (take['yaw_deg'] + augmentation.yaw_deg * normal()) * sign + left_deg
        alive = take['alive'] & ~missing(uniform(2), uniform(MICROPHONES), augmentation.missing)
        first, second = torch.tensor(self._table.pairs, device=self.device).T
        live = (alive[:, first] & alive[:, second]).repeat_interleave(2, dim=1)
        # Whole numbers on a GPU are read once and made floats there.
        coherence = take['coherence'].float() * (live / _FULL)[:, None, :, None]
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
        told = (uniform() < augmentation.motion, uniform() < augmentation.air)
        heading_deg = take['camera_heading_deg'] * sign - left_deg
        azimuth = torch.deg2rad(self._azimuths + heading_deg[:, None])
        moments = (take['ahead_mps'], take['temperature_c'])
        speed_mps = wave_speed_mps(azimuth, *moments, *told)
        late_s = take['late_s']
        steering = self._table.steering(places, yaw, self._azimuths, alive, late_s, speed_mps)
        labels = self.labels(index).mirrored(mirrored)
        if augmentation.turned_deg:
            labels = labels.turned(left_deg)
        return ArrayBatch(level_db, coherence, steering, labels)

    def labels(self, index: Tensor) -> BearingLabels:
        """What is true of (B,) windows."""
        angles_deg, range_m, count, *known = (self._parts[name][index] for name in LABELS)
        slots = torch.arange(range_m.shape[1], device=self.device)
        return BearingLabels(angles_deg, range_m, slots < count[:, None], *known)

    def taught_ranges(self) -> TaughtRanges:
        """What arrays the set has; camera and number of microphones as drawn in training."""
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
