"""Students behind one interface, whatever they hear with and however they say boxes.

A listener takes features as `sound_cache` keeps them and gives a `Heard`: what it says, and a
feature map for each of the teachers' levels on that level's cells. `GridListener` holds our
compact students, `AnchorListener` the paper's EfficientDet over spectrograms, `StereoListener`
the original StereoSoundNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.losses.anchors import anchor_detection_loss, decode_boxes
from avdet_ros.training.networks.compact import STUDENTS, pool_frames
from avdet_ros.training.networks.grid import decode, make_targets
from avdet_ros.training.networks.grid_loss import divisors, grid_loss
from avdet_ros.training.networks.paper import LOWEST_DB, PaperStudent, StereoSoundNet
from avdet_ros.training.recipes.student import DistillationRecipe, TaughtLoss


@dataclass
class Heard:
    """What a listener makes of a batch.

    Attributes:
        said: the network's own output, for `boxes` and `loss`.
        maps: (B, C, h, w) for each level asked for, on the cells of `cells`.
        embedding: (B, D), the window as one vector.
    """

    said: Any
    maps: list[Tensor]
    embedding: Tensor


class GridListener(nn.Module):
    """A compact student: a grid over the image.

    Args:
        student: of `students.STUDENTS`.
        area: where the image lies on the teachers' input.
    """

    kind = 'window'

    def __init__(self, student: nn.Module, area: PictureArea) -> None:
        super().__init__()
        self.student, self.area = student, area
        self.channels = student.channels

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, frames) as a node gives it to the input of `forward`."""
        return pool_frames(spectrogram)

    def encode(self, sound: Tensor) -> Tensor:
        """(B, channels, rows, columns): what the pretext counts with."""
        return self.student.features(sound)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a teacher's level that can be compared."""
        return self.area.cells(height, width)

    def forward(self, sound: Tensor, levels: list[tuple[int, int]]) -> Heard:
        """Hear (B, 32, n_mels, T) pooled features; ``levels`` are sizes of teachers' levels."""
        features = self.student.features(sound)
        return Heard(
            self.student.head(features),
            [self.area.sample(features, *size) for size in levels],
            features.mean(dim=(2, 3)),
        )

    def candidates(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, K, 4) in parts of the image and logits (B, K) before suppression."""
        return decode(said.float())

    def loss(
        self, said: Tensor, boxes: list[Tensor], how: TaughtLoss
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Terms of the box loss, and by what number of things each was divided."""
        said = said.float()
        targets = make_targets(boxes, *said.shape[-2:])
        terms = grid_loss(said, targets, how.huber, how.giou)
        del terms['loss']
        return terms, divisors(targets)

    def fit_scaling(self, levels_db: Tensor) -> None:
        """Learn mean and spread of the levels from (N, 8, n_mels, T)."""
        self.student.scaling.fit(levels_db)


