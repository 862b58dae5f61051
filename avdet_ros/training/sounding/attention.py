"""Attention of a sound over a picture, after Senocak et al., in two variants.

A. Senocak et al., "Learning to localize sound source in visual scenes", CVPR 2018, section 3: the
sound's vector h attends over the picture's cells v_i, a = softmax of cos(v_i, h). The attended
picture z = sum a_i v_i is trained to be nearer to its own sound than to another one. For labelled
frames, -sum g_i log a_i is added, g a mask of sum 1.

``literal`` has one vector for the whole sound, which tells what sounds but not where. ``map`` has
one for each column of the picture: what the array receives from that direction.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.rig import Rig
from avdet_ros.training.networks.steering import image_directions
from avdet_ros.training.sounding.sound_sums import GROUPS

WAYS = ('map', 'literal')
"""Variants: a vector for each column of the picture, or one for the whole sound."""

ROWS, COLUMNS = 8, 24
"""Number of cells of the picture."""

PICTURE_PX = (ROWS * 8, COLUMNS * 8)
"""Height and width of the network's input picture."""

SIZE = 32
"""Size of the vectors that are compared."""

SHARPNESS = 10.0
"""Factor of the cosines before the softmax over the cells: without it, 192 values between -1 and 1
would give nearly uniform attention."""

LEAST = 1e-6
"""Lower limit of attention in the logarithm."""


def column_places(rig: Rig) -> Tensor:
    """Return the index of `directions.AZIMUTHS_DEG` nearest each column, (COLUMNS,) int64."""
    from avdet_ros.detection.steering import heading_rad

    ahead = image_directions(rig, COLUMNS, 0, 0)
    azimuth = np.arctan2(ahead[:, 1], ahead[:, 0]) + np.radians(rig.array_yaw_deg)
    off_deg = np.degrees(azimuth - heading_rad(rig.camera))
    return torch.from_numpy(np.abs(off_deg[:, None] - AZIMUTHS_DEG).argmin(axis=1))


class Attention(nn.Module):
    """Network that computes vectors of cells and sounds, and the attention between them.

    Args:
        way: ``literal`` or ``map``.
        places: result of `column_places`.
        channels: number of the pictures' channels to use, from the first on.
    """

    def __init__(self, way: str, places: Tensor, channels: int = 3) -> None:
        super().__init__()
        self.way, self.channels = way, channels
        self.register_buffer('places', places)
        self.register_buffer('mean', torch.zeros(2 * GROUPS, 1))
        self.register_buffer('deviation', torch.ones(2 * GROUPS, 1))
        self.cells = nn.Sequential(
            *_halved(channels, 16),
            *_halved(16, 32),
            *_halved(32, SIZE),
            nn.Conv2d(SIZE, SIZE, 1),
        )
        self.sound = nn.Sequential(nn.Conv1d(2 * GROUPS, 64, 1), nn.ReLU(), nn.Conv1d(64, SIZE, 1))
        self.joined = nn.Sequential(nn.Linear(SIZE, SIZE), nn.ReLU(), nn.Linear(SIZE, SIZE))

    def vectors(self, maps: Tensor) -> Tensor:
        """Return (F, SIZE, COLUMNS) sound vectors; with ``literal`` all columns are equal."""
        scaled = (maps - self.mean) / self.deviation
        if self.way == 'literal':
            return self.sound(scaled.mean(dim=-1, keepdim=True)).expand(-1, -1, COLUMNS)
        return self.sound(scaled[..., self.places])

    def forward(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """Return (F, ROWS, COLUMNS) attention of sum 1.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            maps: (F, 2 `GROUPS`, A) of `DirectionMaps`.
        """
        return self._attend(self.cells(pictures - 0.5), self.vectors(maps))

    def unlabelled_loss(self, pictures: Tensor, own: Tensor, foreign: Tensor) -> Tensor:
        """Return the loss without labels, from own and other sounds, a scalar.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            own: (F, 2 `GROUPS`, A) sounds of the same moments.
            foreign: (F, 2 `GROUPS`, A) sounds of other moments.
        """
        cells, sound = self.cells(pictures - 0.5), self.vectors(own)
        seen = self.joined((cells * self._attend(cells, sound)[:, None]).sum(dim=(2, 3)))
        return triplet(seen, sound.mean(dim=2), self.vectors(foreign).mean(dim=2))

    def labelled_loss(self, pictures: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
        """Return the loss of labelled frames, a scalar: -sum g log a.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            maps: (F, 2 `GROUPS`, A).
            masks: (F, ROWS, COLUMNS), nonzero where something sounds.
        """
        return labelled_loss(self(pictures, maps), masks)

    def _attend(self, cells: Tensor, sound: Tensor) -> Tensor:
        alike = functional.cosine_similarity(cells, sound[:, :, None], dim=1)
        return (SHARPNESS * alike).flatten(1).softmax(dim=1).unflatten(1, (ROWS, COLUMNS))


def triplet(seen: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Mean of D+^2 + (1 - D-)^2; (D+, D-): softmax of the distances to own and other sound."""
    apart = torch.stack([(seen - one).norm(dim=1) for one in (own, other)], dim=1)
    near, far = apart.softmax(dim=1).unbind(dim=1)
    return (near**2 + (1 - far) ** 2).mean()


def labelled_loss(attention: Tensor, masks: Tensor) -> Tensor:
    """Mean of -sum g log a; each mask g is scaled to sum 1, so vehicle size has no weight."""
    share = masks / masks.flatten(1).sum(dim=1)[:, None, None].clamp(min=LEAST)
    return -(share * attention.clamp(min=LEAST).log()).sum(dim=(1, 2)).mean()


def _halved(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
