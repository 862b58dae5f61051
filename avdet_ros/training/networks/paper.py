"""The students of the two papers, as printed: what our own are measured against.

`PaperStudent` is MM-DistillNet's: EfficientDet-D2 on eight log-mel spectrograms resized to the
teachers' 768 x 768. `StereoSoundNet` is the original of Gan et al. (ICCV 2019): two microphones
and the camera's pose as numbers, one grid of boxes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.networks.efficientdet import EfficientDetector, Prediction
from avdet_ros.training.networks.grid import CHANNELS

LOWEST_DB = -80.0
"""Of the papers' log-mel spectrograms, whose loudest value is 0 dB."""

METADATA = ('camera_height_m', 'pitch_rad', 'heading_rad')
"""What StereoSoundNet is told of the camera, in this order."""


def unit_levels(log_mel_db: Tensor) -> Tensor:
    """Spectrograms in [-80, 0] dB to [0, 1] (MM-DistillNet, section 4.2)."""
    return (log_mel_db / -LOWEST_DB + 1).clamp(0, 1)


class PaperStudent(nn.Module):
    """EfficientDet over spectrograms, band for row and frame for column.

    Args:
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        image_size: what the spectrograms are resized to; the paper's is (768, 768).
        channels: microphones; 8, or 2 for StereoSoundNet's two.
        anchor_scale: smallest anchor in strides of its level; the paper's is 4.
    """

    def __init__(
        self,
        config_name: str = 'tf_efficientdet_d2',
        image_size: tuple[int, int] = (768, 768),
        channels: int = 8,
        anchor_scale: float = 4.0,
    ) -> None:
        super().__init__()
        self.detector = EfficientDetector(config_name, channels, image_size, anchor_scale)
        self.channels = channels

    def picture(self, log_mel_db: Tensor) -> Tensor:
        """(B, 8, 80, 173) dB to the detector's (B, channels, height, width) in [0, 1]."""
        levels = unit_levels(log_mel_db[:, : self.channels])
        return functional.interpolate(
            levels, size=self.detector.image_size, mode='bilinear', align_corners=False
        )

    def forward(self, log_mel_db: Tensor) -> Prediction:
        """(B, 8, 80, 173) log-mel in [-80, 0] dB to anchors' logits, offsets and the pyramid."""
        return self.detector(self.picture(log_mel_db))


class StereoSoundNet(nn.Module):
    """Two microphones and the camera's pose to a grid of boxes (Gan et al., ICCV 2019).

    A strided encoder turns the two spectrograms into one vector; the pose goes through two fully
    connected layers and is joined to it; a decoder grows the joint vector into a map over the
    image, from which each cell tells one box, as its YOLOv2 teacher does. ``features`` is the
    vector that its ranking loss compares with the teacher's.

    Args:
        rows: of the grid over the image.
        columns: of the grid.
        width: channels of the first layer; the others follow from it.
    """

    def __init__(self, rows: int = 16, columns: int = 48, width: int = 32) -> None:
        super().__init__()
        if rows % 8 or columns % 8:
            raise ValueError(
                f'expected rows and columns in multiples of 8, found {rows}, {columns}'
            )
        self.rows, self.columns = rows, columns
        widths = (2, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += _block(before, after, stride=2)
        self.encoder = nn.Sequential(*layers, Quarters(), nn.Flatten())
        self.pose = nn.Sequential(
            nn.Linear(len(METADATA), 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        )
        self.coarse = (rows // 8, columns // 8)
        self.embedding = 8 * width
        self.joint = nn.Sequential(nn.Linear(4 * 8 * width + 64, self.embedding), nn.ReLU())
        self.grow = nn.Linear(self.embedding, 4 * width * self.coarse[0] * self.coarse[1])
        decoder: list[nn.Module] = []
        for before, after in ((4 * width, 2 * width), (2 * width, width), (width, width)):
            decoder += [nn.Upsample(scale_factor=2), *_block(before, after)]
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(width, CHANNELS, 1))
        nn.init.constant_(
            self.decoder[-1].bias[:1], -4.6
        )  # centres are rare: one cell in a hundred

    def features(self, log_mel_db: Tensor, pose: Tensor) -> Tensor:
        """(B, embedding) of a window; see `forward` for the arguments."""
        heard = self.encoder(unit_levels(log_mel_db[:, :2]))
        return self.joint(torch.cat([heard, self.pose(pose)], dim=1))

    def forward(self, log_mel_db: Tensor, pose: Tensor) -> Tensor:
        """Boxes as a grid.

        Args:
            log_mel_db: (B, >= 2, 80, 173) log-mel in [-80, 0] dB; the first two are heard.
            pose: (B, 3) numbers in the order of `METADATA`.

        Returns:
            (B, grid.CHANNELS, rows, columns).
        """
        return self.say(self.features(log_mel_db, pose))

    def say(self, embedding: Tensor) -> Tensor:
        """(B, embedding) of `features` to the grid of `forward`."""
        grown = functional.relu(self.grow(embedding))
        return self.decoder(grown.unflatten(1, (-1, *self.coarse)))


class VehicleCounter(nn.Module):
    """The pretext: how many vehicles are there? (MM-DistillNet, section 3.2).

    An encoder's deepest features are averaged over positions and classified by an MLP with
    cross-entropy. The encoder is the student's own, so that its weights carry over as they are.

    Args:
        encoder: maps the input to (B, channels, ...) features.
        channels: of these features.
        most: highest count, a class of its own together with all above; 13 in the paper's data.
    """

    def __init__(self, encoder: nn.Module, channels: int, most: int = 13) -> None:
        super().__init__()
        self.encoder = encoder
        self.most = most
        self.classify = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(channels, most + 1),
        )

    def forward(self, window: Tensor) -> Tensor:
        """(B, most + 1) logits of the counts 0 to ``most``."""
        return self.classify(self.encoder(window).flatten(2).mean(dim=2))

    def loss(self, window: Tensor, counts: Tensor) -> Tensor:
        """Cross-entropy against (B,) int64 counts of fused teacher boxes."""
        return functional.cross_entropy(self(window), counts.clamp(max=self.most))


class Quarters(nn.Module):
    """Means over the four quarters of a map, which share a row or column where sides are odd.

    The same as adaptive pooling to 2 x 2, which ONNX knows for even sides only.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2, 2)."""
        height, width = (int(side) for side in features.shape[-2:])
        size = (-(-height // 2), -(-width // 2))
        return functional.avg_pool2d(features, size, (height // 2, width // 2))


def _block(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
