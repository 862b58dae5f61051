from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import azimuth_grid, expected_coherences
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable


@pytest.mark.parametrize('pairs', [12, 28])
def test_table_matches_the_steering_of_the_detector(pairs):
    rng, front_end = np.random.default_rng(0), FrontEnd(pair_count=pairs)
    table, grid = SteeringTable(front_end), azimuth_grid()
    places = rng.uniform(-0.6, 0.6, (3, 8, 3)).astype(np.float32)
    yaw_deg = np.array([0.0, 33.0, -170.0], np.float32)
    alive = np.ones((3, 8), bool)
    alive[1, 2] = alive[2, [0, 7]] = False
    found = table.steering(
        torch.from_numpy(places),
        torch.from_numpy(yaw_deg),
        torch.from_numpy(grid).float(),
        torch.from_numpy(alive),
    ).numpy()
    assert found.shape == (3, 80, 80, 2 * pairs)
    for index in range(3):
        turned = np.radians(grid - yaw_deg[index])
        directions = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
        exact = expected_coherences(front_end, places[index], directions, alive[index])
        # Errors relative to one pair; the limit is lower up to 8 kHz, where vehicles are audible.
        assert np.abs(found[index] - exact)[:60].max() * pairs < 0.004
        assert np.abs(found[index] - exact).max() * pairs < 0.04
        live = np.array([alive[index][i] and alive[index][j] for i, j in front_end.pairs])
        assert np.all(found[index][..., ~np.repeat(live, 2)] == 0)


def test_channel_delay_equals_a_more_distant_microphone():
    front_end = FrontEnd()
    table = SteeringTable(front_end)
    rng = np.random.default_rng(1)
    places = torch.from_numpy(rng.uniform(-0.3, 0.3, (1, 8, 3))).float()
    moved = places.clone()
    moved[0, 4, 0] -= 343.0 * 50e-6
    late_s = torch.zeros(1, 8)
    late_s[0, 4] = 50e-6
    ahead, all_alive = torch.tensor([0.0]), torch.ones(1, 8, dtype=torch.bool)
    by_delay = table.steering(places, torch.zeros(1), ahead, all_alive, late_s)
    by_place = table.steering(moved, torch.zeros(1), ahead, all_alive)
    torch.testing.assert_close(by_delay, by_place, atol=1e-4, rtol=0)
    assert (by_delay - table.steering(places, torch.zeros(1), ahead, all_alive)).abs().max() > 0.05


def test_half_the_speed_of_sound_equals_an_array_of_twice_the_size():
    table = SteeringTable(FrontEnd())
    places = torch.from_numpy(np.random.default_rng(2).uniform(-0.2, 0.2, (1, 8, 3))).float()
    azimuths, alive = torch.tensor([-40.0, 10.0]), torch.ones(1, 8, dtype=torch.bool)
    speed_mps = torch.tensor([[343.0, 343.0 / 2]])
    slow = table.steering(places, torch.zeros(1), azimuths, alive, None, speed_mps)
    usual = table.steering(places, torch.zeros(1), azimuths, alive)
    large = table.steering(2 * places, torch.zeros(1), azimuths, alive)
    torch.testing.assert_close(slow[:, :, 0], usual[:, :, 0])
    torch.testing.assert_close(slow[:, :, 1], large[:, :, 1], atol=1e-5, rtol=0)
