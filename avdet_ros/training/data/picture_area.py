"""Placement of the camera's image on a teacher's input, needed to compare their maps.

A teacher sees a picture at the top left of a canvas, possibly only some of its columns. Our
students have a map over the whole image. Both are compared on those cells of the teacher's level
that the picture covers.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.nn import functional

from avdet_ros.training.data.camera_frames import Canvas, canvas_for


@dataclass(frozen=True)
class PictureArea:
    """The area of the image that is seen, and the area of the canvas that it covers.

    Attributes:
        canvas: placement of pictures on the teachers' input.
        left: first image column that is seen, relative to the image's width.
        seen: width of the columns that are seen, relative to the image's width.
        across: share of the canvas's width that the picture covers.
        down: share of the canvas's height that the picture covers.
    """

    canvas: Canvas
    left: float
    seen: float
    across: float
    down: float

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Count rows and columns of a level of this size whose centres the picture covers."""
        rows = math.floor(height * self.down + 0.5)
        columns = math.floor(width * self.across + 0.5)
        return max(1, min(height, rows)), max(1, min(width, columns))

    def sample(self, features: Tensor, height: int, width: int) -> Tensor:
        """Resample a map over the image on the cells of a level that the picture covers.

        Args:
            features: (B, C, rows, columns) over the whole image.
            height: height of the teacher's level.
            width: width of the teacher's level.

        Returns:
            (B, C, *`cells`), the mean of the map under each cell.
        """
        rows, columns = self.cells(height, width)
        fine_y = max(1, math.ceil(features.shape[-2] * 1.5 / rows))
        fine_x = max(1, math.ceil(features.shape[-1] * 1.5 * self.seen / columns))
        y = (torch.arange(rows * fine_y, device=features.device) + 0.5) / (fine_y * height)
        x = (torch.arange(columns * fine_x, device=features.device) + 0.5) / (fine_x * width)
        y, x = y / self.down, self.left + x / self.across * self.seen
        grid = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing='xy'), dim=-1)
        points = functional.grid_sample(
            features,
            grid.to(features).expand(len(features), -1, -1, -1),
            padding_mode='border',
            align_corners=False,
        )
        return functional.avg_pool2d(points, (fine_y, fine_x))


def picture_area(
    image_size: tuple[int, int], width_px: int, height_px: int, crop: bool
) -> PictureArea:
    """Return the area of a camera's image on the teachers' input.

    Args:
        image_size: height and width of the teachers' input.
        width_px: width of the image.
        height_px: height of the image.
        crop: see `canvas_for`.
    """
    canvas = canvas_for(image_size, width_px, height_px, crop)
    return PictureArea(
        canvas,
        left=canvas.left_px / width_px,
        seen=canvas.kept_width_px / width_px,
        across=canvas.kept_width_px * canvas.scale / canvas.width,
        down=canvas.image_height_px * canvas.scale / canvas.height,
    )
