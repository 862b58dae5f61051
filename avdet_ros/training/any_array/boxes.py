"""Convert the column values of a `BearingFirst` to boxes, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avdet_ros.training.any_array.bearing_first import (
    LARGEST_RANGE_M,
    LEAST_RANGE_M,
    RANGE_BINS,
    BearingShape,
)

TYPICAL_DEG = (5.0, 3.0)
"""Width and height at a log size of 0."""

ELEVATION_DEG = 2.0
"""Elevation at a column value of 1."""

QUANTILES = (0.05, 0.5, 0.95)
"""Quantiles of the range that a model file reports."""

WIDEST_DEG = 80.0
"""Largest angle of a box's side from the heading, as the tangent is unbounded."""

_LARGEST_LOG = 3.5


def columns_deg(shape: BearingShape, device: torch.device | None = None) -> Tensor:
    """(front,) azimuths of the columns' centres, from left to right."""
    columns = torch.arange(shape.front, device=device) + 0.5
    return shape.front_deg - columns * shape.column_deg


def decoded_angles(columns: Tensor, shape: BearingShape) -> Tensor:
    """Decode azimuth, elevation, width and height of each column's box.

    Args:
        columns: (..., front, VALUES).
        shape: of the network.

    Returns:
        (..., front, 4) degrees.
    """
    azimuth = columns_deg(shape, columns.device) - columns[..., 1] * shape.column_deg
    elevation = columns[..., 2] * ELEVATION_DEG
    logs = columns[..., 3:5].clamp(-_LARGEST_LOG, _LARGEST_LOG)
    width = TYPICAL_DEG[0] * torch.exp(logs[..., 0])
    height = TYPICAL_DEG[1] * torch.exp(logs[..., 1])
    return torch.stack([azimuth, elevation, width, height], dim=-1)


def encoded_boxes(angles_deg: Tensor, centres_deg: Tensor, shape: BearingShape) -> Tensor:
    """Encode boxes as column values: the inverse of `decoded_angles`.

    Args:
        angles_deg: (..., front, 4).
        centres_deg: (front,) see `columns_deg`.
        shape: of the network.

    Returns:
        (..., front, 4) offset to the right in columns, elevation, log width and height.
    """
    azimuth, elevation, width, height = angles_deg.unbind(dim=-1)
    return torch.stack(
        [
            (centres_deg - azimuth) / shape.column_deg,
            elevation / ELEVATION_DEG,
            torch.log(width.clamp(min=0.1) / TYPICAL_DEG[0]),
            torch.log(height.clamp(min=0.1) / TYPICAL_DEG[1]),
        ],
        dim=-1,
    )


def column_boxes(columns: Tensor, shape: BearingShape) -> Tensor:
    """Decode (..., front, VALUES) to (..., front, 4) boxes, degrees to the right and down."""
    angles = decoded_angles(columns, shape)
    middle, size = -angles[..., :2], angles[..., 2:]
    return torch.cat([middle - size / 2, middle + size / 2], dim=-1)


def plane_boxes(angles_deg: Tensor) -> Tensor:
    """Convert boxes to the output of a model of contract 2, see `avdet_ros.detection.angles`.

    Args:
        angles_deg: (..., 4) azimuth, elevation, width and height.

    Returns:
        (..., 4) x_min, y_min, x_max, y_max in the plane at unit distance ahead.
    """
    azimuth, elevation, half_width, half_height = (
        angles_deg * angles_deg.new_tensor([1, 1, 0.5, 0.5]) * (math.pi / 180)
    ).unbind(dim=-1)
    widest = math.radians(WIDEST_DEG)
    left = (azimuth + half_width).clamp(-widest, widest)
    right = (azimuth - half_width).clamp(-widest, widest)
    top = (elevation + half_height).clamp(-widest, widest)
    bottom = (elevation - half_height).clamp(-widest, widest)
    ahead = torch.cos(azimuth.clamp(-widest, widest))
    return torch.stack(
        [-torch.tan(left), -torch.tan(top) / ahead, -torch.tan(right), -torch.tan(bottom) / ahead],
        dim=-1,
    )


def range_quantiles(columns: Tensor) -> Tensor:
    """(..., 3) `QUANTILES` of the range in metres from (..., VALUES) columns.

    Within each bin, the distribution is assumed uniform in the logarithm of the range.
    """
    shares = torch.softmax(columns[..., 5:], dim=-1)
    below = torch.cumsum(shares, dim=-1) - shares
    quantiles = shares.new_tensor(QUANTILES)[:, None]
    passed = (quantiles - below[..., None, :]) / shares[..., None, :].clamp(min=1e-9)
    bins = passed.clamp(0, 1).sum(dim=-1)
    span = math.log(LARGEST_RANGE_M / LEAST_RANGE_M)
    return LEAST_RANGE_M * torch.exp(bins * (span / RANGE_BINS))
