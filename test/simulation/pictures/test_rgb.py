"""Colour pictures at night, in rain and against the sun."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import CLEAR, lone_scene
import numpy as np
import pytest

from avdet_ros.simulation.pictures import Cameras, render_rgb
from avdet_ros.simulation.pictures.thermal import temperature_c


def body_contrast(picture: np.ndarray, composed) -> float:
    """Difference between the mean of a vehicle and of its surroundings, in the picture's units."""
    import cv2

    owner = composed.look_up(composed.owner, -1)
    mask = (owner == 0).astype(np.uint8)
    mask = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    rim = cv2.dilate(mask, np.ones((41, 41))) - cv2.dilate(mask, np.ones((9, 9)))
    return abs(float(picture[mask > 0].mean()) - float(picture[rim > 0].mean()))


def test_night_hides_unlit_vehicle_in_rgb_but_not_in_thermal() -> None:
    # beside the beam of the ego vehicle's headlamps
    scene = lone_scene('van', ahead_m=12.0, lane=2.6, seed=3)
    results = {}
    for name, elevation in (('day', 35.0), ('night', -25.0)):
        conditions = replace(CLEAR, sun_elevation_deg=elevation, street_lamps=0.0)
        cameras = Cameras(scene, conditions)
        composed = cameras.world.compose(0.0)
        dark = tuple(replace(placed, lights=False) for placed in composed.vehicles)
        composed = replace(composed, vehicles=dark)
        cameras.world._last = 0.0, frozenset(), composed
        rgb = cameras.rgb.paint(0.0).mean(axis=2)
        thermal = temperature_c(cameras.thermal.paint(0.0))
        results[name] = body_contrast(rgb, composed), body_contrast(thermal, composed)
    assert results['night'][0] < 0.3 * results['day'][0]
    assert results['night'][1] > 1.0


def test_vehicle_lamps_are_bright_at_night() -> None:
    scene = lone_scene('car', ahead_m=25.0)
    night = replace(CLEAR, sun_elevation_deg=-25.0, street_lamps=0.0)
    picture = render_rgb(scene, night, 0.0)
    x0, y0, x1, y1 = scene.truth(0.0).boxes_px[0].astype(int)
    assert picture[y0:y1, x0:x1].max() > 230
    assert np.median(picture[y0:y1, x0:x1]) < 90
    assert picture.dtype == np.uint8
    assert picture.shape == (650, 1920, 3)


@pytest.mark.slow
def test_rain_adds_streaks_and_glare_brightens_picture_middle(lone: Cameras) -> None:
    dry = lone.rgb.paint(0.0)
    rainy = Cameras(lone.world.scene, replace(CLEAR, rain=0.8, cloud=1.0)).rgb.paint(0.0)

    def edges(picture: np.ndarray) -> float:
        return float((np.abs(np.diff(picture[:200].astype(int), axis=1)) > 7).mean())

    # streaks have edges where the dry sky has none
    assert edges(rainy) > 0.01
    assert edges(rainy) > 3 * edges(dry)
    low_sun = replace(CLEAR, sun_elevation_deg=8.0, sun_azimuth_deg=0.0, cloud=0.0)
    plain = Cameras(lone.world.scene, low_sun).rgb.paint(0.0)
    blinded = Cameras(lone.world.scene, replace(low_sun, glare=1.0)).rgb.paint(0.0)
    middle = slice(250, 450), slice(800, 1120)
    assert blinded[middle].mean() > plain[middle].mean() + 20
