"""Three cameras of one drive: what they draw, where, and in which pixels."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import CLEAR, lone_scene
import numpy as np
import pytest

from avdet_ros.detection.boxes import box_iou
from avdet_ros.simulation.pictures import Cameras, random_conditions
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.vehicles import KINDS

pytestmark = pytest.mark.slow


def shown_box(cameras: Cameras, t_s: float, identity: int) -> np.ndarray:
    """Box around the pixels that change when a vehicle is removed from the RGB picture."""
    nothing = np.zeros(cameras.rgb.ground_light.beam.shape, np.float32)
    cameras.rgb.ground_light.shadows = lambda *_: (nothing, nothing)
    with_it = cameras.rgb.paint(t_s).astype(int)
    without = cameras.rgb.paint(t_s, frozenset([identity])).astype(int)
    # noise and rain are the same in both
    changed = np.abs(with_it - without).max(axis=2) > 10
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('ahead_m', 'lane'), [(9.0, 0.5), (24.0, -0.5), (45.0, 1.5)])
def test_drawn_vehicle_matches_truth_box(kind: str, ahead_m: float, lane: float) -> None:
    scene = lone_scene(kind, ahead_m, lane, speed=0.0)
    cameras = Cameras(scene, CLEAR)
    truth = scene.truth(0.0)
    drawn = shown_box(cameras, 0.0, 1)
    iou = box_iou(drawn[None], truth.boxes_px)[0, 0]
    # the truth's outline of a motorcycle is as wide at its front wheel as at its handlebars
    assert iou > (0.7 if kind == 'motorcycle' else 0.8), (drawn, truth.boxes_px)


def test_vehicle_pixels_lie_in_truth_box_and_are_counted(lone: Cameras) -> None:
    truth = lone.world.scene.truth(0.5)
    composed = lone.world.compose(0.5)
    mask = composed.look_up(composed.owner, -1) == 0
    rows, columns = np.nonzero(mask)
    x0, y0, x1, y1 = truth.boxes_px[0] / 2
    assert columns.min() >= x0 - 5
    assert columns.max() <= x1 + 5
    assert rows.min() >= y0 - 2
    assert rows.max() <= y1 + 2
    assert lone.pixels(0.5) == {1: 4 * int(mask.sum())}
    assert lone.pixels(0.5, frozenset([1])) == {}


def test_frame_does_not_depend_on_earlier_frames() -> None:
    scene = random_scene(300003, duration_s=4.0)
    conditions = random_conditions(300003, scene.temperature_c)
    first = Cameras(scene, conditions)
    first.frame(0.5)
    first.frame(2.0)
    one, again = first.frame(1.0), Cameras(scene, conditions).frame(1.0)
    for name in ('rgb', 'thermal', 'depth', 'depth_m'):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.rgb.shape, one.thermal.shape) == ((650, 1920, 3), (650, 1920))
    assert (one.thermal.dtype, one.depth_m.dtype) == (np.uint16, np.float16)


@pytest.mark.parametrize('setting', ['city', 'country', 'motorway', 'tunnel'])
def test_every_setting_can_be_drawn(setting: str) -> None:
    scene = replace(random_scene(300052, duration_s=4.0), setting=setting)
    frame = Cameras(scene, replace(CLEAR, sun_elevation_deg=-20.0, rain=0.5)).frame(1.0)
    assert frame.rgb.std() > 5
    sky = frame.depth_m[:20, 300:660] == 0
    # in a tunnel there is something overhead
    assert sky.mean() < 0.5 if setting == 'tunnel' else sky.mean() > 0.5


def test_hill_hides_lower_part_of_vehicle_behind_it() -> None:
    from scipy.interpolate import CubicSpline

    from avdet_ros.simulation.road import Road

    along = np.arange(-100.0, 301.0, 2.0)
    height = 3.0 * np.exp(-(((along - 40) / 18) ** 2))
    points = np.stack([along, 0 * along, height], axis=-1)
    hilly = Road(-100.0, 300.0, CubicSpline(along, points), 3.5, (0.0, 0.0, 0.0))
    flat = lone_scene('lorry', ahead_m=75.0, speed=0.0)
    vehicles = tuple(replace(vehicle, road=hilly) for vehicle in flat.vehicles)
    hill = replace(flat, ego=replace(flat.ego, road=hilly), vehicles=vehicles)
    shown = [Cameras(scene, CLEAR).pixels(0.0).get(1, 0) for scene in (flat, hill)]
    assert shown[1] < 0.75 * shown[0]
