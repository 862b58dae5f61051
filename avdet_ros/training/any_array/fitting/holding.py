"""Hold the start network's own predictions where labels are open.

Teachers label what a camera shows. A network that is fine-tuned with their labels alone forgets
what it knew about all else: vehicles outside the image, at its edge, or hidden. So in columns
without a label, its predictions are held at those of the network it started from, on the same
augmented windows ("learning without forgetting", Z. Li and D. Hoiem, arXiv 1606.09282).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.boxes import column_boxes
from avdet_ros.training.any_array.losses import (
    WEIGHTS,
    BearingLabels,
    bearing_targets,
    box_costs,
)


def held_loss(
    columns: Tensor, start: Tensor, labels: BearingLabels, shape: BearingShape
) -> Tensor:
    """Sum the differences from the start network's predictions in columns without a label.

    Presence costs the Kullback-Leibler divergence of its probability. Box and range cost what they
    do in `bearing_loss`, times the start network's probability of a vehicle.

    Args:
        columns: (B, VALUES, front) float32, the prediction.
        start: the same of the start network, for the same windows.
        labels: of these windows.
        shape: of both networks.

    Returns:
        scalar, per labelled vehicle as in `bearing_loss`; 0 if the predictions are equal.
    """
    predicted, target = columns.transpose(1, 2), start.detach().transpose(1, 2)
    probability = torch.sigmoid(target[..., 0])
    presence, least = (
        functional.binary_cross_entropy_with_logits(logits, probability, reduction='none')
        for logits in (predicted[..., 0], target[..., 0])
    )
    shares = torch.softmax(target[..., 5:], dim=-1)
    boxes = column_boxes(target, shape)
    costs = box_costs(predicted, target[..., 1:5], boxes, shares, shape)
    # A cross entropy is least, and not 0, where both distributions are equal.
    costs['range'] = costs['range'] - torch.special.entr(shares).sum(dim=-1)
    box = sum(WEIGHTS[name] * cost for name, cost in costs.items())
    targets = bearing_targets(labels, shape)
    differences = (presence - least + probability * box) * ~targets.known
    return differences.sum() / targets.vehicles
