"""Thermal pictures: counts, temperatures, contrast."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import CLEAR, lone_scene
import numpy as np
import pytest

from avdet_ros.simulation.pictures import Cameras
from avdet_ros.simulation.pictures.thermal import counts, temperature_c
from avdet_ros.simulation.scene import Scene


@pytest.mark.slow
def test_thermal_contrast_drops_on_hot_day_and_for_cold_car() -> None:
    scene = lone_scene('car', ahead_m=12.0)

    def contrast(scene: Scene, **changes: float) -> float:
        cameras = Cameras(scene, replace(CLEAR, **changes))
        counted = np.clip(cameras.thermal.paint(0.0).astype(float), 21800, 25000)
        composed = cameras.world.compose(0.0)
        material = composed.look_up(composed.faces.material, -1)
        from avdet_ros.simulation.pictures.materials import INDEX

        tyres = (material == INDEX['tyre']) & (composed.look_up(composed.owner, -1) == 0)
        road = material == INDEX['asphalt']
        small = counted[::2, ::2]
        return float(small[tyres].mean() - small[road].mean()) / 80.0

    mild = contrast(scene, air_c=12.0)
    assert mild > 4.0
    assert contrast(scene, air_c=36.0, sun_elevation_deg=60.0, cloud=0.0) < 0.4 * mild
    assert contrast(scene, air_c=12.0, started_share=1.0) < 0.4 * mild
    parked = lone_scene('car', ahead_m=12.0, speed=0.0, running=False)
    assert contrast(parked, air_c=12.0) < 0.4 * mild
    night = contrast(scene, air_c=12.0, sun_elevation_deg=-20.0)
    assert night > 4.0


def test_counts_and_temperatures_convert_both_ways() -> None:
    assert counts(np.array([-0.65, 39.35])) == pytest.approx([21800, 25000])
    assert temperature_c(counts(np.float32(20.0))) == pytest.approx(20.0, abs=1e-3)
