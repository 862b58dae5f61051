"""Depth pictures match the geometry of the scene."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import CLEAR
import numpy as np
import pytest

from avdet_ros.dataset.depth_colours import BASELINE_M
from avdet_ros.simulation.pictures import Cameras


def test_exact_depth_matches_distance_of_drawn_vehicle(lone: Cameras) -> None:
    scene = lone.world.scene
    composed = lone.world.compose(0.0)
    exact = lone.depth.exact_m(0.0)
    mask = composed.look_up(composed.owner, -1) == 0
    place, rotation = scene.vehicles[0].pose(0.0)
    corners = place + scene.vehicles[0].outline_m() @ rotation.T
    _, depth = scene.rig.camera.project(corners - scene.ego_pose(0.0)[0])
    inside = exact[mask]
    assert np.quantile(inside, 0.02) > depth.min() - 0.3
    assert np.quantile(inside, 0.98) < depth.max() + 0.3


def test_measured_depth_is_noisy_and_limited_in_range(lone: Cameras) -> None:
    cameras = Cameras(lone.world.scene, replace(CLEAR, depth_range_m=50.0, depth_noise_px=0.5))
    rgb = cameras.rgb.paint(0.0)
    exact = cameras.depth.exact_m(0.0)
    _, metres = cameras.depth.paint(0.0, rgb)
    metres = metres.astype(np.float32)
    known = metres > 0
    assert not known[exact > 52].any()
    near = known & (exact < 30)
    assert near.sum() > 0.7 * (exact < 30).sum()
    error_px = 1000 * BASELINE_M * (1 / metres[near] - 1 / exact[near])
    assert 0.2 < np.median(np.abs(error_px)) / 0.6745 < 0.8


@pytest.mark.slow
def test_depth_is_missing_on_wet_and_dark_surfaces(lone: Cameras) -> None:
    def known(**changes: float) -> float:
        cameras = Cameras(lone.world.scene, replace(CLEAR, **changes))
        _, metres = cameras.depth.paint(0.0, cameras.rgb.paint(0.0))
        exact = cameras.depth.exact_m(0.0)
        return float((metres[exact < 40] > 0).mean())

    dry = known()
    assert known(rain=1.0, cloud=1.0) < dry - 0.15
    assert known(sun_elevation_deg=-25.0, street_lamps=0.0) < dry - 0.1
