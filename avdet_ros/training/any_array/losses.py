"""Targets for the columns of a `BearingFirst`, and the loss against them.

The target of presence is a Gaussian around each vehicle's centre along azimuth (the focal loss of
H. Law and J. Deng, "CornerNet", arXiv 1808.01244, in one dimension). The columns near that centre
learn the box: Huber loss on offset, elevation and log sizes, generalised IoU of the box in angles,
and cross entropy of the range's distribution.

Labels may be incomplete. Detectors that see a camera's image know nothing outside it, no true size
of a box that its edge cuts, and often no range. Whatever labels leave unknown adds no loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor
from torch.nn import functional

from avdet_ros.detection.steering import FRONT_DEG
from avdet_ros.training.any_array.bearing_first import (
    LARGEST_RANGE_M,
    LEAST_RANGE_M,
    RANGE_BINS,
    BearingShape,
)
from avdet_ros.training.any_array.boxes import column_boxes, columns_deg, encoded_boxes

NEAR = 0.5
"""Columns where the Gaussian is above this learn the box too."""

WEIGHTS = {'focal': 1.0, 'huber': 1.0, 'giou': 2.0, 'range': 0.3}


@dataclass(frozen=True)
class BearingLabels:
    """Vehicles in a batch of windows, in degrees relative to the camera's heading.

    Attributes:
        angles_deg: (B, M, 4) azimuth (left positive), elevation, width and height.
        range_m: (B, M), NaN where unknown.
        valid: (B, M) bool, False for padding.
        seen_deg: (B, 2) azimuths of the left and the right end of the sector in which all vehicles
            are labelled; None for everywhere. Outside of it there is no loss.
        unsure: (B, M) bool, labels of which only the directions they cover are known: there is no
            loss there; None for none.
    """

    angles_deg: Tensor
    range_m: Tensor
    valid: Tensor
    seen_deg: Tensor | None = None
    unsure: Tensor | None = None

    def mirrored(self, chosen: Tensor) -> BearingLabels:
        """Exchange left and right in the windows where (B,) bool is true."""
        sign = torch.where(chosen, -1.0, 1.0)[:, None, None]
        turned = torch.cat([self.angles_deg[..., :1] * sign, self.angles_deg[..., 1:]], dim=-1)
        seen = self.seen_deg
        if seen is not None:
            seen = torch.where(chosen[:, None], -seen.flip(-1), seen)
        return replace(self, angles_deg=turned, seen_deg=seen)

    def turned(self, left_deg: Tensor) -> BearingLabels:
        """Turn all to the left by (B,) degrees; what enters from beyond `FRONT_DEG` is unknown."""
        angles = self.angles_deg.clone()
        angles[..., 0] += left_deg[:, None]
        ends = left_deg.new_tensor([FRONT_DEG, -FRONT_DEG]).expand(len(left_deg), -1)
        if self.seen_deg is not None:
            ends = self.seen_deg.clamp(-FRONT_DEG, FRONT_DEG)
        return replace(self, angles_deg=angles, seen_deg=ends + left_deg[:, None])


@dataclass(frozen=True)
class BearingTargets:
    """The labels, column by column.

    Attributes:
        heat: (B, columns) in [0, 1], 1 at a vehicle's centre.
        weights: (B, columns) weight of each column's box.
        angles_deg: (B, columns, 4) of the vehicle that the column belongs to.
        range_m: (B, columns), NaN where unknown.
        known: (B, columns) bool, whether the labels cover the column.
        vehicles: their number in the batch, at least 1.
    """

    heat: Tensor
    weights: Tensor
    angles_deg: Tensor
    range_m: Tensor
    known: Tensor
    vehicles: Tensor


def bearing_targets(labels: BearingLabels, shape: BearingShape) -> BearingTargets:
    """Spread labels over the columns of the front sector."""
    azimuth_deg, width_deg = labels.angles_deg[..., 0], labels.angles_deg[..., 2]
    place = (shape.front_deg - azimuth_deg) / shape.column_deg - 0.5
    inside = labels.valid & (azimuth_deg.abs() < shape.front_deg)
    if labels.unsure is not None:
        inside = inside & ~labels.unsure
    peak = place.round().clamp(0, shape.front - 1)
    sigma = (width_deg / shape.column_deg / 6).clamp(min=0.5)
    columns = torch.arange(shape.front, device=place.device)
    bumps = torch.exp(-((columns - peak[..., None]) ** 2) / (2 * sigma[..., None] ** 2))
    heat, owner = (bumps * inside[..., None]).max(dim=1)
    chosen = torch.gather(labels.angles_deg, 1, owner[..., None].expand(-1, -1, 4))
    known = known_columns(labels, shape, heat > NEAR)
    return BearingTargets(
        heat=heat,
        weights=torch.where(known & (heat > NEAR), heat, 0.0),
        angles_deg=chosen,
        range_m=torch.gather(labels.range_m, 1, owner),
        known=known,
        vehicles=inside.sum().clamp(min=1),
    )


def known_columns(labels: BearingLabels, shape: BearingShape, labelled: Tensor) -> Tensor:
    """Find the columns that labels cover: in the seen sector, and not where they are unsure.

    Args:
        labels: of B windows.
        shape: of the network.
        labelled: (B, columns) bool, columns with a sure label.

    Returns:
        (B, columns) bool.
    """
    known = torch.ones_like(labelled)
    centres = columns_deg(shape, labelled.device)
    if labels.unsure is not None:
        doubtful = labels.valid & labels.unsure
        azimuth_deg, width_deg = labels.angles_deg[..., 0, None], labels.angles_deg[..., 2, None]
        covered = (centres - azimuth_deg).abs() <= (width_deg + shape.column_deg) / 2
        known = labelled | ~(covered & doubtful[..., None]).any(dim=1)
    if labels.seen_deg is not None:
        left, right = labels.seen_deg[:, :1], labels.seen_deg[:, 1:]
        known = known & (centres <= left) & (centres >= right)
    return known


def bearing_loss(columns: Tensor, labels: BearingLabels, shape: BearingShape) -> dict[str, Tensor]:
    """Compute the loss of a batch; a batch without vehicles is a valid all-negative example.

    Args:
        columns: (B, VALUES, front) float32, the prediction.
        labels: of these windows.
        shape: of the network.

    Returns:
        scalars: ``focal``, ``huber``, ``giou``, ``range`` as they enter the sum, and ``loss``.
    """
    targets = bearing_targets(labels, shape)
    weights = targets.weights / targets.weights.sum().clamp(min=1.0)
    predicted = columns.transpose(1, 2)
    # Columns without a vehicle have an arbitrary box as target; its weight is 0.
    centres = columns_deg(shape, columns.device)
    expected = encoded_boxes(targets.angles_deg, centres, shape)
    measured = torch.isfinite(targets.range_m)
    shares = range_shares(targets.range_m.nan_to_num(LEAST_RANGE_M))
    costs = box_costs(predicted, expected, _edges(targets.angles_deg), shares, shape)
    ranged = targets.weights * measured
    presence = focal_loss(predicted[..., 0], targets.heat) * targets.known
    terms = {
        'focal': presence.sum() / targets.vehicles,
        'huber': (costs['huber'] * weights).sum(),
        'giou': (costs['giou'] * weights).sum(),
        'range': (costs['range'] * ranged).sum() / ranged.sum().clamp(min=1.0),
    }
    terms = {name: WEIGHTS[name] * term for name, term in terms.items()}
    return {**terms, 'loss': torch.stack(list(terms.values())).sum()}


def box_costs(
    predicted: Tensor, expected: Tensor, boxes: Tensor, shares: Tensor, shape: BearingShape
) -> dict[str, Tensor]:
    """Compute what each column's box and range cost, before `WEIGHTS`.

    Args:
        predicted: (B, front, VALUES) float32.
        expected: (B, front, 4) column values of the expected boxes, see `encoded_boxes`.
        boxes: (B, front, 4) the same boxes, degrees to the right and down.
        shares: (B, front, RANGE_BINS) the expected ranges, a distribution.
        shape: of the network.

    Returns:
        (B, front) each: ``huber``, ``giou``, and ``range``, a cross entropy.
    """
    huber = functional.huber_loss(predicted[..., 1:5], expected, reduction='none')
    return {
        'huber': huber.sum(dim=-1),
        'giou': generalised_iou_loss(column_boxes(predicted, shape), boxes),
        'range': -(shares * functional.log_softmax(predicted[..., 5:], dim=-1)).sum(dim=-1),
    }


def focal_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """-(1 - p)^2 log p where heat is 1, else -(1 - heat)^4 p^2 log(1 - p), of each element."""
    probability = torch.sigmoid(logits)
    at_centre = (1 - probability) ** 2 * functional.logsigmoid(logits)
    elsewhere = (1 - heat) ** 4 * probability**2 * functional.logsigmoid(-logits)
    return -torch.where(heat >= 1, at_centre, elsewhere)


def range_shares(range_m: Tensor) -> Tensor:
    """Split a range between the two nearest bins: (...) metres to (..., RANGE_BINS)."""
    span = math.log(LARGEST_RANGE_M / LEAST_RANGE_M)
    place = torch.log(range_m.clamp(LEAST_RANGE_M, LARGEST_RANGE_M) / LEAST_RANGE_M) / span
    # Counted from the first bin's centre; the outer centres lie half a bin inside both ends.
    place = (place * RANGE_BINS - 0.5).clamp(0, RANGE_BINS - 1)
    bins = torch.arange(RANGE_BINS, device=range_m.device)
    return (1 - (place[..., None] - bins).abs()).clamp(min=0)


def generalised_iou_loss(found: Tensor, true: Tensor) -> Tensor:
    """1 - GIoU of (..., 4) boxes x_min, y_min, x_max, y_max (H. Rezatofighi et al., 2019)."""
    low = torch.maximum(found[..., :2], true[..., :2])
    high = torch.minimum(found[..., 2:], true[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    union = _area(found) + _area(true) - shared
    hull_low = torch.minimum(found[..., :2], true[..., :2])
    hull_high = torch.maximum(found[..., 2:], true[..., 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(dim=-1).clamp(min=1e-6)
    return 1 - shared / union.clamp(min=1e-6) + (hull - union) / hull


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def _edges(angles_deg: Tensor) -> Tensor:
    """Convert azimuth, elevation, width, height to boxes, degrees to the right and down."""
    middle, size = -angles_deg[..., :2], angles_deg[..., 2:]
    return torch.cat([middle - size / 2, middle + size / 2], dim=-1)
