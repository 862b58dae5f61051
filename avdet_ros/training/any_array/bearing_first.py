"""The network for any array: first where a vehicle is, then what it is like.

The array's geometry is an input, `steering`, so no weight belongs to one array. Per band, azimuth
and time, the network receives how much of the sound comes from there: the steered response and its
logarithm, and in addition both again with the array's blur removed (`deconvolution`), or what is
left when all other directions are nulled (`adaptive_beams`). The first layer mixes the bands; all
layers after it are shared by all azimuths. For each column of the front sector, the network
predicts whether a vehicle's centre is in it, then offset, elevation, angular size and range of
that vehicle, the latter three from separate columns if the shape has `own_columns`. Directions
behind and to the sides of the front sector are inputs as well, so that sound from there is
accounted for.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.microphone_pairs import PAIRS_BY_COUNT
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.beams.adaptive_beams import adaptive_beams
from avdet_ros.training.any_array.beams.deconvolution import (
    deconvolve,
    gram,
    grouped_bands,
    pooled_by_power,
)
from avdet_ros.training.column_layers import Residual1d, conv1d

LEAST_RESPONSE = 0.02
"""Floor of the steered response: a direction with a smaller share of a band's sound, -17 dB,
counts as silent."""

LEAST_PART = 0.003
"""The same floor after deconvolution, where the sound is in few directions."""

ADAPTIVE_FRAMES = 4
"""Pooled frames averaged for an adaptive beam: 93 ms."""

BEAMS: dict[str, dict[str, Any]] = {
    'deconvolved': {'steps': 12, 'adaptive': False},
    'adaptive': {'steps': 0, 'adaptive': True},
    'both': {'steps': 12, 'adaptive': True},
}
"""Inputs in addition to the steered response, as sizes of a `BearingShape`; compared in
docs/experiments.md, "Adaptive beams"."""

RARE = 0.02
"""Initial probability of a vehicle in a column, close to the true share."""

RANGE_BINS = 24
LEAST_RANGE_M, LARGEST_RANGE_M = 2.0, 100.0

VALUES = 5 + RANGE_BINS
"""Values of a column: presence logit, offset, elevation, log width, log height; range logits."""

OWN = ('to_columns', 'context', 'box')
"""Layers with weights that own columns duplicate."""

_PAIR_ENDS = {count: torch.tensor(pairs) for count, pairs in PAIRS_BY_COUNT.items()}
"""Microphones of each pair, (count, 2), by number of pairs."""


@dataclass(frozen=True)
class BearingShape:
    """Sizes of a `BearingFirst`.

    Attributes:
        n_mels: mel bands.
        frames: pooled frames of a window, each the mean of 4 frames.
        front: columns of the front sector, the first of the steering's directions.
        around: directions outside of the front sector.
        front_deg: half the width of the front sector.
        width: channels after mixing bands; the next layers' widths follow from it.
        deep: channels of a column.
        unblurred_bands: first mel band of the deconvolution and of adaptive beams, and the one
            after the last: below, arrays of this size have no beam; above, vehicles make little
            sound.
        band_group: mel bands that are deconvolved together.
        frame_group: pooled frames that are deconvolved together.
        steps: of the deconvolution; 0 disables it.
        dropout: share of the columns' channels that is dropped in training.
        adaptive: whether adaptive beams are an input, see `adaptive_beams`; they need the
            coherences of all 28 pairs of microphones.
        own_columns: whether separate columns predict elevation, size and range of a vehicle.
            Training them alone leaves all bearings and presence logits unchanged.
    """

    n_mels: int = 80
    frames: int = 44
    front: int = 64
    around: int = 16
    front_deg: float = 56.0
    width: int = 48
    deep: int = 192
    unblurred_bands: tuple[int, int] = (2, 66)
    band_group: int = 2
    frame_group: int = 2
    steps: int = 12
    dropout: float = 0.1
    adaptive: bool = False
    own_columns: bool = False

    @property
    def column_deg(self) -> float:
        """Width of a column of the front sector."""
        return 2 * self.front_deg / self.front

    @property
    def groups(self) -> int:
        """Number of band groups that are deconvolved."""
        first, last = self.unblurred_bands
        return (last - first) // self.band_group


class BearingFirst(nn.Module):
    """The bearing-first network; see the module's docstring.

    Attributes:
        shape: its sizes.
    """

    def __init__(self, shape: BearingShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or BearingShape()
        bands, width, deep = shape.n_mels, shape.width, shape.deep
        groups, frames = shape.groups, shape.frames
        self.register_buffer('level_mean', torch.full((bands, 1), -50.0))
        self.register_buffer('level_spread', torch.tensor(15.0))
        self.from_response = nn.Conv2d(2 * bands, width, 1, bias=False)
        self.from_level = nn.Conv1d(bands, width, 3, padding=1, bias=False)
        self.mixed = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        widths = (width, 4 * width // 3, 2 * width, 8 * width // 3)
        self.shorten = nn.ModuleList()
        for before, after in itertools.pairwise(widths):
            self.shorten.append(
                nn.Conv2d(before, after, (3, 4), stride=(1, 2), padding=(1, 1), bias=False)
            )
            frames = (frames - 2) // 2 + 1
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in widths[1:])
        if shape.steps:
            self.from_parts = nn.Conv2d(2 * groups, widths[1], 1, bias=False)
        if shape.adaptive:
            first, last = shape.unblurred_bands
            self.from_adaptive = nn.Conv2d(2 * (last - first), widths[2], 1, bias=False)
            # Zero at first, as in the measurements: training gives these beams their influence.
            nn.init.zeros_(self.from_adaptive.weight)
        self.to_columns = nn.Sequential(*conv1d(widths[-1] * frames, deep, 1))
        self.from_beam = nn.Conv1d(groups, deep, 1)
        # One vector for columns of the front sector, one for the wider directions around it.
        self.sector = nn.Parameter(torch.zeros(2, deep))
        self.dropout = nn.Dropout1d(shape.dropout)
        self.context = nn.ModuleList(Residual1d(deep, dilation) for dilation in (1, 2, 4, 8))
        self.presence = nn.Sequential(*conv1d(deep, deep, 3), nn.Conv1d(deep, 1, 1))
        self.box = nn.Sequential(*conv1d(deep, deep, 3), nn.Conv1d(deep, VALUES - 1, 1))
        nn.init.constant_(self.presence[-1].bias, math.log(RARE / (1 - RARE)))
        if shape.own_columns:
            self.own = _OwnColumns(self)

    def set_levels(self, level_db: Tensor) -> None:
        """Set one mean per band and one spread from (N, n_mels, T) levels of training windows."""
        mean = level_db.float().mean(dim=(0, 2))[:, None]
        self.level_mean.copy_(mean)
        self.level_spread.copy_((level_db.float() - mean).std().clamp(min=1.0))

    def forward(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """Predict the columns' values.

        Args:
            level_db: (B, n_mels, T) mean level of the live microphones.
            coherence: (B, n_mels, 2 pairs, T).
            steering: (B or 1, n_mels, front + around, 2 pairs).

        Returns:
            (B, VALUES, front).
        """
        return self.of_maps(self.maps(level_db, coherence, steering))

    def of_maps(self, maps: Tensor) -> Tensor:
        """Predict the columns' values, (B, VALUES, front), from the output of `maps`."""
        values = self.column_values(self.columns(maps))
        if not self.shape.own_columns:
            return values
        # Presence and offset, and so bearings, come from the shared columns.
        return torch.cat([values[:, :2], self.own(maps, self.shape.front)[:, 1:]], dim=1)

    @property
    def maps_shape(self) -> tuple[int, int]:
        """Channels and directions in the output of `maps`."""
        channels = self.to_columns[0].in_channels + self.shape.deep
        return channels, self.shape.front + self.shape.around

    def column_values(self, columns: Tensor) -> Tensor:
        """Apply the last layers to (B, deep, front) columns; return (B, VALUES, front)."""
        return torch.cat([self.presence(columns), self.box(columns)], dim=1)

    def columns(self, maps: Tensor) -> Tensor:
        """Compute columns of the front sector, (B, deep, front), from the output of `maps`."""
        return _columns(self, maps, self.shape.front)

    def maps(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """Compute the input of the columns; see `forward` for the arguments.

        Returns:
            (B, channels, front + around): features of each direction over the whole window; the
            last `BearingShape.deep` channels are added to its column unchanged.
        """
        response = torch.matmul(steering, coherence)
        power = torch.log(response.clamp(min=LEAST_RESPONSE))
        level = self.from_level((level_db - self.level_mean) / self.level_spread)
        # Two convolutions are quicker than one, which would need a concatenated copy of both.
        of_response, of_power = self.from_response.weight.split(self.shape.n_mels, dim=1)
        mixed = functional.conv2d(response, of_response) + functional.conv2d(power, of_power)
        mixed = mixed + level[:, :, None]
        parts, beam = self.unblurred(level_db, coherence, steering)
        maps = self.mixed(mixed)
        for index, (layer, norm) in enumerate(zip(self.shorten, self.norms, strict=True)):
            maps = layer(maps)
            if index == 0 and parts is not None:
                maps = maps + self.from_parts(parts)
            # Here a frame of the maps is as long as one of the beams.
            if index == 1 and self.shape.adaptive:
                maps = maps + self.from_adaptive(self.adaptive(level_db, coherence, steering))
            maps = functional.relu(norm(maps))
        features = maps.transpose(2, 3).flatten(1, 2)
        sector = self.sector[0][:, None].expand(-1, self.shape.front)
        if self.shape.around:
            behind = self.sector[1][:, None].expand(-1, self.shape.around)
            sector = torch.cat([sector, behind], dim=1)
        added = (self.from_beam(beam) + sector).to(features.dtype)
        return torch.cat([features, added.expand(len(features), -1, -1)], dim=1)

    def unblurred(
        self, level_db: Tensor, coherence: Tensor, steering: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Compute the deconvolved response and the width of the array's beam.

        Nothing here is learned, so no gradient flows through it.

        Returns:
            parts: (B, 2 * groups, A, T / frame_group) q and log q, or None; beam: (B or 1,
            groups, A) mean similarity of a direction to all others.
        """
        shape = self.shape
        # In full precision: the errors of rounding to 8 bits would pass for sound.
        with torch.no_grad(), torch.autocast(steering.device.type, enabled=False):
            first, last = shape.unblurred_bands
            steering = steering[:, first:last].float()
            level_db, coherence = level_db[:, first:last], coherence[:, first:last]
            pairs = live_pairs(steering)[:, None, None, None]
            scale = (pairs / shape.band_group).sqrt()
            expected = grouped_bands(steering, shape.band_group) * scale
            alike = gram(expected)
            beam = alike.clamp(min=0).mean(dim=-1)
            if not shape.steps:
                return None, beam
            pooled = pooled_by_power(coherence.float(), level_db.float(), shape.frame_group)
            measured = grouped_bands(pooled.transpose(2, 3), shape.band_group)
            # Measured coherences have magnitude 1 per pair; the expected ones are scaled.
            measured = measured / (pairs * shape.band_group).sqrt()
            response = torch.matmul(measured, expected.transpose(-1, -2))
            parts = deconvolve(response, alike, shape.steps).transpose(2, 3)
            logarithm = torch.log(parts.clamp(min=LEAST_PART))
            return torch.cat([parts, logarithm], dim=1), beam

    def adaptive(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """Compute `adaptive_beams`, (B, 2 bands, A, T / ADAPTIVE_FRAMES), without gradient."""
        shape = self.shape
        with torch.no_grad(), torch.autocast(steering.device.type, enabled=False):
            first, last = shape.unblurred_bands
            steering = steering.float()
            expected = steering[:, first:last] * live_pairs(steering)[:, None, None, None]
            level_db, coherence = level_db[:, first:last], coherence[:, first:last]
            pooled = pooled_by_power(coherence.float(), level_db.float(), ADAPTIVE_FRAMES)
            return adaptive_beams(pooled, expected, live_microphones(steering))


def live_pairs(steering: Tensor) -> Tensor:
    """Count the live pairs of microphones: those with any expected coherence.

    Args:
        steering: (B, n_mels, A, 2 pairs).

    Returns:
        (B,) float32, at least 1.
    """
    return _alive(steering).sum(dim=-1).clamp(min=1.0)


def live_microphones(steering: Tensor) -> Tensor:
    """(B, 8) float32: 1 for each microphone that is in a live pair of (B, n_mels, A, 2 pairs)."""
    alive = _alive(steering)
    ends = functional.one_hot(_PAIR_ENDS[int(alive.shape[-1])], MICROPHONES).sum(dim=1).to(alive)
    return (torch.matmul(alive, ends) > 0).float()


def _alive(steering: Tensor) -> Tensor:
    """(B, pairs) float32: 1 for each live pair of (B, n_mels, A, 2 pairs).

    One direction is enough: in the lowest bands, waves from anywhere reach both microphones in
    phase.
    """
    return (steering[:, :, 0, ::2].abs().amax(dim=1) > 0).float()


def mean_level(levels_db: Tensor, alive: Tensor) -> Tensor:
    """Mean level of the live microphones: (B, 8, n_mels, T) and (B or 1, 8) to (B, n_mels, T)."""
    weights = alive / alive.sum(dim=1, keepdim=True).clamp(min=1.0)
    return (levels_db * weights[:, :, None, None]).sum(dim=1)


class _OwnColumns(nn.Module):
    """Separate columns for elevation, size and range, initialised as copies of a network's."""

    def __init__(self, network: BearingFirst) -> None:
        super().__init__()
        self.to_columns = copy.deepcopy(network.to_columns)
        self.dropout = copy.deepcopy(network.dropout)
        self.context = copy.deepcopy(network.context)
        self.box = copy.deepcopy(network.box)

    def forward(self, maps: Tensor, front: int) -> Tensor:
        """(B, VALUES - 1, front) from the network's maps; the first, the offset, is unused."""
        return self.box(_columns(self, maps, front))


def _columns(layers: BearingFirst | _OwnColumns, maps: Tensor, front: int) -> Tensor:
    """Compute (B, deep, front) columns from `BearingFirst.maps` with some layers."""
    channels = layers.to_columns[0].in_channels
    columns = layers.dropout(layers.to_columns(maps[:, :channels]) + maps[:, channels:])
    for layer in layers.context:
        columns = layer(columns)
    return columns[:, :, :front]
