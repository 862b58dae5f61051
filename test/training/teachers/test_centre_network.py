"""The small detector: decoding of boxes and training."""

from __future__ import annotations

import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.boxes.grid import TYPICAL_SIZE
from avdet_ros.training.teachers.centre_network import CentreDetector, CentrePrediction

SIZE = (64, 128)


def pictures(count: int, seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return pictures of dim noise with one or no bright rectangle, and their boxes."""
    chance = torch.Generator().manual_seed(seed)
    made, boxes = 0.1 * torch.randn(count, 3, *SIZE, generator=chance), []
    for picture in made:
        x, y = (int(value) for value in torch.randint(4, 30, (2,), generator=chance))
        width, height = 16 + x, 10 + y // 2
        if x % 4 == 0:
            boxes.append(torch.zeros(0, 4))
            continue
        picture[:, y : y + height, 2 * x : 2 * x + width] += 2.0
        boxes.append(torch.tensor([[2 * x, y, 2 * x + width, y + height]], dtype=torch.float32))
    return made, boxes


def test_peak_cells_give_boxes_and_neighbours_are_suppressed():
    detector = CentreDetector(1, SIZE).eval()
    grid = torch.full((1, 5, 16, 32), -9.0)
    grid[:, 1:] = 0
    grid[0, 0, 4, 10], grid[0, 0, 4, 11], grid[0, 0, 12, 25] = 3.0, 2.0, -0.5
    ((boxes, scores),) = detector.boxes(CentrePrediction(grid, []), score_threshold=0.3)
    assert scores.tolist() == pytest.approx([0.9526, 0.3775], abs=1e-3)
    width, height = TYPICAL_SIZE[0] * 128, TYPICAL_SIZE[1] * 64
    middle = torch.tensor([10.5 * 4, 4.5 * 4])
    wanted = [*(middle - torch.tensor([width, height]) / 2)]
    assert boxes[0, :2].tolist() == pytest.approx([float(value) for value in wanted], abs=1e-4)


def test_pyramid_has_the_sizes_of_p3_to_p7():
    prediction = CentreDetector(1, SIZE).eval()(torch.zeros(2, 1, *SIZE))
    assert prediction.grid.shape == (2, 5, 16, 32)
    sizes = [tuple(level.shape[-2:]) for level in prediction.pyramid]
    assert sizes == [(8, 16), (4, 8), (2, 4), (1, 2), (1, 1)]


@pytest.mark.slow
def test_centre_detector_learns_in_forty_steps():
    torch.manual_seed(0)
    detector = CentreDetector(3, SIZE)
    optimiser = torch.optim.AdamW(detector.parameters(), lr=2e-3)
    losses = []
    for step in range(40):
        shown, boxes = pictures(8, step)
        loss = sum(detector.loss(detector(shown), boxes).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    # In new pictures the best cell lies in the bright rectangle much more often than by chance.
    shown, boxes = pictures(16, 1000)
    grid = detector(shown).grid[:, 0]
    right = 0
    for cells, true in zip(grid, boxes, strict=True):
        row, column = divmod(int(cells.argmax()), cells.shape[1])
        x, y = 4 * column + 2, 4 * row + 2
        right += bool(len(true)) and bool(
            true[0, 0] < x < true[0, 2] and true[0, 1] < y < true[0, 3]
        )
    assert right >= 0.8 * sum(map(len, boxes))


def test_unsupported_image_size_is_rejected():
    with pytest.raises(AvdetError, match='multiples of 32, found 100 x 128'):
        CentreDetector(3, (100, 128))
