"""Where the camera's image lies on a teacher's input, so that maps of both can be compared.

A teacher sees a picture at the top left of a canvas, perhaps only some of its columns; a student
of ours has a map over the whole image. Both are compared on the cells of the teacher's level that
the picture covers.
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
    """The picture on the canvas, and the canvas on the image.

    Attributes:
        canvas: how pictures are laid on the teachers' input.
        left: first column of the image that is seen, in parts of its width.
        seen: how many columns are seen, in parts of its width.
        across: part of the canvas's width that the picture covers.
        down: part of the canvas's height that it covers.
    """

    canvas: Canvas
    left: float
    seen: float
    across: float
    down: float

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a level of that size whose centres the picture covers."""
        rows = math.floor(height * self.down + 0.5)
        columns = math.floor(width * self.across + 0.5)
        return max(1, min(height, rows)), max(1, min(width, columns))

    def sample(self, features: Tensor, height: int, width: int) -> Tensor:
        """A map over the image on the cells that the picture covers of a level of that size.

        Args:
            features: (B, C, rows, columns) over the whole image.
            height: of the teacher's level.
            width: of it.

        Returns:
            (B, C, *`cells`), each the mean of the image under a cell.
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
    """The area of a camera's image on teachers of some input size.

    Args:
        image_size: height and width of the teachers' input.
        width_px: of the image.
        height_px: of the image.
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
