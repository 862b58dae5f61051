"""The original StereoSoundNet of Gan et al. (ICCV 2019), as printed.

Its input is two microphones and the camera's pose as numbers, its output one grid of boxes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.boxes.grid import CHANNELS
from avdet_ros.training.data.batch import StudentOutput
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.networks.base import GridPredictions, StudentAdapter
from avdet_ros.training.networks.paper import relative_db, unit_levels
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS

METADATA = ('camera_height_m', 'pitch_rad', 'heading_rad')
"""The camera's pose as StereoSoundNet receives it, in this order."""


class StereoSoundNet(nn.Module):
    """Two microphones and the camera's pose to a grid of boxes (Gan et al., ICCV 2019).

    A strided encoder turns the two spectrograms into one vector; the pose goes through two fully
    connected layers and is joined to it; a decoder grows the joint vector into a map over the
    image, from which each cell predicts one box, as its YOLOv2 teacher does. ``features`` is the
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
        """Compute the embedding, (B, embedding); see `forward` for the arguments."""
        encoded = self.encoder(unit_levels(log_mel_db[:, :2]))
        return self.joint(torch.cat([encoded, self.pose(pose)], dim=1))

    def forward(self, log_mel_db: Tensor, pose: Tensor) -> Tensor:
        """Predict boxes as a grid.

        Args:
            log_mel_db: (B, >= 2, 80, 173) log-mel in [-80, 0] dB; the first two are taken.
            pose: (B, 3) numbers in the order of `METADATA`.

        Returns:
            (B, grid.CHANNELS, rows, columns).
        """
        return self.decode(self.features(log_mel_db, pose))

    def decode(self, embedding: Tensor) -> Tensor:
        """Convert (B, embedding) from `features` to the grid of `forward`."""
        grown = functional.relu(self.grow(embedding))
        return self.decoder(grown.unflatten(1, (-1, *self.coarse)))


class Quarters(nn.Module):
    """Means over the four quarters of a map, which share a row or column where sides are odd.

    The same as adaptive pooling to 2 x 2, which ONNX supports for even sides only.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2, 2)."""
        height, width = (int(side) for side in features.shape[-2:])
        size = (-(-height // 2), -(-width // 2))
        return functional.avg_pool2d(features, size, (height // 2, width // 2))


@STUDENTS.register
class StereoStudent(GridPredictions, StudentAdapter):
    """StereoSoundNet: the two microphones at the sides, and the camera's pose.

    Args:
        student: the network.
        rig: gives microphones and pose.
    """

    name = 'stereosoundnet'
    input_kind = 'log_mel'
    has_maps = False

    def __init__(self, student: StereoSoundNet, rig: Rig) -> None:
        super().__init__()
        self.student = student
        self.channels = student.embedding
        left, right = rig.microphones_m[:, 1].argmax(), rig.microphones_m[:, 1].argmin()
        self.sides = [int(left), int(right)]
        forward = rig.camera.rotation[2]
        pose = [
            rig.camera.position_m[2],
            float(np.arcsin(np.clip(forward[2], -1, 1))),
            float(np.arctan2(forward[1], forward[0])),
        ]
        self.register_buffer('pose', torch.tensor(pose, dtype=torch.float32), persistent=False)

    @classmethod
    def make(
        cls, recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
    ) -> StereoStudent:
        """See `StudentAdapter.make`."""
        return cls(StereoSoundNet(), rig)

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """Keep the levels of (B, 32, n_mels, frames), the input of `forward`."""
        return spectrogram[:, :MICROPHONES]

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Compute the joint vector, (B, channels, 1)."""
        levels = relative_db(spectrogram[:, self.sides])
        return self.student.features(levels, self.pose.expand(len(spectrogram), -1))[..., None]

    def forward(self, spectrogram: Tensor, levels: list[tuple[int, int]]) -> StudentOutput:
        """See `StudentAdapter.forward`; (B, 8, n_mels, frames) levels in dB."""
        embedding = self.encode(spectrogram)[..., 0]
        return StudentOutput(self.student.decode(embedding), [], embedding)


def _block(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
