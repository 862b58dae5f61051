from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.training.data.camera_frames import network_input
from avdet_ros.training.data.picture_area import picture_area


@pytest.mark.parametrize(
    ('size', 'crop'), [((128, 256), False), ((256, 256), True), ((384, 256), False)]
)
def test_bright_block_has_the_same_place_for_student_and_teacher(size, crop):
    """Compare the block on the teacher's canvas with that on the student's map."""
    area = picture_area(size, 1920, 650, crop)
    picture = np.zeros((650, 1920, 3), np.uint8)
    picture[300:420, 1100:1300] = 255
    canvas = (network_input(picture, 'rgb', area.canvas)[0] > 1).astype(float)
    stride = 8
    height, width = size[0] // stride, size[1] // stride
    seen = canvas.reshape(height, stride, width, stride).mean(axis=(1, 3))
    rows, columns = area.cells(height, width)
    seen = seen[:rows, :columns]
    image = torch.zeros(1, 1, 32, 96)
    y, x = (torch.arange(32) + 0.5) * 650 / 32, (torch.arange(96) + 0.5) * 1920 / 96
    inside = ((y > 300) & (y < 420))[:, None] & ((x > 1100) & (x < 1300))[None]
    image[0, 0] = inside.float()
    sampled = area.sample(image, height, width)[0, 0].numpy()
    assert sampled.shape == seen.shape

    def centre(level: np.ndarray) -> np.ndarray:
        grid = np.indices(level.shape)
        return (grid * level).sum(axis=(1, 2)) / level.sum()

    np.testing.assert_allclose(centre(sampled), centre(seen), atol=0.35)


def test_coarse_cells_are_means_and_pass_gradients_everywhere():
    area = picture_area((128, 256), 1920, 650, crop=False)
    image = torch.rand(2, 3, 16, 48, requires_grad=True)
    coarse = area.sample(image, 4, 8)
    assert coarse.shape == (2, 3, 3, 8)
    coarse.sum().backward()
    assert (image.grad > 0).float().mean() > 0.9
    assert torch.allclose(area.sample(torch.ones(1, 1, 16, 48), 4, 8), torch.ones(1, 1, 3, 8))
