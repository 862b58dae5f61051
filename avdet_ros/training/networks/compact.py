"""The students: networks that hear a window and fill a grid of cells over the image.

Three, because the choice is measured and not taken on trust (models/MODEL_CARD.md):

- `Steered`: the known geometry of array and camera turns coherences into a picture over azimuth
  and time; what it learns is shared by all directions;
- `ImageGrid`: learns itself where the axes of the image are, one linear map for all; as
  ``image_grid_levels`` from the eight levels alone, which is what the paper's student hears;
- `SpectrogramAxes`: a picture detector on the spectrogram as if it were the image.

Each has ``features(spectrogram) -> (B, channels, rows, columns)``, the map that lies on the
image, and ``forward(spectrogram) -> (B, grid.CHANNELS, rows, columns)``.
"""

from __future__ import annotations

from functools import partial
import itertools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.networks.steering import image_directions, steering_weights

POOLED_FRAMES = 4
"""Frames of the front end that are averaged to one before the network."""

LEAST_RESPONSE = 0.02
"""A direction from which less of a band's sound comes is as good as silent: -17 dB."""

RARE = 0.01
"""What a fresh network says of the probability of a centre in a cell: about the truth."""


def pool_frames(spectrogram: Tensor) -> Tensor:
    """Mean of each `POOLED_FRAMES` frames; the last, incomplete group is averaged over itself.

    Args:
        spectrogram: (B, C, n_mels, frames).

    Returns:
        (B, C, n_mels, ceil(frames / 4)).
    """
    return functional.avg_pool2d(
        spectrogram, (1, POOLED_FRAMES), ceil_mode=True, count_include_pad=False
    )


class Scaling(nn.Module):
    """Levels in dB to numbers around 0; coherences stay as they are.

    Buffers ``mean`` (n_mels, 1) and ``spread`` come from the training windows (`fit`) and travel
    with the weights.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.full((n_mels, 1), -50.0))
        self.register_buffer('spread', torch.tensor(15.0))

    def fit(self, levels_db: Tensor) -> None:
        """Take mean per band and one spread from (N, 8, n_mels, T) levels."""
        self.mean.copy_(levels_db.mean(dim=(0, 1, 3))[:, None])
        self.spread.copy_((levels_db - self.mean).std().clamp(min=1.0))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) features to the same shape."""
        levels = (spectrogram[:, :MICROPHONES] - self.mean) / self.spread
        return torch.cat([levels, spectrogram[:, MICROPHONES:]], dim=1)


class Head(nn.Module):
    """From a feature map on the image to the cells' values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.centre = nn.Sequential(*_conv(channels, channels, 3), nn.Conv2d(channels, 1, 1))
        self.box = nn.Sequential(*_conv(channels, channels, 3), nn.Conv2d(channels, 4, 1))
        nn.init.constant_(self.centre[-1].bias, float(np.log(RARE / (1 - RARE))))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, rows, columns) to (B, grid.CHANNELS, rows, columns)."""
        return torch.cat([self.centre(features), self.box(features)], dim=1)


