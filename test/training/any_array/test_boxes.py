from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.detection.angles import boxes_from_degrees
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.training.any_array.bearing_first import (
    LARGEST_RANGE_M,
    LEAST_RANGE_M,
    RANGE_BINS,
    VALUES,
    BearingShape,
)
from avdet_ros.training.any_array.boxes import (
    columns_deg,
    decoded_angles,
    encoded_boxes,
    plane_boxes,
    range_quantiles,
)

SHAPE = BearingShape()


def test_columns_match_the_steering_azimuths():
    np.testing.assert_allclose(columns_deg(SHAPE).numpy(), azimuth_grid()[:64], rtol=1e-5)


def test_encoded_boxes_decode_to_the_same_angles():
    rng = np.random.default_rng(0)
    angles = torch.from_numpy(
        np.stack(
            [
                rng.uniform(-56, 56, 64),
                rng.uniform(-20, 5, 64),
                rng.uniform(0.7, 60, 64),
                rng.uniform(0.7, 30, 64),
            ],
            axis=-1,
        )
    ).float()
    columns = torch.zeros(64, VALUES)
    columns[:, 1:5] = encoded_boxes(angles, columns_deg(SHAPE), SHAPE)
    torch.testing.assert_close(decoded_angles(columns, SHAPE), angles, atol=1e-3, rtol=1e-4)
    exact = boxes_from_degrees(*angles.numpy().astype(np.float64).T)
    np.testing.assert_allclose(plane_boxes(angles).numpy(), exact, rtol=2e-4, atol=1e-5)


def test_boxes_and_ranges_stay_finite_for_extreme_values():
    wild = torch.full((2, 64, VALUES), 1e6)
    wild[1] = -1e6
    assert plane_boxes(decoded_angles(wild, SHAPE)).isfinite().all()
    assert range_quantiles(wild).isfinite().all()


@pytest.mark.parametrize('bin_', [0, 7, 23])
def test_range_quantiles_match_known_distributions(bin_):
    columns = torch.zeros(1, VALUES)
    columns[0, 5 + bin_] = 50.0
    step = np.log(LARGEST_RANGE_M / LEAST_RANGE_M) / RANGE_BINS
    low = LEAST_RANGE_M * np.exp(bin_ * step)
    expected = low * np.exp(np.array([0.05, 0.5, 0.95]) * step)
    np.testing.assert_allclose(range_quantiles(columns)[0].numpy(), expected, rtol=1e-3)
    even = range_quantiles(torch.zeros(1, VALUES))[0].numpy()
    span = np.log(LARGEST_RANGE_M / LEAST_RANGE_M)
    np.testing.assert_allclose(np.log(even / LEAST_RANGE_M) / span, [0.05, 0.5, 0.95], atol=1e-4)
