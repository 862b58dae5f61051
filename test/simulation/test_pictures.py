"""Pictures against the geometry and the physics they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.dataset.depth_colours import BASELINE_M, colour_coded
from avdet_ros.detection.boxes import box_iou
from avdet_ros.rig import load_rig
from avdet_ros.simulation.pictures import Cameras, Conditions, random_conditions, render_rgb
from avdet_ros.simulation.pictures.bodies import body_of
from avdet_ros.simulation.pictures.faces import FaceList, look, view_of
from avdet_ros.simulation.pictures.order import back_to_front
from avdet_ros.simulation.pictures.thermal import counts, temperature_c
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.vehicles import KINDS, Motion, random_vehicle

CLEAR = Conditions(seed=5, cloud=0.2, sun_azimuth_deg=150.0, started_share=0.0)


def lone_scene(kind: str = 'car', ahead_m: float = 15.0, lane: float = 0.5, speed: float = -10.0,
               running: bool = True, seed: int = 1) -> Scene:  # fmt: skip
    """One vehicle on a straight, flat road ahead of a standing one."""
    road = straight_road()
    rng = np.random.default_rng(seed)
    ego = random_vehicle(rng, 0, 'car', road, Motion(0.0, 0.0, lane=-0.5))
    other = random_vehicle(rng, 1, kind, road, Motion(ahead_m, speed, lane=lane), running=running)
    return Scene(
        seed=seed, duration_s=4.0, rig=load_rig(), setting='country', ego=ego, vehicles=(other,)
    )


@pytest.fixture(scope='module')
def lone() -> Cameras:
    return Cameras(lone_scene(), CLEAR)


def shown_box(cameras: Cameras, t_s: float, identity: int) -> np.ndarray:
    """Box around the pixels that change when a vehicle is taken out of the RGB picture."""
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
def test_vehicle_is_drawn_where_the_truth_has_it(kind: str, ahead_m: float, lane: float) -> None:
    scene = lone_scene(kind, ahead_m, lane, speed=0.0)
    cameras = Cameras(scene, CLEAR)
    truth = scene.truth(0.0)
    drawn = shown_box(cameras, 0.0, 1)
    iou = box_iou(drawn[None], truth.boxes_px)[0, 0]
    # the truth's outline of a motorcycle is as wide at its front wheel as at its handlebars
    assert iou > (0.7 if kind == 'motorcycle' else 0.8), (drawn, truth.boxes_px)


def test_index_gives_each_vehicle_its_pixels(lone: Cameras) -> None:
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


def test_a_known_corner_lands_on_its_pixel() -> None:
    camera = load_rig().camera
    faces = FaceList()
    square = [(10.0, 1.0, 1.0), (10.0, -1.0, 1.0), (10.0, -1.0, 2.0), (10.0, 1.0, 2.0)]
    faces.add(square, 'paint', (1, 1, 1), both_sides=True)
    seen = look(faces.build(), view_of(camera, np.zeros(3), np.eye(3)))
    expected, depth = camera.project(square)
    np.testing.assert_allclose(seen.polygons[0], expected, atol=1e-9)
    # the plane gives back the depth at a corner
    a, b, c = seen.plane[0]
    x, y = expected[0]
    assert 1 / (a * x + b * y + c) == pytest.approx(depth[0])


def test_faces_that_reach_behind_the_camera_are_cut() -> None:
    camera = load_rig().camera
    faces = FaceList()
    floor = [(-50.0, 3.0, 0.0), (-50.0, -3.0, 0.0), (80.0, -3.0, 0.0), (80.0, 3.0, 0.0)]
    faces.add(floor, 'asphalt', (1, 1, 1))
    seen = look(faces.build(), view_of(camera, np.zeros(3), np.eye(3)))
    assert len(seen.polygons) == 1
    assert np.isfinite(seen.polygons[0]).all()
    assert seen.polygons[0][:, 1].max() > camera.height_px


def test_painter_puts_the_near_end_of_a_long_wall_behind_a_car_before_it() -> None:
    wall = np.array([[5, 6], [60, 6], [60, 7], [5, 7]], float)
    car = np.array([[20, 2], [24, 2], [24, 4], [20, 4]], float)
    order = back_to_front(np.array([wall, car]), np.array([5.0, 20.0]), np.array([[0, 9], [0, 9]]))
    assert order.tolist() == [0, 1]


def test_depth_is_the_distance_of_what_is_drawn(lone: Cameras) -> None:
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


def test_measured_depth_is_noisy_and_ends_with_distance(lone: Cameras) -> None:
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


def test_depth_loses_wet_and_dark_surfaces(lone: Cameras) -> None:
    def known(**changes: float) -> float:
        cameras = Cameras(lone.world.scene, replace(CLEAR, **changes))
        _, metres = cameras.depth.paint(0.0, cameras.rgb.paint(0.0))
        exact = cameras.depth.exact_m(0.0)
        return float((metres[exact < 40] > 0).mean())

    dry = known()
    assert known(rain=1.0, cloud=1.0) < dry - 0.15
    assert known(sun_elevation_deg=-25.0, street_lamps=0.0) < dry - 0.1


def test_disparity_colours_are_jet() -> None:
    colours = colour_coded(np.array([[0.0, 96.0, 192.0, 500.0]], np.float32))
    assert colours[0, 0].tolist() == [128, 0, 0]  # dark blue, BGR
    assert colours[0, 1, 1] > 240
    assert colours[0, 2].tolist() == colours[0, 3].tolist() == [0, 0, 128]


def body_contrast(picture: np.ndarray, composed) -> float:
    """How far a vehicle's mean stands out from its rim, in the picture's units."""
    import cv2

    owner = composed.look_up(composed.owner, -1)
    mask = (owner == 0).astype(np.uint8)
    mask = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    rim = cv2.dilate(mask, np.ones((41, 41))) - cv2.dilate(mask, np.ones((9, 9)))
    return abs(float(picture[mask > 0].mean()) - float(picture[rim > 0].mean()))


def test_night_hides_a_vehicle_without_lights_from_rgb_but_not_from_thermal() -> None:
    # to the side of the own headlamps' beam
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


def test_lamps_shine_at_night() -> None:
    scene = lone_scene('car', ahead_m=25.0)
    night = replace(CLEAR, sun_elevation_deg=-25.0, street_lamps=0.0)
    picture = render_rgb(scene, night, 0.0)
    x0, y0, x1, y1 = scene.truth(0.0).boxes_px[0].astype(int)
    assert picture[y0:y1, x0:x1].max() > 230
    assert np.median(picture[y0:y1, x0:x1]) < 90
    assert picture.dtype == np.uint8
    assert picture.shape == (650, 1920, 3)


def test_thermal_loses_contrast_on_a_hot_day_and_for_a_cold_car() -> None:
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


def test_counts_and_temperatures_are_each_others_inverse() -> None:
    assert counts(np.array([-0.65, 39.35])) == pytest.approx([21800, 25000])
    assert temperature_c(counts(np.float32(20.0))) == pytest.approx(20.0, abs=1e-3)


def test_rain_and_glare_do_what_their_parameters_say(lone: Cameras) -> None:
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


def test_same_seed_same_bytes_and_another_seed_another_world() -> None:
    def frame(seed: int):
        scene = random_scene(seed, duration_s=4.0)
        return Cameras(scene, random_conditions(seed, scene.temperature_c)).frame(1.0)

    one, again, other = frame(300001), frame(300001), frame(300002)
    for name in ('rgb', 'thermal', 'depth', 'depth_m'):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    assert one.rgb.shape == (650, 1920, 3)
    assert one.thermal.shape == (650, 1920)
    assert one.thermal.dtype == np.uint16
    assert one.depth_m.dtype == np.float16


def test_a_frame_does_not_depend_on_the_frames_before_it() -> None:
    scene = random_scene(300003, duration_s=4.0)
    conditions = random_conditions(300003, scene.temperature_c)
    first = Cameras(scene, conditions)
    first.frame(0.5)
    first.frame(2.0)
    np.testing.assert_array_equal(first.frame(1.0).rgb, Cameras(scene, conditions).frame(1.0).rgb)


@pytest.mark.parametrize('setting', ['city', 'country', 'motorway', 'tunnel'])
def test_every_setting_can_be_drawn(setting: str) -> None:
    scene = replace(random_scene(300052, duration_s=4.0), setting=setting)
    frame = Cameras(scene, replace(CLEAR, sun_elevation_deg=-20.0, rain=0.5)).frame(1.0)
    assert frame.rgb.std() > 5
    sky = frame.depth_m[:20, 300:660] == 0
    # in a tunnel there is something overhead
    assert sky.mean() < 0.5 if setting == 'tunnel' else sky.mean() > 0.5


def test_a_hill_hides_the_foot_of_what_is_behind_it() -> None:
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


@pytest.mark.parametrize('kind', KINDS)
def test_bodies_fill_the_size_of_their_vehicle(kind: str) -> None:
    for seed in range(8):
        vehicle = lone_scene(kind, seed=seed).vehicles[0]
        corners = body_of(vehicle).faces.corners
        low, high = corners.min(axis=0), corners.max(axis=0)
        size = np.array([vehicle.length_m, vehicle.width_m, vehicle.height_m])
        # mirrors stand out sideways by up to 8 cm each, lamps by a centimetre
        np.testing.assert_allclose(high - low, size, atol=0.22)
        assert low[2] == pytest.approx(0.0, abs=0.02)
        assert (high - low)[2] == pytest.approx(size[2], abs=0.03)


def test_conditions_are_drawn_in_their_ranges() -> None:
    drawn = [random_conditions(seed, 20.0) for seed in range(300)]
    night = np.mean([c.night for c in drawn])
    assert 0.35 < night < 0.65
    assert 0.1 < np.mean([c.rain > 0 for c in drawn]) < 0.4
    assert all(c.night for c in (random_conditions(s, 20.0, night=True) for s in range(50)))
    assert not any(c.night for c in (random_conditions(s, 20.0, night=False) for s in range(50)))


@pytest.mark.slow
def test_contact_sheet_is_small_enough_for_a_page(tmp_path) -> None:
    import cv2

    from avdet_ros.simulation.pictures.contact_sheet import (
        LARGEST_BYTES,
        VIEWS,
        write_contact_sheet,
    )

    path = tmp_path / 'new' / 'world.png'
    write_contact_sheet(path)
    assert 100_000 < path.stat().st_size <= LARGEST_BYTES
    assert cv2.imread(str(path)).shape == (len(VIEWS) // 3 * 3 * 190, 3 * 560, 3)