class Steered(nn.Module):
    """Steered response over (band, azimuth, time), then convolutions shared by all azimuths.

    Per band, azimuth and pooled frame it sees how much of the sound comes from there (the steered
    response, at most 1), its logarithm, and the level of the band: the sum of the last two is the
    level that comes from there. The first layer mixes bands to channels, the next see azimuth
    and time and shorten time, then time is spelled out into channels, what is usual at an azimuth
    is added, and convolutions over azimuth let neighbours compete; the columns of the image
    finally unfold into its rows. Directions beyond the image and behind are steered to as well, so
    that what is heard from there is explained by something else than a vehicle in view.
    """

    def __init__(
        self,
        rig: Rig,
        front_end: FrontEnd,
        rows: int = 16,
        columns: int = 48,
        margin_columns: int = 4,
        around: int = 8,
        width: int = 48,
    ) -> None:
        super().__init__()
        self.rows, self.columns, self.margin_columns = rows, columns, margin_columns
        bands, frames = front_end.n_mels, -(-front_end.frames // POOLED_FRAMES)
        directions = image_directions(rig, columns, margin_columns, around)
        weights = steering_weights(front_end, microphones_in_array(rig), directions)
        self.register_buffer('steering', torch.from_numpy(weights), persistent=False)
        self.scaling = Scaling(bands)
        self.from_response = nn.Conv2d(bands, width, 1, bias=False)
        self.from_power = nn.Conv2d(bands, width, 1, bias=False)
        self.from_level = nn.Conv1d(bands, width, 3, padding=1, bias=False)
        self.mixed = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        widths = (width, 4 * width // 3, 2 * width, 8 * width // 3)
        shorten: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            shorten += _conv(before, after, (3, 4), stride=(1, 2), padding=(1, 1))
            frames = (frames - 2) // 2 + 1
        self.shorten = nn.Sequential(*shorten)
        deep = 4 * width
        self.spell = nn.Sequential(*_conv1d(widths[-1] * frames, deep, 1))
        self.place = nn.Parameter(torch.zeros(deep, len(directions)))
        self.compete = nn.ModuleList(_Residual1d(deep, dilation) for dilation in (1, 2, 4, 8))
        self.channels = 24
        self.unfold = nn.Sequential(*_conv1d(deep, rows * self.channels, 1))
        self.head = Head(self.channels)

    def response(self, spectrogram: Tensor) -> Tensor:
        """The steered response of scaled features: (B, n_mels, azimuths, T)."""
        # Bands side by side: each has its own weights over the 24 coherences.
        coherence = spectrogram[:, MICROPHONES:].transpose(1, 2)
        return torch.matmul(self.steering, coherence)

    def features(self, spectrogram: Tensor) -> Tensor:
        """Pooled (B, 32, n_mels, T) to a map on the image (B, channels, rows, columns)."""
        scaled = self.scaling(spectrogram)
        level = self.from_level(scaled[:, :MICROPHONES].mean(dim=1))
        response = self.response(scaled)
        power = self.from_power(torch.log(response.clamp(min=LEAST_RESPONSE)))
        mixed = self.mixed(self.from_response(response) + power + level[:, :, None])
        short = self.shorten(mixed)
        columns = self.spell(short.transpose(2, 3).flatten(1, 2)) + self.place
        for layer in self.compete:
            columns = layer(columns)
        last = columns.shape[-1] - self.margin_columns
        columns = columns[:, :, last - self.columns : last]
        return self.unfold(columns).unflatten(1, (self.channels, self.rows))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, grid.CHANNELS, rows, columns)."""
        return self.head(self.features(spectrogram))


class ImageGrid(nn.Module):
    """Each frame's features through one linear layer, then time, then a linear map to the image.

    Nothing of the geometry is built in: which coherence means which column is learned. With
    ``levels_only`` it hears no coherences.
    """

    def __init__(
        self,
        rig: Rig,
        front_end: FrontEnd,
        rows: int = 16,
        columns: int = 48,
        width: int = 384,
        levels_only: bool = False,
    ) -> None:
        super().__init__()
        del rig
        self.inputs = MICROPHONES if levels_only else len(front_end.feature_names)
        self.rows, self.columns = rows, columns
        bands, frames = front_end.n_mels, -(-front_end.frames // POOLED_FRAMES)
        self.scaling = Scaling(bands)
        self.frame = nn.Sequential(*_conv1d(self.inputs * bands, width, 1))
        self.shorten = nn.Sequential(
            *(
                layer
                for _ in range(3)
                for layer in _conv1d(width, width // 2, 5, stride=2)
                + _conv1d(width // 2, width, 1)
            )
        )
        for _ in range(3):
            frames = (frames - 1) // 2 + 1
        # The map goes to a coarser grid of the same shape, as the linear layer would else hold
        # nearly all weights.
        self.coarse = (rows // 2, columns // 2)
        self.channels = 24
        self.unfold = nn.Linear(width * frames, 256)
        self.spread = nn.Linear(256, 12 * self.coarse[0] * self.coarse[1])
        self.refine = nn.Sequential(
            nn.Upsample(scale_factor=2, mode='bilinear'), *_conv(12, self.channels, 3)
        )
        self.head = Head(self.channels)

    def features(self, spectrogram: Tensor) -> Tensor:
        """Pooled (B, 32, n_mels, T) to a map on the image (B, channels, rows, columns)."""
        frames = self.frame(self.scaling(spectrogram)[:, : self.inputs].flatten(1, 2))
        window = functional.relu(self.unfold(self.shorten(frames).flatten(1)))
        return self.refine(functional.relu(self.spread(window)).unflatten(1, (12, *self.coarse)))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, grid.CHANNELS, rows, columns)."""
        return self.head(self.features(spectrogram))


class SpectrogramAxes(nn.Module):
    """A picture detector on the spectrogram: bands taken for image rows, time for columns.

    The idea of the paper's student at this package's size: a strided encoder, two rounds of a
    bidirectional feature pyramid (M. Tan et al., "EfficientDet", arXiv 1911.09070) and the same
    head as the others on its finest level.
    """

    def __init__(self, rig: Rig, front_end: FrontEnd, width: int = 64) -> None:
        super().__init__()
        del rig
        bands, frames = front_end.n_mels, -(-front_end.frames // POOLED_FRAMES)
        self.scaling = Scaling(bands)
        self.stem = nn.Sequential(
            *_conv(len(front_end.feature_names), width // 2, 3, stride=(2, 1))
        )
        widths = (width // 2, width, 2 * width, 3 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(*_conv(before, after, 3, stride=2), *_conv(after, after, 3))
            for before, after in itertools.pairwise(widths)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(after, width, 1) for after in widths[1:])
        self.pyramid = nn.ModuleList([_Pyramid(width), _Pyramid(width, last=True)])
        self.head = Head(width)
        self.channels = width
        self.rows = -(-bands // 4)
        self.columns = -(-frames // 2)

    def features(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, channels, n_mels / 4, T / 2)."""
        level = self.stem(self.scaling(spectrogram))
        levels = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            level = stage(level)
            levels.append(lateral(level))
        for layer in self.pyramid:
            levels = layer(levels)
        # Row 0 is the lowest band but the top of the image.
        return levels[0].flip(2)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, grid.CHANNELS, n_mels / 4, T / 2)."""
        return self.head(self.features(spectrogram))


STUDENTS = {
    'steered': Steered,
    'image_grid': ImageGrid,
    'image_grid_levels': partial(ImageGrid, levels_only=True),
    'spectrogram_axes': SpectrogramAxes,
}
"""What a recipe's ``model`` can name."""


class _Residual1d(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_conv1d(channels, channels, 3, dilation=dilation),
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
        )

    def forward(self, columns: Tensor) -> Tensor:
        return functional.relu(columns + self.layers(columns))


class _Pyramid(nn.Module):
    """Coarse levels inform fine ones, then fine ones coarse ones (unweighted BiFPN).

    The last one leaves out the second half: only its finest level is looked at.
    """

    def __init__(self, channels: int, last: bool = False) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(*_conv(channels, channels, 3)) for _ in range(2))
        self.up = nn.ModuleList(
            nn.Sequential(*_conv(channels, channels, 3)) for _ in range(0 if last else 2)
        )

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = levels
        between = self.down[0](middle + functional.interpolate(coarse, middle.shape[-2:]))
        fine = self.down[1](fine + functional.interpolate(between, fine.shape[-2:]))
        if not self.up:
            return [fine, between, coarse]
        middle = self.up[0](middle + between + _shrunk(fine, middle))
        return [fine, middle, self.up[1](coarse + _shrunk(middle, coarse))]


def _shrunk(level: Tensor, like: Tensor) -> Tensor:
    shrunk = functional.max_pool2d(level, 3, stride=2, padding=1)
    return shrunk[..., : like.shape[-2], : like.shape[-1]]


def _conv(
    before: int,
    after: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: tuple[int, int] | None = None,
) -> list[nn.Module]:
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = padding or (size[0] // 2, size[1] // 2)
    convolution = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def _conv1d(
    before: int, after: int, kernel: int, stride: int = 1, dilation: int = 1
) -> list[nn.Module]:
    convolution = nn.Conv1d(
        before, after, kernel, stride, dilation * (kernel // 2), dilation=dilation, bias=False
    )
    return [convolution, nn.BatchNorm1d(after), nn.ReLU()]
