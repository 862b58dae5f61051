"""Small worlds for tests: a straight road, an array on it, and chosen vehicles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.scene import Noise, Scene
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

QUIET = Noise(wind_db=-80, breeze_mps=0, self_db=-60, ambient_db=-60)


@pytest.fixture
def world():
    """Make a scene: world((x, y, speed), ...) with cars at x, y at t = 2 s."""
    road = straight_road()

    def make(*cars, ego_speed=0.0, ego_runs=False, seed=1, noise=QUIET, kind='car', **changes):
        own = SoundProfile(
            'light', cycles_per_m=1800 / 120 / max(ego_speed, 1.0), running=ego_runs
        )
        ego = Vehicle(0, 'car', 4.2, 1.8, 1.5, road, Motion(-2 * ego_speed, ego_speed), own)
        vehicles = []
        for index, (x, y, speed) in enumerate(cars):
            sound_profile = SoundProfile('light', cycles_per_m=1800 / 120 / max(abs(speed), 1.0))
            motion = Motion(x - 2 * speed, speed, aside_m=y)
            vehicles.append(Vehicle(index + 1, kind, 4.2, 1.8, 1.5, road, motion, sound_profile))
        scene = Scene(seed, 4.0, load_rig(), 'city', ego, tuple(vehicles), noise=noise)
        return replace(scene, **changes)

    return make
