"""Boxes as a grid of cells over the image, and back.

A grid of rows x columns lies over the camera's image. Each cell predicts how likely a vehicle's
centre is in it, and the box that vehicle would have (centre points instead of anchors: X. Zhou et
al., "Objects as points", arXiv 1904.07850). Whatever the axes of the input, the grid is that of
the image, so it can be compared cell by cell with teachers' maps of the same image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHANNELS = 5
"""A cell's values: logit of a centre, offset of the centre in x and y, log width, log height."""

TYPICAL_SIZE = (0.06, 0.09)
"""Width and height at a log size of 0, fractions of the image."""

_LARGEST_LOG = 4.0


@dataclass(frozen=True)
class Targets:
    """What a grid should hold for a batch of windows.

    Attributes:
        heat: (B, rows, columns) float32 in [0, 1], 1 where a centre is, falling off around it.
        cells: (P, 3) int64, batch, row, column of every cell that has to regress a box.
        boxes: (P, 4) float32 x_min, y_min, x_max, y_max in [0, 1], that box.
        weights: (P,) float32, weight of that box: 1 at the centre, less around it.
        vehicles: number of boxes in the batch.
    """

    heat: Tensor
    cells: Tensor
    boxes: Tensor
    weights: Tensor
    vehicles: int


def make_targets(boxes: list[Tensor], rows: int, columns: int) -> Targets:
    """Make the targets for a batch of labelled windows.

    The heat around a centre is a Gaussian whose width follows the box, at least half a cell. Cells
    near the centre (heat above 0.5) learn the box too, because sound does not locate the centre
    exactly to one cell.

    Args:
        boxes: per window (n, 4) float32 in [0, 1].
        rows: of the grid.
        columns: of the grid.
    """
    device = boxes[0].device if boxes else None
    heat = torch.zeros(len(boxes), rows, columns, device=device)
    y_cells = (torch.arange(rows, device=device) + 0.5)[:, None]
    x_cells = (torch.arange(columns, device=device) + 0.5)[None, :]
    cells, chosen, weights = [], [], []
    for index, window in enumerate(boxes):
        if len(window) == 0:
            continue
        scale = window.new_tensor([columns, rows, columns, rows])
        x_min, y_min, x_max, y_max = (window * scale).T[:, :, None, None]
        x_centre, y_centre = (x_min + x_max) / 2, (y_min + y_max) / 2
        x_sigma = ((x_max - x_min) / 6).clamp(min=0.5)
        y_sigma = ((y_max - y_min) / 6).clamp(min=0.5)
        # The cell that holds the centre is the peak: the Gaussian is drawn around that cell.
        x_peak = x_centre.clamp(0, columns - 1e-3).floor() + 0.5
        y_peak = y_centre.clamp(0, rows - 1e-3).floor() + 0.5
        bumps = torch.exp(
            -((x_cells - x_peak) ** 2) / (2 * x_sigma**2)
            - (y_cells - y_peak) ** 2 / (2 * y_sigma**2)
        )
        best, owner = bumps.max(dim=0)
        heat[index] = best
        row, column = torch.nonzero(best > 0.5, as_tuple=True)
        cells.append(torch.stack([torch.full_like(row, index), row, column], dim=1))
        chosen.append(window[owner[row, column]])
        weights.append(best[row, column])
    if not cells:
        return Targets(
            heat,
            torch.zeros(0, 3, dtype=torch.int64, device=device),
            torch.zeros(0, 4, device=device),
            torch.zeros(0, device=device),
            0,
        )
    return Targets(
        heat, torch.cat(cells), torch.cat(chosen), torch.cat(weights), sum(map(len, boxes))
    )


def decode(grid: Tensor) -> tuple[Tensor, Tensor]:
    """Decode boxes and centre logits of every cell.

    Args:
        grid: (B, CHANNELS, rows, columns).

    Returns:
        boxes: (B, rows * columns, 4) x_min, y_min, x_max, y_max, fractions of the image, not
            clipped to it.
        logits: (B, rows * columns).
    """
    # Integers, not tensors, also when the exporter traces this.
    rows, columns = (int(size) for size in grid.shape[-2:])
    y_cells, x_cells = cell_centres(rows, columns, grid.device)
    x = x_cells + grid[:, 1] / columns
    y = y_cells + grid[:, 2] / rows
    width = TYPICAL_SIZE[0] * torch.exp(grid[:, 3].clamp(-_LARGEST_LOG, _LARGEST_LOG))
    height = TYPICAL_SIZE[1] * torch.exp(grid[:, 4].clamp(-_LARGEST_LOG, _LARGEST_LOG))
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return torch.stack(corners, dim=-1).flatten(1, 2), grid[:, 0].flatten(1)


def encode(boxes: Tensor, cells: Tensor, rows: int, columns: int) -> Tensor:
    """Encode boxes as the values of their cells: the inverse of `decode`.

    Args:
        boxes: (P, 4), fractions of the image.
        cells: (P, 3) batch, row, column.
        rows: of the grid.
        columns: of the grid.

    Returns:
        (P, 4) offset in x and y (cells), log width, log height.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-4)
    x = centre[:, 0] * columns - (cells[:, 2] + 0.5)
    y = centre[:, 1] * rows - (cells[:, 1] + 0.5)
    log_size = torch.log(size / size.new_tensor(TYPICAL_SIZE))
    return torch.cat([torch.stack([x, y], dim=1), log_size], dim=1)


def cell_centres(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the centres of the cells, fractions of the image, (rows, 1) and (1, columns)."""
    y = ((torch.arange(rows, device=device) + 0.5) / rows)[:, None]
    x = ((torch.arange(columns, device=device) + 0.5) / columns)[None, :]
    return y, x
