"""One vehicle on a straight, flat road ahead of a standing one: the scene of picture tests."""

from __future__ import annotations

import numpy as np

from avdet_ros.rig import load_rig
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.pictures import Conditions
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.vehicles import random_vehicle

CLEAR = Conditions(seed=5, cloud=0.2, sun_azimuth_deg=150.0, started_share=0.0)


def lone_scene(
    kind: str = 'car',
    ahead_m: float = 15.0,
    lane: float = 0.5,
    speed: float = -10.0,
    running: bool = True,
    seed: int = 1,
) -> Scene:
    """One vehicle on a straight, flat road ahead of a standing one."""
    road = straight_road()
    rng = np.random.default_rng(seed)
    ego = random_vehicle(rng, 0, 'car', road, Motion(0.0, 0.0, lane=-0.5))
    other = random_vehicle(rng, 1, kind, road, Motion(ahead_m, speed, lane=lane), running=running)
    return Scene(
        seed=seed, duration_s=4.0, rig=load_rig(), setting='country', ego=ego, vehicles=(other,)
    )
