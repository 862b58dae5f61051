"""An image detector that treats the spectrogram as if it were the image."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import Rig
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.networks.layers import Head, Scaling, conv, pooled_frames
from avdet_ros.training.registries import STUDENTS


class SpectrogramPyramidNet(nn.Module):
    """An image detector on the spectrogram, with bands as image rows and time as columns.

    The idea of the paper's student at this package's size: a strided encoder, two rounds of a
    bidirectional feature pyramid (M. Tan et al., "EfficientDet", arXiv 1911.09070) and the same
    head as the others on its finest level.
    """

    def __init__(self, rig: Rig, front_end: FrontEnd, width: int = 64) -> None:
        super().__init__()
        del rig
        bands, frames = front_end.n_mels, pooled_frames(front_end)
        self.scaling = Scaling(bands)
        self.stem = nn.Sequential(
            *conv(len(front_end.feature_names), width // 2, 3, stride=(2, 1))
        )
        widths = (width // 2, width, 2 * width, 3 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(*conv(before, after, 3, stride=2), *conv(after, after, 3))
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


class _Pyramid(nn.Module):
    """Coarse levels inform fine ones, then fine ones coarse ones (unweighted BiFPN).

    The last one leaves out the second half: only its finest level is used.
    """

    def __init__(self, channels: int, last: bool = False) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(*conv(channels, channels, 3)) for _ in range(2))
        self.up = nn.ModuleList(
            nn.Sequential(*conv(channels, channels, 3)) for _ in range(0 if last else 2)
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


@STUDENTS.register
class SpectrogramAxes(GridStudent):
    """The student whose network is `SpectrogramPyramidNet`."""

    name = 'spectrogram_axes'
    network = SpectrogramPyramidNet
