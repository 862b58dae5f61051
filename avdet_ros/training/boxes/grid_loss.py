"""The loss of a grid of cells against true boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from avdet_ros.training.boxes.grid import Targets, decode, encode


def gaussian_focal_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Focal loss for heat maps, not yet divided by the number of vehicles.

    With p = sigmoid(logit): -(1 - p)^2 log p at centres (heat 1), elsewhere
    -(1 - heat)^4 p^2 log(1 - p) (H. Law and J. Deng, "CornerNet", arXiv 1808.01244, equation 1).

    Args:
        logits: (B, rows, columns).
        heat: same shape, in [0, 1].

    Returns:
        scalar.
    """
    probability = torch.sigmoid(logits)
    at_centre = (1 - probability) ** 2 * functional.logsigmoid(logits)
    elsewhere = (1 - heat) ** 4 * probability**2 * functional.logsigmoid(-logits)
    return -torch.where(heat >= 1, at_centre, elsewhere).sum()


def divisors(targets: Targets) -> dict[str, float]:
    """What `grid_loss` divides each term by: vehicles, or the weights of their cells."""
    weights = max(1.0, float(targets.weights.sum()))
    return {'focal': max(1.0, targets.vehicles), 'huber': weights, 'giou': weights}


def grid_loss(
    grid: Tensor, targets: Targets, huber_weight: float = 1.0, giou_weight: float = 2.0
) -> dict[str, Tensor]:
    """Centres and boxes of a batch.

    A batch without vehicles is a valid all-negative example.

    Args:
        grid: (B, CHANNELS, rows, columns), the prediction.
        targets: the targets.
        huber_weight: of the Huber loss on offsets and log sizes.
        giou_weight: of the generalised IoU loss on the boxes.

    Returns:
        scalars ``focal``, ``huber`` and ``giou``, as they enter the sum.
    """
    rows, columns = grid.shape[-2:]
    focal = gaussian_focal_loss(grid[:, 0], targets.heat) / max(targets.vehicles, 1)
    batch, row, column = targets.cells.T
    weights = targets.weights / targets.weights.sum().clamp(min=1.0)
    predicted = grid[batch, 1:, row, column]
    wanted = encode(targets.boxes, targets.cells, rows, columns)
    huber = functional.huber_loss(predicted, wanted, reduction='none').sum(dim=1)
    boxes, _ = decode(grid)
    boxes = boxes[batch, row * columns + column]
    giou = generalized_box_iou_loss(boxes, targets.boxes, reduction='none')
    return {
        'focal': focal,
        'huber': huber_weight * (huber * weights).sum(),
        'giou': giou_weight * (giou * weights).sum(),
    }
