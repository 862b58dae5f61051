"""Boxes and encodings by column of the image, without vertical position."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

COLUMNS = 48
"""Columns of the image: 40 of 1920 pixels each, about 2 degrees."""


def audio_columns(encoded: Tensor) -> Tensor:
    """Convert encodings (B, C, rows, columns), (B, C, anything) or (B, C) to (B, C, COLUMNS).

    Rows are averaged. For a student without a map over the image, the last axis, whatever it is,
    gives the columns.
    """
    if encoded.ndim == 2:
        encoded = encoded[..., None]
    flat = encoded.mean(dim=2) if encoded.ndim == 4 else encoded
    if flat.shape[-1] == COLUMNS:
        return flat
    return functional.interpolate(flat, COLUMNS, mode='linear', align_corners=False)


def column_occupancy(boxes: Sequence[Tensor], softness: float = 0.02) -> Tensor:
    """Compute how much each column is occupied by vehicles: (B, COLUMNS) in [0, 1].

    1 inside a box; outside it falls off as a Gaussian.

    Args:
        boxes: per window (n, 4), fractions of the image.
        softness: standard deviation of this Gaussian, fraction of the width.
    """
    device = boxes[0].device if boxes else None
    centres = (torch.arange(COLUMNS, device=device) + 0.5) / COLUMNS
    made = torch.zeros(len(boxes), COLUMNS, device=device)
    for index, window in enumerate(boxes):
        if len(window):
            outside = torch.maximum(window[:, :1] - centres, centres - window[:, 2:3])
            made[index] = torch.exp(-0.5 * (outside.clamp(min=0) / softness) ** 2).amax(dim=0)
    return made
