from __future__ import annotations

import pytest
import torch

from avdet_ros.training.any_array.bearing_first import VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg, encoded_boxes
from avdet_ros.training.any_array.detector import averaged_azimuths, distinct

SHAPE = BearingShape()


def columns_with(*vehicles):
    """Return (64, VALUES) columns, empty except for (column, logit, azimuth, width) vehicles."""
    columns = torch.zeros(64, VALUES)
    columns[:, 0] = -10 - 0.01 * torch.arange(64)
    angles = torch.tensor([[0.0, -1.0, 0.5, 3.0]]).repeat(64, 1)
    angles[:, 0] = columns_deg(SHAPE)
    for column, logit, azimuth, width in vehicles:
        columns[column, 0] = logit
        angles[column, 0], angles[column, 2] = azimuth, width
    columns[:, 1:5] = encoded_boxes(angles, columns_deg(SHAPE), SHAPE)
    return columns


def likely_boxes(columns):
    angles, logits, range_m = distinct(columns, SHAPE)
    assert (logits.diff() <= 0).all()
    assert angles.shape[1:] == (4,)
    assert range_m.shape == (len(logits), 3)
    return [(round(float(a), 1), round(float(w), 1)) for a, _, w, _ in angles[logits > -5]]


def test_boxes_are_sorted_by_logit_and_duplicates_are_dropped():
    columns = columns_with((20, 1.0, 20.0, 3.0), (21, 3.0, 18.6, 3.0), (50, 2.0, -32.0, 3.0))
    # The dropped box slightly shifts the bearing of the kept one.
    first, second = likely_boxes(columns)
    assert first == pytest.approx((18.6, 3.0), abs=0.15)
    assert second == (-32.0, 3.0)


def test_large_overlapping_boxes_are_one_vehicle_and_a_small_one_is_another():
    columns = columns_with((20, 3.0, 20.0, 30.0), (23, 2.0, 15.0, 30.0), (26, 1.0, 12.0, 2.0))
    assert likely_boxes(columns) == [(20.0, 30.0), (12.0, 2.0)]


def test_two_vehicles_three_degrees_apart_are_both_kept():
    assert len(likely_boxes(columns_with((30, 2.0, 3.0, 2.0), (32, 1.0, 0.0, 2.0)))) == 2


def test_box_near_only_a_dropped_box_is_kept():
    # Columns 1.75 degrees apart with falling logits: each is near a more probable one.
    azimuths = columns_deg(SHAPE)[30:34].tolist()
    slope = [(30 + k, 3.0 - k, azimuths[k], 1.0) for k in range(4)]
    said = [azimuth for azimuth, _ in likely_boxes(columns_with(*slope))]
    assert said == pytest.approx([azimuths[0], azimuths[2]], abs=0.15)


def test_bearings_of_columns_of_one_vehicle_are_averaged():
    angles = torch.tensor([[10.0, -1.0, 3.0, 2.0]]).repeat(64, 1)
    angles[:, 0] = columns_deg(SHAPE) * 2  # far apart
    angles[20:23, 0] = torch.tensor([10.0, 10.4, 10.2])
    logits = torch.full((64,), -8.0)
    logits[20:23] = torch.tensor([3.0, 3.0, -8.0])
    averaged = averaged_azimuths(angles, logits)
    assert averaged[20:23, 0].tolist() == pytest.approx([10.18, 10.22, 10.2], abs=0.02)
    assert torch.equal(averaged[:, 1:], angles[:, 1:])
    both = averaged_azimuths(angles.expand(2, -1, -1), logits.expand(2, -1))
    assert torch.equal(both[1], averaged)
    # The average stays finite where all logits are very low.
    assert torch.isfinite(averaged_azimuths(angles, torch.full((64,), -80.0))).all()


def test_vehicle_two_degrees_away_hardly_shifts_a_bearing():
    columns = columns_with((30, 2.0, 2.2, 1.0), (32, 2.0, 0.0, 1.0))
    angles, _, _ = distinct(columns, SHAPE)
    assert sorted(angles[:2, 0].tolist()) == pytest.approx([0.0, 2.2], abs=0.03)
