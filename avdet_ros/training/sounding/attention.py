"""Attention of a sound over a picture, after Senocak et al., two ways.

A. Senocak et al., "Learning to localize sound source in visual scenes", CVPR 2018, section 3: the
sound's vector h attends over the picture's cells v_i, a = softmax of cos(v_i, h); z = sum a_i v_i
is the picture as the sound sees it, and lies nearer to its own sound than to another one. Where
somebody says what sounds, -sum g_i log a_i is added, g a mask of sum 1.

``literal`` has one vector for the whole sound, which knows what sounds and not where. ``map`` has
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
"""A vector for each column of the picture, or one for the whole sound."""

ROWS, COLUMNS = 8, 24
"""Cells of the picture."""

PICTURE_PX = (ROWS * 8, COLUMNS * 8)
"""Height and width of the picture that the network sees."""

SIZE = 32
"""Of the vectors that are compared."""

SHARPNESS = 10.0
"""Cosines are multiplied with it before the softmax over the cells: 192 of them within -1 and 1
would attend everywhere alike."""

LEAST = 1e-6
"""Attention below it is as good as none, in the logarithm."""


def column_places(rig: Rig) -> Tensor:
    """(COLUMNS,) int64, for each column of cells the nearest of `directions.AZIMUTHS_DEG`."""
    from avdet_ros.detection.steering import heading_rad

    ahead = image_directions(rig, COLUMNS, 0, 0)
    azimuth = np.arctan2(ahead[:, 1], ahead[:, 0]) + np.radians(rig.array_yaw_deg)
    off_deg = np.degrees(azimuth - heading_rad(rig.camera))
    return torch.from_numpy(np.abs(off_deg[:, None] - AZIMUTHS_DEG).argmin(axis=1))


class Attention(nn.Module):
    """Vectors of cells and of sounds, and the attention of one over the other.

    Args:
        way: ``literal`` or ``map``.
        places: of `column_places`.
        channels: of the pictures that are looked at, the first ones.
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
        """(F, SIZE, COLUMNS) of the sound; ``literal`` has the same in every column."""
        scaled = (maps - self.mean) / self.deviation
        if self.way == 'literal':
            return self.sound(scaled.mean(dim=-1, keepdim=True)).expand(-1, -1, COLUMNS)
        return self.sound(scaled[..., self.places])

    def forward(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """(F, ROWS, COLUMNS) attention of sum 1.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            maps: (F, 2 `GROUPS`, A) of `DirectionMaps`.
        """
        return self._attend(self.cells(pictures - 0.5), self.vectors(maps))

    def unlabelled_loss(self, pictures: Tensor, own: Tensor, foreign: Tensor) -> Tensor:
        """What pictures with their own sounds and with others teach, a scalar.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            own: (F, 2 `GROUPS`, A) of their moments.
            foreign: (F, 2 `GROUPS`, A) of others.
        """
        cells, sound = self.cells(pictures - 0.5), self.vectors(own)
        seen = self.joined((cells * self._attend(cells, sound)[:, None]).sum(dim=(2, 3)))
        return triplet(seen, sound.mean(dim=2), self.vectors(foreign).mean(dim=2))

    def told_loss(self, pictures: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
        """What frames teach of which somebody says what sounds, a scalar: -sum g log a.

        Args:
            pictures: (F, channels, *PICTURE_PX) in [0, 1].
            maps: (F, 2 `GROUPS`, A).
            masks: (F, ROWS, COLUMNS) where something sounds.
        """
        return told_loss(self(pictures, maps), masks)

    def _attend(self, cells: Tensor, sound: Tensor) -> Tensor:
        alike = functional.cosine_similarity(cells, sound[:, :, None], dim=1)
        return (SHARPNESS * alike).flatten(1).softmax(dim=1).unflatten(1, (ROWS, COLUMNS))


def triplet(seen: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Mean of D+^2 + (1 - D-)^2, (D+, D-) the softmax of the distances to own and other sound."""
    apart = torch.stack([(seen - one).norm(dim=1) for one in (own, other)], dim=1)
    near, far = apart.softmax(dim=1).unbind(dim=1)
    return (near**2 + (1 - far) ** 2).mean()


def told_loss(attention: Tensor, masks: Tensor) -> Tensor:
    """Mean of -sum g log a, each mask g brought to a sum of 1: large vehicles count no more."""
    share = masks / masks.flatten(1).sum(dim=1)[:, None, None].clamp(min=LEAST)
    return -(share * attention.clamp(min=LEAST).log()).sum(dim=(1, 2)).mean()


def _halved(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
