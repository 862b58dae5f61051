"""Layers that the compact students share: pooled input, scaling, convolutions, head.

A network of a compact student has ``features(spectrogram) -> (B, channels, rows, columns)``, the
map over the image, and ``forward(spectrogram) -> (B, grid.CHANNELS, rows, columns)``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.features import POOL_FRAMES, FrontEnd
from avdet_ros.rig import MICROPHONES

PRIOR = 0.01
"""Initial probability of a centre in a cell, close to the true share."""


def pooled_frames(front_end: FrontEnd) -> int:
    """Return the number of frames in a window after `pool_frames`."""
    return -(-front_end.frames // POOL_FRAMES)


def pool_frames(spectrogram: Tensor) -> Tensor:
    """Average each `POOL_FRAMES` frames; the last, incomplete group over the frames it has.

    Args:
        spectrogram: (B, C, n_mels, frames).

    Returns:
        (B, C, n_mels, ceil(frames / 4)).
    """
    return functional.avg_pool2d(
        spectrogram, (1, POOL_FRAMES), ceil_mode=True, count_include_pad=False
    )


class Scaling(nn.Module):
    """Scale levels in dB to numbers around 0; coherences stay unchanged.

    Buffers ``mean`` (n_mels, 1) and ``std`` come from the training windows (`fit`) and are saved
    with the weights.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.full((n_mels, 1), -50.0))
        self.register_buffer('std', torch.tensor(15.0))

    def fit(self, levels_db: Tensor) -> None:
        """Set one mean per band and one standard deviation from (N, 8, n_mels, T) levels."""
        self.mean.copy_(levels_db.mean(dim=(0, 1, 3))[:, None])
        self.std.copy_((levels_db - self.mean).std().clamp(min=1.0))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Scale (B, 32, n_mels, T) features."""
        levels = (spectrogram[:, :MICROPHONES] - self.mean) / self.std
        return torch.cat([levels, spectrogram[:, MICROPHONES:]], dim=1)


class Head(nn.Module):
    """From a feature map over the image to the values of its cells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.centre = nn.Sequential(*conv(channels, channels, 3), nn.Conv2d(channels, 1, 1))
        self.box = nn.Sequential(*conv(channels, channels, 3), nn.Conv2d(channels, 4, 1))
        nn.init.constant_(self.centre[-1].bias, float(np.log(PRIOR / (1 - PRIOR))))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, rows, columns) to (B, grid.CHANNELS, rows, columns)."""
        return torch.cat([self.centre(features), self.box(features)], dim=1)


def conv(
    before: int,
    after: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: tuple[int, int] | None = None,
) -> list[nn.Module]:
    """Return a convolution that keeps the size except for its stride, batch norm and ReLU."""
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = padding or (size[0] // 2, size[1] // 2)
    convolution = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
