"""Bodies of vehicles."""

from __future__ import annotations

from helpers.lone_vehicle import lone_scene
import numpy as np
import pytest

from avdet_ros.simulation.pictures.bodies import body_of
from avdet_ros.simulation.vehicles import KINDS


@pytest.mark.parametrize('kind', KINDS)
def test_bodies_match_size_of_their_vehicle(kind: str) -> None:
    for seed in range(8):
        vehicle = lone_scene(kind, seed=seed).vehicles[0]
        corners = body_of(vehicle).faces.corners
        low, high = corners.min(axis=0), corners.max(axis=0)
        size = np.array([vehicle.length_m, vehicle.width_m, vehicle.height_m])
        # mirrors protrude sideways by up to 8 cm each, lamps by a centimetre
        np.testing.assert_allclose(high - low, size, atol=0.22)
        assert low[2] == pytest.approx(0.0, abs=0.02)
        assert (high - low)[2] == pytest.approx(size[2], abs=0.03)
