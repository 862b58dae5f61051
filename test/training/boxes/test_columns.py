from __future__ import annotations

import pytest
import torch

from avdet_ros.training.boxes.columns import COLUMNS, audio_columns, column_occupancy


def test_box_occupancy_is_one_in_its_columns_and_fades_outside():
    box = torch.tensor([[12 / COLUMNS, 0.4, 15 / COLUMNS, 0.6]])
    seen = column_occupancy([box, torch.zeros(0, 4)], softness=1 / COLUMNS)
    assert seen.shape == (2, COLUMNS)
    assert seen[0, 12:15].tolist() == [1, 1, 1]
    # The centre of the adjacent column is half a column outside the box.
    assert seen[0, 15] == pytest.approx(2.718281828 ** (-0.5 * 0.25), rel=1e-5)
    assert seen[0, 11] == pytest.approx(float(seen[0, 15]), rel=1e-4)
    assert seen[0, 20:].max() < 1e-6
    assert seen[1].sum() == 0


def test_audio_columns_accept_encodings_of_any_shape():
    rows = torch.arange(2.0)[:, None] * torch.ones(1, 3, 2, COLUMNS)
    assert audio_columns(rows).unique().tolist() == [0.5]
    assert audio_columns(torch.rand(2, 3, 4, 12)).shape == (2, 3, COLUMNS)
    assert audio_columns(torch.ones(2, 3, 5)).shape == (2, 3, COLUMNS)
    assert audio_columns(torch.ones(2, 3)).eq(1).all()