class AnchorListener(nn.Module):
    """The paper's student: EfficientDet on spectrograms, compared with the teachers as it is.

    Its input has the teachers' size and its boxes lie on the teachers' canvas, as in the paper.

    Args:
        student: the network.
        area: where the image lies on the teachers' input.
        image_size_px: width and height of the image.
    """

    kind = 'log_mel'

    def __init__(
        self, student: PaperStudent, area: PictureArea, image_size_px: tuple[int, int]
    ) -> None:
        super().__init__()
        # Channels last: its many depthwise convolutions take a fifth less time on a CPU.
        self.student = student.to(memory_format=torch.channels_last)
        self.area, self.image_size_px = area, image_size_px
        self.channels = student.detector.network.config.fpn_channels
        canvas = area.canvas
        width, height = image_size_px
        shift = torch.tensor([canvas.left_px, 0.0, canvas.left_px, 0.0])
        size = torch.tensor([width, height, width, height], dtype=torch.float32)
        self.register_buffer('shift', shift, persistent=False)
        self.register_buffer('size', size, persistent=False)

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, frames) as a node gives it to the input of `forward`."""
        return spectrogram[:, :MICROPHONES]

    def picture(self, sound: Tensor) -> Tensor:
        """Levels in dB re full scale to the detector's input, as the paper makes it."""
        picture = self.student.picture(relative_db(sound))
        return picture.to(memory_format=torch.channels_last)

    def encode(self, sound: Tensor) -> Tensor:
        """(B, channels, h, w) of EfficientNet's last stage: what the pretext counts with."""
        return self.student.detector.network.backbone(self.picture(sound))[-1]

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """All of a teacher's level: spectrogram and picture have the same canvas."""
        return height, width

    def forward(self, sound: Tensor, levels: list[tuple[int, int]]) -> Heard:
        """Hear (B, 8, n_mels, frames) levels in dB; ``levels`` are sizes of teachers' levels."""
        said = self.student.detector(self.picture(sound))
        return Heard(said, said.pyramid[: len(levels)], said.pyramid[2].mean(dim=(2, 3)))

    def candidates(self, said: Any) -> tuple[Tensor, Tensor]:
        """Boxes (B, K, 4) in parts of the image and logits (B, K) before suppression."""
        logits, best = torch.topk(said.logits.float(), 200, dim=1)
        offsets = torch.gather(said.offsets.float(), 1, best[..., None].expand(-1, -1, 4))
        boxes = decode_boxes(self.student.detector.anchors[best], offsets)
        return (boxes / self.area.canvas.scale + self.shift) / self.size, logits

    def loss(
        self, said: Any, boxes: list[Tensor], how: TaughtLoss
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Terms of the box loss; each process divides by its own positive anchors."""
        on_canvas = [self._on_canvas(part) for part in boxes]
        anchors = self.student.detector.anchors
        terms = anchor_detection_loss(
            said.logits.float(), said.offsets.float(), anchors, on_canvas
        )
        # Boxes without a positive anchor would leave the box layers without gradient.
        box = how.box * terms['box'] + 0 * said.offsets.float().sum()
        return {'focal': terms['class'], 'box': box}, {}

    def _on_canvas(self, boxes: Tensor) -> Tensor:
        canvas = self.area.canvas
        limits = boxes.new_tensor([canvas.kept_width_px, canvas.image_height_px] * 2)
        placed = (boxes * self.size - self.shift).clamp(min=0).minimum(limits) * canvas.scale
        return placed[((placed[:, 2:] - placed[:, :2]) >= 1).all(dim=1)]

    def fit_scaling(self, levels_db: Tensor) -> None:
        """The paper's scaling is fixed."""


class StereoListener(nn.Module):
    """StereoSoundNet: the two microphones at the sides, and the camera's pose.

    Args:
        student: the network.
        rig: gives microphones and pose.
    """

    kind = 'log_mel'

    def __init__(self, student: StereoSoundNet, rig: Rig) -> None:
        super().__init__()
        self.student = student
        self.channels = student.embedding
        left, right = rig.microphones_m[:, 1].argmax(), rig.microphones_m[:, 1].argmin()
        self.ears = [int(left), int(right)]
        forward = rig.camera.rotation[2]
        pose = [
            rig.camera.position_m[2],
            float(np.arcsin(np.clip(forward[2], -1, 1))),
            float(np.arctan2(forward[1], forward[0])),
        ]
        self.register_buffer('pose', torch.tensor(pose, dtype=torch.float32), persistent=False)

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, frames) as a node gives it to the input of `forward`."""
        return spectrogram[:, :MICROPHONES]

    def encode(self, sound: Tensor) -> Tensor:
        """(B, channels, 1): the joint vector."""
        heard = relative_db(sound[:, self.ears])
        return self.student.features(heard, self.pose.expand(len(sound), -1))[..., None]

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """It has no map to compare."""
        return height, width

    def forward(self, sound: Tensor, levels: list[tuple[int, int]]) -> Heard:
        """Hear (B, 8, n_mels, frames) levels in dB."""
        del levels
        embedding = self.encode(sound)[..., 0]
        return Heard(self.student.say(embedding), [], embedding)

    def candidates(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, K, 4) in parts of the image and logits (B, K) before suppression."""
        return decode(said.float())

    loss = GridListener.loss

    def fit_scaling(self, levels_db: Tensor) -> None:
        """The paper's scaling is fixed."""


Listener = GridListener | AnchorListener | StereoListener


def make_listener(
    recipe: DistillationRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
) -> Listener:
    """The student that a recipe names, fresh.

    Args:
        recipe: see `DistillationRecipe`.
        rig: microphones and camera.
        area: where the image lies on the teachers' input.
        image_size: height and width of the teachers' input.
    """
    model = recipe.student.model
    if model == 'paper':
        anchor_scale = recipe.teachers.anchor_scale
        student = PaperStudent(recipe.student.config_name, image_size, anchor_scale=anchor_scale)
        return AnchorListener(student, area, (rig.camera.width_px, rig.camera.height_px))
    if model == 'stereosoundnet':
        return StereoListener(StereoSoundNet(), rig)
    return GridListener(STUDENTS[model](rig, FrontEnd.of(rig)), area)


def relative_db(levels: Tensor) -> Tensor:
    """Levels below each microphone's loudest, at least -80 dB, as `features.paper_log_mel`."""
    loudest = levels.amax(dim=(2, 3), keepdim=True)
    return (levels - loudest).clamp(min=LOWEST_DB)
