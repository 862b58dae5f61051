"""Focal loss and box loss over anchors, by which the paper's detector learns boxes.

Anchors and boxes are ``x_min, y_min, x_max, y_max`` in pixels of the network's input.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
import torch.nn.functional as F
from torchvision.ops import box_iou

POSITIVE_IOU = 0.5
NEGATIVE_IOU = 0.4
LOG_SIZE_LIMIT = math.log(1000.0 / 16.0)
"""Bound on a decoded log size, so that an early, wild regression stays finite."""


def match_anchors(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Assign anchors to boxes: positive from IoU 0.5, negative below 0.4, between them ignored.

    Each box also claims the anchor that overlaps it most; otherwise a box that no anchor fits well
    would not be learned at all.

    Args:
        anchors: (A, 4).
        boxes: (N, 4); N may be 0.

    Returns:
        (A,) int64: index of the box, -1 for background, -2 for ignored.
    """
    if len(boxes) == 0:
        return anchors.new_full((len(anchors),), -1, dtype=torch.int64)
    overlap = box_iou(anchors, boxes)
    best, index = overlap.max(dim=1)
    match = torch.where(best >= POSITIVE_IOU, index, -2)
    match[best < NEGATIVE_IOU] = -1
    best_of_box, anchor_of_box = overlap.max(dim=0)
    claimed = best_of_box > 0
    match[anchor_of_box[claimed]] = torch.arange(len(boxes), device=boxes.device)[claimed]
    return match


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Offsets (dy, dx, log h, log w) of boxes from their anchors (Ren et al., 2015).

    Args:
        anchors: (P, 4).
        boxes: (P, 4).

    Returns:
        (P, 4) offsets.
    """
    anchor_centre, anchor_size = _centre_size(anchors)
    centre, size = _centre_size(boxes)
    offset = (centre - anchor_centre) / anchor_size
    scale = torch.log(size.clamp(min=1e-3) / anchor_size)
    return torch.cat([offset.flip(-1), scale.flip(-1)], dim=-1)


def decode_boxes(anchors: Tensor, offsets: Tensor) -> Tensor:
    """The inverse of `encode_boxes`."""
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = offsets[..., :2].flip(-1) * anchor_size + anchor_centre
    size = offsets[..., 2:].flip(-1).clamp(max=LOG_SIZE_LIMIT).exp() * anchor_size
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    r"""Focal loss, element by element, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Equation 1 of MM-DistillNet, after Lin et al., 2017.

    Args:
        logits: any shape.
        targets: the same shape, 0 or 1.
        alpha: weight of the positives; negatives weigh 1 - alpha.
        gamma: how strongly easy examples are down-weighted.

    Returns:
        losses of the same shape.
    """
    probability = torch.sigmoid(logits)
    p_t = probability * targets + (1 - probability) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    return alpha_t * (1 - p_t).pow(gamma) * cross_entropy


def anchor_detection_loss(
    logits: Tensor, offsets: Tensor, anchors: Tensor, boxes: list[Tensor], huber_delta: float = 0.1
) -> dict[str, Tensor]:
    """Loss of a batch, normalised by its number of positive anchors.

    A frame without vehicles is a valid example of background: all its anchors are negative, and it
    adds nothing to the box loss.

    Args:
        logits: (B, A) class logits of one class.
        offsets: (B, A, 4) regressions, see `encode_boxes`.
        anchors: (A, 4).
        boxes: B tensors (N_b, 4).
        huber_delta: where the box loss turns from quadratic to linear.

    Returns:
        scalars ``class`` and ``box``.
    """
    class_loss = logits.new_zeros(())
    box_loss = logits.new_zeros(())
    positives = 0
    for frame_logits, frame_offsets, frame_boxes in zip(logits, offsets, boxes, strict=True):
        match = match_anchors(anchors, frame_boxes)
        positive, used = match >= 0, match != -2
        positives += int(positive.sum())
        class_loss = class_loss + focal_loss(frame_logits[used], positive[used].float()).sum()
        if positive.any():
            target = encode_boxes(anchors[positive], frame_boxes[match[positive]])
            box_loss = box_loss + F.huber_loss(
                frame_offsets[positive], target, reduction='sum', delta=huber_delta
            )
    return {'class': class_loss / max(1, positives), 'box': box_loss / max(1, 4 * positives)}


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
