from __future__ import annotations

import torch

from avdet_ros.training.any_array.bearing_first import VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg, encoded_boxes
from avdet_ros.training.any_array.detector import distinct

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
    assert loud(columns) == [(18.6, 3.0), (-32.0, 3.0)]


def test_large_boxes_that_overlap_are_one_vehicle_and_a_small_one_beside_it_is_another():
    columns = columns_saying((20, 3.0, 20.0, 30.0), (23, 2.0, 15.0, 30.0), (26, 1.0, 12.0, 2.0))
    assert loud(columns) == [(20.0, 30.0), (12.0, 2.0)]


def test_two_vehicles_three_degrees_apart_are_two():
    assert len(loud(columns_saying((30, 2.0, 3.0, 2.0), (32, 1.0, 0.0, 2.0)))) == 2


def test_a_vehicle_on_the_slope_of_a_louder_one_is_said():
    # Columns 1.75 degrees apart whose logits fall to the right: each is near to a likelier one.
    azimuths = columns_deg(SHAPE)[30:34].tolist()
    slope = [(30 + k, 3.0 - k, azimuths[k], 1.0) for k in range(4)]
    assert [a for a, _ in loud(columns_saying(*slope))] == [
        round(azimuths[0], 1),
        round(azimuths[2], 1),
    ]
