"""A small centre-point detector of vehicles in pictures that can be trained on a CPU.

The picture is divided into cells of four pixels. Each cell holds the probability that a vehicle's
centre lies in it and that vehicle's box, as in the compact students' grids
(`training.networks.grid`; X. Zhou et al., "Objects as points", arXiv 1904.07850). Features at
strides of 8, 16 and 32 pixels are merged upwards into the grid to give it a wider view (T.-Y. Lin
et al., "Feature pyramid networks", 2017). A step takes a quarter of the smallest EfficientDet's
time at the same picture size, and training can start from random weights.
"""

from __future__ import annotations

from dataclasses import dataclass
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms

from avdet_ros.errors import AvdetError
from avdet_ros.training.boxes.grid import decode, make_targets
from avdet_ros.training.boxes.grid_loss import grid_loss
from avdet_ros.training.networks.layers import Head, conv

STRIDE = 32
"""Picture height and width must be multiples of it, pixels."""

WIDTHS = (16, 32, 64, 96, 128)
"""Channels at strides of 2, 4, 8, 16 and 32 pixels."""

PYRAMID_CHANNELS = 32
LEVELS = 5
"""Levels passed to students: strides of 8 to 128 pixels, as P3 to P7 of EfficientDet."""


@dataclass(frozen=True)
class CentrePrediction:
    """The detector's output.

    Attributes:
        grid: (B, 5, rows, columns) cells of four pixels.
        pyramid: P3 to P7, (B, C, height / 8, width / 8) and so on.
    """

    grid: Tensor
    pyramid: list[Tensor]


class CentreNetwork(nn.Module):
    """The layers: down to a stride of 32 pixels, then up again to 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv(channels, WIDTHS[0], 3, stride=2))
        self.down = nn.ModuleList(
            nn.Sequential(*conv(before, after, 3, stride=2), _Residual(after))
            for before, after in itertools.pairwise(WIDTHS)
        )
        self.across = nn.ModuleList(nn.Conv2d(width, PYRAMID_CHANNELS, 1) for width in WIDTHS[1:])
        self.smooth = nn.ModuleList(_Residual(PYRAMID_CHANNELS) for _ in WIDTHS[1:])
        self.head = Head(PYRAMID_CHANNELS)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map (B, channels, height, width) to the grid and maps of strides 8, 16 and 32."""
        features, maps = self.stem(pictures), []
        for layer, across in zip(self.down, self.across, strict=True):
            features = layer(features)
            maps.append(across(features))
        merged: Tensor | None = None
        pyramid: list[Tensor] = []
        for level, smooth in zip(reversed(maps), reversed(self.smooth), strict=True):
            if merged is not None:
                level = level + functional.interpolate(merged, scale_factor=2.0)
            merged = smooth(level)
            pyramid.insert(0, merged)
        return self.head(pyramid[0]), pyramid[1:]


class CentreDetector(nn.Module):
    """The detector that the module describes.

    Attributes:
        network: the layers with weights.
        image_size: height and width of the input, pixels.

    Args:
        channels: channels of the pictures.
        image_size: multiples of `STRIDE`.

    Raises:
        AvdetError: other sizes.
    """

    def __init__(self, channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        if any(side <= 0 or side % STRIDE for side in image_size):
            raise AvdetError(
                f'detector centre_points: expected an image size in multiples of {STRIDE}, found '
                f'{image_size[0]} x {image_size[1]}'
            )
        self.network = CentreNetwork(channels)
        self.image_size = tuple(image_size)
        height, width = image_size
        size = torch.tensor([width, height, width, height], dtype=torch.float32)
        self.register_buffer('size', size, persistent=False)

    def forward(self, pictures: Tensor) -> CentrePrediction:
        """Predict for (B, channels, height, width) pictures."""
        grid, pyramid = self.network(pictures)
        while len(pyramid) < LEVELS:
            pyramid.append(functional.max_pool2d(pyramid[-1], 2, ceil_mode=True))
        return CentrePrediction(grid, pyramid)

    def loss(self, prediction: CentrePrediction, boxes: list[Tensor]) -> dict[str, Tensor]:
        """Return the weighted loss terms against boxes (N, 4) of each picture, pixels."""
        grid = prediction.grid.float()
        parts = [item / self.size for item in boxes]
        return grid_loss(grid, make_targets(parts, *grid.shape[-2:]))

    @torch.no_grad()
    def boxes(
        self,
        prediction: CentrePrediction,
        score_threshold: float = 0.3,
        nms_iou: float = 0.5,
        most: int = 100,
    ) -> list[tuple[Tensor, Tensor]]:
        """Boxes (N, 4) and scores (N,) of each picture, best first, as `EfficientDetector.boxes`.

        Only cells that no neighbour exceeds in score give a box.
        """
        grid = prediction.grid.float()
        centres = grid[:, :1]
        best = functional.max_pool2d(centres, 3, stride=1, padding=1) == centres
        corners, logits = decode(grid)
        scores = torch.sigmoid(logits) * best.flatten(1)
        corners = corners.clamp(0, 1) * self.size
        frames = []
        for its_boxes, its_scores in zip(corners, scores, strict=True):
            keep = torch.nonzero(its_scores > score_threshold)[:, 0]
            keep = keep[its_scores[keep].argsort(descending=True)[: 4 * most]]
            kept = keep[nms(its_boxes[keep], its_scores[keep], nms_iou)[:most]]
            frames.append((its_boxes[kept], its_scores[kept]))
        return frames


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.layers(features))
