"""Scenes in which nobody drives and one vehicle in view stands with its engine running.

In traffic, driving vehicles mask idling ones, so a model trained on traffic alone does not detect
an idling vehicle. Yet this is what users hear on the first day, in a car park.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.vehicles import random_vehicle

AZIMUTH_DEG = 45.0
"""Maximum angle between straight ahead and the idling vehicle."""

DISTANCE_M = (3.0, 30.0)

KINDS, SHARES = ('car', 'van', 'lorry', 'motorcycle'), (0.7, 0.13, 0.1, 0.07)
"""Kinds of vehicles and their shares; electric ones are silent at standstill."""

_BACKWARDS_MPS = -1e-9
"""Speed of a standing vehicle that faces against the road's direction."""


def with_idling_vehicle(scene: Scene) -> Scene:
    """Replace a drive's traffic by a standing ego vehicle and one other with its engine running.

    Args:
        scene: any drive; its traffic is left out. Half of the ego vehicles' engines run.
    """
    rng = np.random.default_rng([scene.seed, 20])
    ego, near = scene.ego, np.log(DISTANCE_M)
    here = Motion(
        float(ego.motion.along_m(scene.duration_s / 2)),
        0.0,
        lane=ego.motion.lane,
        aside_m=ego.motion.aside_m,
    )
    standing = replace(
        ego, motion=here, sound=replace(ego.sound, running=bool(rng.random() < 0.5))
    )
    away_m = float(np.exp(rng.uniform(*near)))
    azimuth = np.radians(rng.uniform(-AZIMUTH_DEG, AZIMUTH_DEG) + scene.ego_turn_deg)
    there = replace(
        here,
        start_m=here.start_m + away_m * float(np.cos(azimuth)),
        aside_m=here.aside_m + away_m * float(np.sin(azimuth)),
        speed_mps=float(rng.choice([0.0, _BACKWARDS_MPS])),
    )
    kind = str(rng.choice(KINDS, p=SHARES))
    other = random_vehicle(rng, 1, kind, ego.road, there, running=True)
    return replace(scene, ego=standing, vehicles=(other,))
