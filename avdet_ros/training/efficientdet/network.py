"""EfficientDet as teacher and as the paper's student: one network, any number of input channels.

The topology is effdet's (Tan et al., 2020). Besides boxes, the network returns the feature pyramid
P3..P7, which the distillation losses compare. Boxes are x_min, y_min, x_max, y_max in pixels of
the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import warnings

import effdet
from effdet.anchors import Anchors
import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, nms

from avdet_ros.errors import AvdetError
from avdet_ros.training.efficientdet.anchors import anchor_detection_loss, decode_boxes
from avdet_ros.training.efficientdet.zero_padding import pad_pools_with_zeros
from avdet_ros.training.tensor_files import load_tensors

STRIDE = 128
"""Stride of P7; the input's sides must be multiples of it."""

PRIOR = 0.01
"""Score of an untrained anchor, so that the first steps are not lost on background."""

BOX_WEIGHT = 50.0
"""Weight of the box loss relative to the class loss, effdet's own."""

MOMENTUM = 0.03
"""Momentum of batch norms' running statistics: effdet's 0.01 needs 300 steps to forget the initial
values, which short trainings do not have."""


@dataclass
class Prediction:
    """The network's output for a batch.

    Attributes:
        logits: (B, A) of a vehicle, the highest of its kinds.
        offsets: (B, A, 4) from the anchors, see `anchor_loss.encode_boxes`.
        pyramid: P3..P7, each (B, C, H, W).
    """

    logits: Tensor
    offsets: Tensor
    pyramid: list[Tensor]


class EfficientDetector(nn.Module):
    """An effdet network with one class or several kinds of it, its anchors and its pyramid.

    Args:
        config_name: an effdet configuration, e.g. ``tf_efficientdet_d2``.
        channels: of the input; 3 for pictures and depth, 1 for thermal, 8 for sound.
        image_size: height and width of the input; multiples of 128.
        anchor_scale: smallest anchor in strides of its level.
        zero_padded_pools: the pyramid's max pools pad with zeros, as the authors' program of
            MM-DistillNet does, see `ZeroPaddedPool`.
        classes: outputs per anchor, one for each kind of vehicle; the highest is the vehicle's
            score.

    Raises:
        AvdetError: the configuration is unknown, or the size does not fit the pyramid.
    """

    def __init__(
        self,
        config_name: str,
        channels: int,
        image_size: tuple[int, int],
        anchor_scale: float = 4.0,
        zero_padded_pools: bool = False,
        classes: int = 1,
    ) -> None:
        super().__init__()
        try:
            config = effdet.get_efficientdet_config(config_name)
        except KeyError:
            raise AvdetError(
                f'detector {config_name}: expected a configuration of effdet such as '
                f'tf_efficientdet_d2, found none of that name'
            ) from None
        if any(side <= 0 or side % STRIDE for side in image_size):
            raise AvdetError(
                f'detector {config_name}: expected an image size in multiples of {STRIDE}, '
                f'found {image_size[0]} x {image_size[1]}'
            )
        config.image_size = tuple(image_size)
        config.num_classes = classes
        config.anchor_scale = anchor_scale
        config.backbone_args = {**(config.backbone_args or {}), 'in_chans': channels}
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            self.network = effdet.EfficientDet(config, pretrained_backbone=False)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = MOMENTUM
        if zero_padded_pools:
            pad_pools_with_zeros(self.network.fpn)
        anchors = Anchors.from_config(config).boxes[:, [1, 0, 3, 2]]
        self.register_buffer('anchors', anchors, persistent=False)
        self.image_size, self.classes = tuple(image_size), classes
        bias = self.network.class_net.predict.conv_pw.bias
        nn.init.constant_(bias, -torch.log(torch.tensor((1 - PRIOR) / PRIOR)).item())

    def forward(self, images: Tensor) -> Prediction:
        """Run the network.

        Args:
            images: (B, channels, height, width) float32.
        """
        pyramid = self.network.fpn(self.network.backbone(images))
        logits = _flatten(self.network.class_net(pyramid), self.classes)
        return Prediction(
            logits=logits.amax(dim=-1) if self.classes > 1 else logits[..., 0],
            offsets=_flatten(self.network.box_net(pyramid), 4),
            pyramid=list(pyramid),
        )

    def loss(self, prediction: Prediction, boxes: list[Tensor]) -> dict[str, Tensor]:
        """Return the weighted terms of the loss against boxes (N, 4) of each frame, pixels."""
        terms = anchor_detection_loss(
            prediction.logits.float(), prediction.offsets.float(), self.anchors, boxes
        )
        return {'class': terms['class'], 'box': BOX_WEIGHT * terms['box']}

    @torch.no_grad()
    def boxes(
        self,
        prediction: Prediction,
        score_threshold: float = 0.3,
        nms_iou: float = 0.5,
        most: int = 100,
    ) -> list[tuple[Tensor, Tensor]]:
        """Return the boxes of each frame after non-maximum suppression.

        Args:
            prediction: of `forward`.
            score_threshold: lower scores are left out.
            nms_iou: overlap above which the weaker of two boxes is dropped.
            most: how many boxes a frame may have.

        Returns:
            for each frame boxes (N, 4), cut to the image, and scores (N,), best first.
        """
        frames = []
        for logits, offsets in zip(prediction.logits, prediction.offsets, strict=True):
            scores = torch.sigmoid(logits.float())
            keep = torch.nonzero(scores > score_threshold)[:, 0]
            keep = keep[scores[keep].argsort(descending=True)[:1000]]
            boxes = decode_boxes(self.anchors[keep], offsets[keep].float())
            boxes = clip_boxes_to_image(boxes, self.image_size)
            best = nms(boxes, scores[keep], nms_iou)[:most]
            frames.append((boxes[best], scores[keep][best]))
        return frames


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read names and tensors; nothing else is unpickled.

    Args:
        path: a state dict saved by torch, or a checkpoint that has one as ``state_dict``.

    Raises:
        AvdetError: the file is missing, too large or not a state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise AvdetError(
            f'weights {path}: expected a checkpoint file, found none; weights are not downloaded'
        )
    saved = load_tensors(path, 'a state dict')
    state = saved.get('state_dict', saved)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise AvdetError(
            f'weights {path}: expected names with tensors, found {type(state).__name__}'
        )
    return state


