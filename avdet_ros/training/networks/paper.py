"""MM-DistillNet's student: EfficientDet-D2 on eight log-mel spectrograms at the teachers' size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.data.batch import StudentOutput
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.efficientdet.anchors import anchor_detection_loss, decode_boxes
from avdet_ros.training.efficientdet.network import EfficientDetector, Prediction
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.recipes.parts import LossRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS

LOWEST_DB = -80.0
"""Lowest value of the papers' log-mel spectrograms, whose loudest value is 0 dB."""


def unit_levels(log_mel_db: Tensor) -> Tensor:
    """Scale spectrograms from [-80, 0] dB to [0, 1] (MM-DistillNet, section 4.2)."""
    return (log_mel_db / -LOWEST_DB + 1).clamp(0, 1)


def relative_db(levels: Tensor) -> Tensor:
    """Levels relative to each microphone's loudest, >= -80 dB, as `features.paper_log_mel`."""
    loudest = levels.amax(dim=(2, 3), keepdim=True)
    return (levels - loudest).clamp(min=LOWEST_DB)


class PaperStudent(nn.Module):
    """EfficientDet over spectrograms, with bands as rows and frames as columns.

    Args:
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        image_size: what the spectrograms are resized to; the paper's is (768, 768).
        channels: microphones; 8, or 2 for StereoSoundNet's two.
        anchor_scale: smallest anchor in strides of its level; the paper's is 4.
        scaling: ``own``: [0, 1], resized bilinearly, as in the paper. ``released``: as in the
            authors' program, unscaled decibels, bicubic resizing, and pools padded with zeros.
    """

    def __init__(
        self,
        config_name: str = 'tf_efficientdet_d2',
        image_size: tuple[int, int] = (768, 768),
        channels: int = 8,
        anchor_scale: float = 4.0,
        scaling: str = 'own',
    ) -> None:
        super().__init__()
        released = scaling == 'released'
        self.detector = EfficientDetector(
            config_name, channels, image_size, anchor_scale, zero_padded_pools=released
        )
        self.channels, self.released = channels, released

    def picture(self, log_mel_db: Tensor) -> Tensor:
        """Convert (B, 8, 80, 173) dB to the detector's (B, channels, height, width)."""
        levels = log_mel_db[:, : self.channels]
        if not self.released:
            levels = unit_levels(levels)
        # Torch's bicubic is OpenCV's: the same coefficient (-0.75), pixels' centres aligned.
        mode = 'bicubic' if self.released else 'bilinear'
        return functional.interpolate(
            levels, size=self.detector.image_size, mode=mode, align_corners=False
        )

    def forward(self, log_mel_db: Tensor) -> Prediction:
        """(B, 8, 80, 173) log-mel in [-80, 0] dB to anchors' logits, offsets and the pyramid."""
        return self.detector(self.picture(log_mel_db))


@STUDENTS.register
class AnchorStudent(StudentAdapter):
    """The paper's student: EfficientDet on spectrograms, compared with the teachers directly.

    Its input has the teachers' size and its boxes lie on the teachers' canvas, as in the paper.

    Args:
        student: the network.
        area: where the image lies on the teachers' input.
        image_size_px: width and height of the image.
    """

    name = 'paper'
    input_kind = 'log_mel'

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

    @classmethod
    def make(
        cls, recipe: StudentRecipe, rig: Rig, area: PictureArea, image_size: tuple[int, int]
    ) -> AnchorStudent:
        """See `StudentAdapter.make`; its anchors are as large as the teachers'."""
        anchor_scale = recipe.teachers.anchor_scale
        student = PaperStudent(
            recipe.student.config_name,
            image_size,
            anchor_scale=anchor_scale,
            scaling=recipe.student.scaling,
        )
        return cls(student, area, (rig.camera.width_px, rig.camera.height_px))

    def from_topic(self, spectrogram: Tensor) -> Tensor:
        """Keep the levels of (B, 32, n_mels, frames), the input of `forward`."""
        return spectrogram[:, :MICROPHONES]

    def picture(self, spectrogram: Tensor) -> Tensor:
        """Convert levels in dB re full scale to the detector's input, as in the paper."""
        picture = self.student.picture(relative_db(spectrogram))
        return picture.to(memory_format=torch.channels_last)

    def encode(self, spectrogram: Tensor) -> Tensor:
        """(B, channels, h, w) of EfficientNet's last stage, which the pretext counts with."""
        return self.student.detector.network.backbone(self.picture(spectrogram))[-1]

    def forward(self, spectrogram: Tensor, levels: list[tuple[int, int]]) -> StudentOutput:
        """See `StudentAdapter.forward`; (B, 8, n_mels, frames) levels in dB."""
        prediction = self.student.detector(self.picture(spectrogram))
        return StudentOutput(
            prediction, prediction.pyramid[: len(levels)], prediction.pyramid[2].mean(dim=(2, 3))
        )

    def candidates(self, prediction: Any) -> tuple[Tensor, Tensor]:
        """Return boxes (B, K, 4), fractions of the image, and logits (B, K), unsuppressed."""
        logits, best = torch.topk(prediction.logits.float(), 200, dim=1)
        offsets = torch.gather(prediction.offsets.float(), 1, best[..., None].expand(-1, -1, 4))
        boxes = decode_boxes(self.student.detector.anchors[best], offsets)
        return (boxes / self.area.canvas.scale + self.shift) / self.size, logits

    def loss(
        self, prediction: Any, boxes: list[Tensor], weights: LossRecipe
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """See `StudentAdapter.loss`; each process divides by its own positive anchors."""
        on_canvas = [self._on_canvas(part) for part in boxes]
        anchors = self.student.detector.anchors
        terms = anchor_detection_loss(
            prediction.logits.float(), prediction.offsets.float(), anchors, on_canvas
        )
        # Without a positive anchor, the box layers would have no gradient.
        box = weights.box * terms['box'] + 0 * prediction.offsets.float().sum()
        return {'focal': terms['class'], 'box': box}, {}

    def _on_canvas(self, boxes: Tensor) -> Tensor:
        canvas = self.area.canvas
        limits = boxes.new_tensor([canvas.kept_width_px, canvas.image_height_px] * 2)
        placed = (boxes * self.size - self.shift).clamp(min=0).minimum(limits) * canvas.scale
        return placed[((placed[:, 2:] - placed[:, :2]) >= 1).all(dim=1)]
