"""Boxes and encodings by column of the image: where, without how high."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

COLUMNS = 48
"""Of the image: 40 of 1920 pixels each, about 2 degrees."""


def audio_columns(encoded: Tensor) -> Tensor:
    """Encodings (B, C, rows, columns), (B, C, anything) or (B, C) as (B, C, COLUMNS).

    Rows are averaged. Of a student without a map over the image the columns are whatever its
    last axis is.
    """
    if encoded.ndim == 2:
        encoded = encoded[..., None]
    flat = encoded.mean(dim=2) if encoded.ndim == 4 else encoded
    if flat.shape[-1] == COLUMNS:
        return flat
    return functional.interpolate(flat, COLUMNS, mode='linear', align_corners=False)


def column_occupancy(boxes: Sequence[Tensor], softness: float = 0.02) -> Tensor:
    """How surely a vehicle is in each column: (B, COLUMNS) in [0, 1].

    1 inside a box; outside it falls off as a Gaussian.

    Args:
        boxes: per window (n, 4) in parts of the image.
        softness: deviation of the fall, in parts of the width.
    """
    device = boxes[0].device if boxes else None
    centres = (torch.arange(COLUMNS, device=device) + 0.5) / COLUMNS
    made = torch.zeros(len(boxes), COLUMNS, device=device)
    for index, window in enumerate(boxes):
        if len(window):
            outside = torch.maximum(window[:, :1] - centres, centres - window[:, 2:3])
            made[index] = torch.exp(-0.5 * (outside.clamp(min=0) / softness) ** 2).amax(dim=0)
    return made