def load_weights(detector: EfficientDetector, path: str | Path) -> list[str]:
    """Load a checkpoint strictly; only the stem and the class layer may be new.

    A published checkpoint has another stem if the channels differ, and another class layer if the
    classes do. Any other layer that does not fit is an error: with silently dropped weights, it
    would look as if the network did not learn.

    Args:
        detector: receives the weights.
        path: a state dict saved by torch, of this class or of effdet, or a Lightning checkpoint
            of one.

    Returns:
        names of the layers that kept their fresh weights.

    Raises:
        AvdetError: the file is missing or not a state dict, or other layers do not fit.
    """
    state = bare_state(read_state(path))
    own = detector.network.state_dict()
    strange = sorted(set(state) - set(own))
    fresh = [name for name in own if name not in state or state[name].shape != own[name].shape]
    wrong = strange + [name for name in fresh if not name.startswith(_MAY_BE_NEW)]
    if wrong:
        raise AvdetError(
            f'weights {path}: expected the layers of this detector, found {len(wrong)} that '
            f'do not fit, the first {wrong[0]}'
        )
    detector.network.load_state_dict(
        {**own, **{name: value for name, value in state.items() if name not in fresh}}
    )
    return fresh


_MAY_BE_NEW = ('backbone.conv_stem', 'class_net.predict')


def bare_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return only a network's layers, named as in effdet: no wrappers, no anchors."""
    named = {_bare(name): value for name, value in state.items()}
    return {name: value for name, value in named.items() if not name.startswith('anchors')}


def _bare(name: str) -> str:
    for prefix in ('model.', 'detector.', 'network.'):
        name = name.removeprefix(prefix)
    return name


def _flatten(levels: list[Tensor], width: int) -> Tensor:
    """Join the levels' outputs as (B, A, width), in the order of effdet's anchors."""
    flat = [level.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, width)) for level in levels]
    return torch.cat(flat, dim=1)
