from __future__ import annotations

import pytest
import torch

from avdet_ros.training.any_array.bearing_first import VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg, encoded_boxes
from avdet_ros.training.any_array.detector import averaged_azimuths, distinct

SHAPE = BearingShape()


def columns_saying(*vehicles):
    """(64, VALUES): silent but for (column, logit, azimuth, width) vehicles."""
    columns = torch.zeros(64, VALUES)
    columns[:, 0] = -10 - 0.01 * torch.arange(64)
    angles = torch.tensor([[0.0, -1.0, 0.5, 3.0]]).repeat(64, 1)
    angles[:, 0] = columns_deg(SHAPE)
    for column, logit, azimuth, width in vehicles:
        columns[column, 0] = logit
        angles[column, 0], angles[column, 2] = azimuth, width
    columns[:, 1:5] = encoded_boxes(angles, columns_deg(SHAPE), SHAPE)
    return columns


def loud(columns):
    angles, logits, range_m = distinct(columns, SHAPE)
    assert (logits.diff() <= 0).all()
    assert angles.shape[1:] == (4,)
    assert range_m.shape == (len(logits), 3)
    return [(round(float(a), 1), round(float(w), 1)) for a, _, w, _ in angles[logits > -5]]


def test_likeliest_first_and_what_is_said_twice_once():
    columns = columns_saying((20, 1.0, 20.0, 3.0), (21, 3.0, 18.6, 3.0), (50, 2.0, -32.0, 3.0))
    # The one that is dropped draws a little at the one that is kept.
    first, second = loud(columns)
    assert first == pytest.approx((18.6, 3.0), abs=0.15)
    assert second == (-32.0, 3.0)


def test_large_boxes_that_overlap_are_one_vehicle_and_a_small_one_beside_it_is_another():
    columns = columns_saying((20, 3.0, 20.0, 30.0), (23, 2.0, 15.0, 30.0), (26, 1.0, 12.0, 2.0))
    assert loud(columns) == [(20.0, 30.0), (12.0, 2.0)]


def test_two_vehicles_three_degrees_apart_are_two():
    assert len(loud(columns_saying((30, 2.0, 3.0, 2.0), (32, 1.0, 0.0, 2.0)))) == 2


def test_a_vehicle_on_the_slope_of_a_louder_one_is_said():
    # Columns 1.75 degrees apart whose logits fall to the right: each is near to a likelier one.
    azimuths = columns_deg(SHAPE)[30:34].tolist()
    slope = [(30 + k, 3.0 - k, azimuths[k], 1.0) for k in range(4)]
    said = [azimuth for azimuth, _ in loud(columns_saying(*slope))]
    assert said == pytest.approx([azimuths[0], azimuths[2]], abs=0.15)


def test_columns_that_mean_one_vehicle_say_its_bearing_together():
    angles = torch.tensor([[10.0, -1.0, 3.0, 2.0]]).repeat(64, 1)
    angles[:, 0] = columns_deg(SHAPE) * 2  # far from one another
    angles[20:23, 0] = torch.tensor([10.0, 10.4, 10.2])
    logits = torch.full((64,), -8.0)
    logits[20:23] = torch.tensor([3.0, 3.0, -8.0])
    averaged = averaged_azimuths(angles, logits)
    assert averaged[20:23, 0].tolist() == pytest.approx([10.18, 10.22, 10.2], abs=0.02)
    assert torch.equal(averaged[:, 1:], angles[:, 1:])
    both = averaged_azimuths(angles.expand(2, -1, -1), logits.expand(2, -1))
    assert torch.equal(both[1], averaged)
    # Where nothing is heard at all there is still a number.
    assert torch.isfinite(averaged_azimuths(angles, torch.full((64,), -80.0))).all()


def test_a_vehicle_two_degrees_away_hardly_draws_at_a_bearing():
    columns = columns_saying((30, 2.0, 2.2, 1.0), (32, 2.0, 0.0, 1.0))
    angles, _, _ = distinct(columns, SHAPE)
    assert sorted(angles[:2, 0].tolist()) == pytest.approx([0.0, 2.2], abs=0.03)
