"""The loss of a grid of cells against true boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from avdet_ros.training.boxes.grid import Targets, decode, encode


def gaussian_focal_loss(logits: Tensor, heat: Tensor, taught: Tensor | None = None) -> Tensor:
    """Focal loss for heat maps, not yet divided by the number of vehicles.

    With p = sigmoid(logit): -(1 - p)^2 log p at centres (heat 1), elsewhere
    -(1 - heat)^4 p^2 log(1 - p) (H. Law and J. Deng, "CornerNet", arXiv 1808.01244, equation 1).

    Args:
        logits: (B, rows, columns).
        heat: same shape, in [0, 1].
        taught: same shape, bool, the cells that count; None for all.

    Returns:
        scalar.
    """
    probability = torch.sigmoid(logits)
    at_centre = (1 - probability) ** 2 * functional.logsigmoid(logits)
    elsewhere = (1 - heat) ** 4 * probability**2 * functional.logsigmoid(-logits)
    each = torch.where(heat >= 1, at_centre, elsewhere)
    return -(each if taught is None else each * taught).sum()


def taught_cells(heat: Tensor, open_areas: Sequence[Tensor]) -> Tensor:
    """Find the cells with a loss: those outside of open areas, and around a label inside of one.

    Args:
        heat: (B, rows, columns) of the targets.
        open_areas: per window (m, 4), fractions of the image; a cell that one touches is open.

    Returns:
        (B, rows, columns) bool.
    """
    _, rows, columns = heat.shape
    low_x = torch.arange(columns, device=heat.device) / columns
    low_y = (torch.arange(rows, device=heat.device) / rows)[:, None]
    taught = torch.ones_like(heat, dtype=torch.bool)
    for index, areas in enumerate(open_areas):
        for x_min, y_min, x_max, y_max in areas:
            across = (low_x < x_max) & (low_x + 1 / columns > x_min)
            down = (low_y < y_max) & (low_y + 1 / rows > y_min)
            taught[index] &= ~(across & down)
    return taught | (heat > 0.5)


def divisors(targets: Targets) -> dict[str, float]:
    """Return what `grid_loss` divides each term by: vehicles, or the weights of their cells."""
    weights = max(1.0, float(targets.weights.sum()))
    return {'focal': max(1.0, targets.vehicles), 'huber': weights, 'giou': weights}


def grid_loss(
    grid: Tensor,
    targets: Targets,
    huber_weight: float = 1.0,
    giou_weight: float = 2.0,
    taught: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute the loss of a batch's centres and boxes.

    A batch without vehicles is a valid all-negative example.

    Args:
        grid: (B, CHANNELS, rows, columns), the prediction.
        targets: the targets.
        huber_weight: of the Huber loss on offsets and log sizes.
        giou_weight: of the generalised IoU loss on the boxes.
        taught: (B, rows, columns) bool of `taught_cells`; None for all.

    Returns:
        scalars ``focal``, ``huber`` and ``giou``, as they enter the sum.
    """
    rows, columns = grid.shape[-2:]
    focal = gaussian_focal_loss(grid[:, 0], targets.heat, taught) / max(targets.vehicles, 1)
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
