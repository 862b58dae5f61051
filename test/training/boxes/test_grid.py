from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.training.boxes.grid import CHANNELS, decode, encode, make_targets
from avdet_ros.training.boxes.grid_loss import gaussian_focal_loss, grid_loss, taught_cells


def some_boxes(count: int, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (count, 2))
    return torch.from_numpy(
        np.concatenate([low, low + rng.uniform(0.02, 0.3, (count, 2))], 1)
    ).float()


def test_decode_inverts_encode():
    boxes = some_boxes(20, 0)
    cells = torch.stack(
        [torch.zeros(20, dtype=torch.int64), torch.arange(20) % 6, torch.arange(20) % 9], 1
    )
    values = encode(boxes, cells, rows=6, columns=9)
    for box, (_, row, column), value in zip(boxes, cells, values, strict=True):
        grid = torch.zeros(1, CHANNELS, 6, 9)
        grid[0, 1:, row, column] = value
        found, _ = decode(grid)
        torch.testing.assert_close(found[0, row * 9 + column], box, atol=1e-6, rtol=0)


def test_heat_targets_peak_in_the_cell_of_each_box_centre():
    window = torch.tensor([[0.1, 0.1, 0.2, 0.3], [0.5, 0.5, 0.9, 0.9]])
    targets = make_targets([window, torch.zeros(0, 4)], rows=10, columns=20)
    assert targets.vehicles == 2
    assert targets.heat[0, 2, 3] == 1
    assert targets.heat[0, 7, 14] == 1
    assert (targets.heat[0] == 1).sum() == 2
    assert targets.heat[1].max() == 0
    at_centre = targets.weights == 1
    assert targets.cells[at_centre].tolist() == [[0, 2, 3], [0, 7, 14]]
    torch.testing.assert_close(targets.boxes[at_centre], window)
    assert targets.weights.min() > 0.5


@pytest.mark.parametrize('box', [[0.99, 0.99, 1.0, 1.0], [0.0, 0.0, 0.001, 0.001], [0, 0, 1, 1]])
def test_boxes_at_the_image_edge_have_one_heat_peak(box):
    targets = make_targets([torch.tensor([box], dtype=torch.float32)], 16, 48)
    assert (targets.heat == 1).sum() == 1


def perfect_grid(boxes: list[torch.Tensor], rows: int, columns: int) -> torch.Tensor:
    targets = make_targets(boxes, rows, columns)
    grid = torch.zeros(len(boxes), CHANNELS, rows, columns)
    grid[:, 0] = torch.where(targets.heat == 1, 12.0, -12.0)
    batch, row, column = targets.cells.T
    grid[batch, 1:, row, column] = encode(targets.boxes, targets.cells, rows, columns)
    return grid


def test_grid_loss_is_small_for_the_truth_and_large_otherwise():
    boxes = [some_boxes(2, 1), torch.zeros(0, 4), some_boxes(1, 2)]
    targets = make_targets(boxes, 16, 48)
    right = grid_loss(perfect_grid(boxes, 16, 48), targets)
    assert sum(right.values()) < 1e-3
    nothing = grid_loss(torch.full((3, CHANNELS, 16, 48), -12.0), targets)
    assert nothing['focal'] > 10
    wrong = perfect_grid(boxes, 16, 48)
    wrong[:, 1] += 2.0
    assert grid_loss(wrong, targets)['giou'] > 10 * right['giou'] + 0.5


def test_batch_without_vehicles_lowers_all_scores():
    grid = torch.zeros(2, CHANNELS, 4, 6, requires_grad=True)
    terms = grid_loss(grid, make_targets([torch.zeros(0, 4)] * 2, 4, 6))
    sum(terms.values()).backward()
    assert terms['huber'] == terms['giou'] == 0
    assert torch.isfinite(grid.grad).all()
    assert (grid.grad[:, 0] > 0).all()


def test_focal_loss_matches_its_equation():
    logits, heat = torch.tensor([[[0.3, -1.0]]]), torch.tensor([[[1.0, 0.6]]])
    p = 1 / (1 + np.exp(-np.array([0.3, -1.0])))
    expected = -((1 - p[0]) ** 2 * np.log(p[0])) - 0.4**4 * p[1] ** 2 * np.log(1 - p[1])
    assert float(gaussian_focal_loss(logits, heat)) == pytest.approx(expected, rel=1e-5)


def test_grid_loss_gradients_match_finite_differences():
    torch.manual_seed(0)
    boxes = [some_boxes(2, 3).double()]
    targets = make_targets(boxes, 4, 6)
    grid = torch.randn(1, CHANNELS, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: sum(grid_loss(g, targets).values()), grid, atol=1e-4)


def test_open_areas_are_excluded_from_the_loss_except_at_labels():
    label = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
    targets = make_targets([label, torch.zeros(0, 4)], 4, 8)
    left = torch.tensor([[0.0, 0.0, 0.25, 1.0]])
    taught = taught_cells(targets.heat, [left, torch.zeros(0, 4)])
    assert not taught[0, :, :2].any()
    assert taught[0, :, 2:].all()
    assert taught[1].all()
    # Partly covered cells are open too, and a label inside keeps its cells.
    taught = taught_cells(targets.heat, [torch.tensor([[0.30, 0.0, 0.9, 1.0]]), left[:0]])
    assert taught[0, :, 2:].sum() == (targets.heat[0] > 0.5).sum() > 0
    grid = torch.zeros(2, CHANNELS, 4, 8, requires_grad=True)
    whole = grid_loss(grid, targets)
    part = grid_loss(grid, targets, taught=taught)
    assert part['giou'] == whole['giou']
    assert part['focal'] < whole['focal']
    part['focal'].backward()
    assert (grid.grad[0, 0][~taught[0]] == 0).all()
    assert (grid.grad[1, 0] > 0).all()
