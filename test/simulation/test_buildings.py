"""Buildings hide what is behind them; its sound is weaker and comes from their corners."""

from __future__ import annotations

from dataclasses import replace

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.simulation.buildings import (
    GREATEST_LOSS_DB,
    Building,
    reflections,
    screen_loss_db,
    screening,
    sight,
    stacked,
)
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import furnished, random_scene

# x from 4 to 12 m ahead, y from 2.5 to 22.5 m to the left
BLOCK = Building(straight_road(), 8.0, 8.0, 2.5, 20.0)
ONE_BUILDING = stacked((BLOCK,))
HIDDEN = np.array([20.0, 12.0, 0.5])
CORNER = np.array([12.0, 2.5])
EAR = np.array([0.0, 0.0, 1.4])


def test_building_corners_are_those_of_its_rectangle():
    expected = {(4.0, 2.5), (12.0, 2.5), (12.0, 22.5), (4.0, 22.5)}
    assert {tuple(corner) for corner in BLOCK.corners_m.round(9)} == expected
    x, y = BLOCK.corners_m.T
    assert np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0  # counter-clockwise
    assert (BLOCK.side, Building(straight_road(), 8, 8, -2.5, 9).side) == (1, -1)


def test_path_around_corner_matches_hand_calculation():
    detour, ((places, taken),) = screening(ONE_BUILDING, HIDDEN[None], EAR[None])
    way = np.linalg.norm(HIDDEN[:2] - CORNER) + np.linalg.norm(CORNER)
    assert detour[0] == pytest.approx(way - np.linalg.norm(HIDDEN[:2]))
    # in the corner's direction, at the length of the path, at the source's own height
    assert np.arctan2(places[0, 1], places[0, 0]) == pytest.approx(np.arctan2(2.5, 12.0))
    assert np.linalg.norm(places[0, :2]) == pytest.approx(way)
    assert places[0, 2] == HIDDEN[2]
    assert taken[0] == 1


def test_source_in_sight_keeps_its_position():
    seen = np.array([[30.0, 0.0, 0.5]])
    detour, ((places, _),) = screening(ONE_BUILDING, seen, EAR[None])
    np.testing.assert_array_equal(places, seen)
    expected = 30.0 - np.linalg.norm(CORNER) - np.linalg.norm(seen[0, :2] - CORNER)
    assert detour[0] == pytest.approx(expected)
    assert detour[0] < 0
    points = np.array([[30.0, 0.0], [20.0, 12.0], [3.0, 30.0], [8.0, 2.4]])
    assert sight(ONE_BUILDING, EAR, points).tolist() == [True, False, True, True]


def test_path_goes_around_two_corners_when_one_is_not_enough():
    thick = stacked(
        (
            Building(straight_road(), 10.0, 12.0, -3.0, 0.0 + 9.0),
            Building(straight_road(), 10.0, 12.0, 3.0, 60.0),
        )
    )
    source = np.array([[10.0, 70.0, 0.5]])  # behind the long building, seen from the road
    detour, _ = screening(thick, source, np.array([[10.0, 0.0, 1.0]]))
    # 3 m up and 6 m across to a near corner, 60 m along the wall, 7 m and 6 m
    near, far = np.hypot(6, 3), np.hypot(6, 7)
    assert detour[0] == pytest.approx(near + 60 + far - 70)


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(-40, 40), st.floats(-40, 40), st.floats(-40, 40), st.floats(-40, 2.4))
def test_detour_is_positive_when_hidden_and_negative_in_sight(x, y, ex, ey):
    source, array = np.array([[x, y, 0.0]]), np.array([[ex, ey, 0.0]])
    inside = (4 < x < 12) and (2.5 < y < 22.5)
    detour, ((places, _),) = screening(ONE_BUILDING, source, array)
    hidden = not sight(ONE_BUILDING, array[0], source[:, :2])[0]
    if hidden and not inside:
        assert detour[0] >= -1e-9
        way = np.linalg.norm(places[0, :2] - array[0, :2])
        assert way == pytest.approx(np.linalg.norm(source - array) + detour[0], abs=1e-6)
    elif not inside:
        assert detour[0] <= 1e-2


def test_screen_loss_matches_kurze_anderson_curve():
    c = 343.0

    def loss(fresnel):
        return float(screen_loss_db(np.float64(fresnel * c / 2 / 1000), np.array([1000.0]), c)[0])

    assert loss(0.0) == pytest.approx(5.0, abs=0.01)  # at the edge of the shadow
    assert loss(1.0) == pytest.approx(13.1, abs=0.1)  # Kurze and Anderson's curve
    assert loss(-0.1) == pytest.approx(2.85, abs=0.1)
    assert loss(-0.3) == 0.0
    assert loss(50.0) == GREATEST_LOSS_DB
    steps = [loss(n) for n in np.linspace(-0.5, 3, 400)]
    assert np.all(np.diff(steps) >= -1e-9)
    assert np.max(np.diff(steps)) < 1.0
    # low frequencies get around corners
    low, high = screen_loss_db(np.array([0.3]), np.array([125.0, 4000.0]), c)[0]
    assert low < high - 6


def test_facade_reflects_unless_it_ends_early_or_is_blocked():
    block = Building(straight_road(), 20.0, 40.0, 6.0, 10.0, 0.8)
    every = stacked((block,))
    source, array = np.array([[20.0, -2.0, 0.5]]), np.array([[0.0, 0.0, 1.4]])
    ((image, gain),) = reflections((block,), every, source, array)
    np.testing.assert_allclose(image[0], [20.0, 14.0, 0.5])
    assert gain[0] == pytest.approx(0.8)
    # the facade ends before the point of reflection
    short = Building(straight_road(), 30.0, 20.0, 6.0, 10.0, 0.8)
    assert reflections((short,), stacked((short,)), source, array) == []
    # another building stands between
    hut = Building(straight_road(), 4.0, 4.0, 1.0, 2.0)
    found = reflections((block, hut), stacked((block, hut)), source, array)
    assert all(image[0, 1] < 6 for image, _ in found)  # only the facade of the hut reflects


def heard_azimuth(scene, at_s=2.0):
    import pyroomacoustics as pra

    rig = scene.rig
    rate = rig.sample_rate_hz
    sound = SoundRenderer(scene).read(round((at_s - 0.2) * rate), round(0.4 * rate))
    spectrum = pra.transform.stft.analysis(sound.T.astype(float), 1024, 512)
    finder = pra.doa.SRP(
        rig.microphones_m[:, :2].T,
        rate,
        1024,
        c=scene.speed_of_sound_mps,
        azimuth=np.deg2rad(np.arange(-180, 180, 0.5)),
    )
    finder.locate_sources(spectrum.transpose(2, 1, 0), freq_range=[300, 3000])
    return (np.rad2deg(finder.azimuth_recon[0]) + 180) % 360 - 180


def test_hidden_vehicle_is_heard_from_the_corner(world):
    # slow and against the road's direction, so that the front with the engine is nearer
    open_scene = world((20.0, 12.0, -1.0))
    scene = replace(open_scene, buildings=(BLOCK,))
    array = scene.rig.array_position_m
    in_the_open = heard_azimuth(open_scene)
    around = heard_azimuth(scene)
    assert in_the_open == pytest.approx(np.rad2deg(np.arctan2(12.0, 20.0 - array[0])), abs=3)
    assert around == pytest.approx(np.rad2deg(np.arctan2(2.5, 12.0 - array[0])), abs=2)


def test_truth_has_visibility_and_level_of_hidden_vehicle(world):
    open_scene = world((20.0, 12.0, 3.0))
    scene = replace(open_scene, buildings=(BLOCK,))
    seen, hidden = open_scene.truth(2.0), scene.truth(2.0)
    np.testing.assert_array_equal(seen.boxes_px, hidden.boxes_px)
    assert seen.visible_fraction[0] > 0.9
    assert hidden.visible_fraction[0] == 0
    assert hidden.audible[0]
    assert len(scene.labels(2.0)) == 1
    drop = float(seen.level_db[0] - hidden.level_db[0])
    assert 10 < drop < GREATEST_LOSS_DB + 3
    rate = scene.rig.sample_rate_hz
    energy = [
        np.mean(_a_weighted(SoundRenderer(s).read(round(1.75 * rate), rate // 2), rate))
        for s in (open_scene, scene)
    ]
    assert 10 * np.log10(energy[0] / energy[1]) == pytest.approx(drop, abs=1.5)


def _a_weighted(sound, rate):
    f = np.fft.rfftfreq(sound.shape[1], 1 / rate)
    weight = f**4 / ((f**2 + 20.6**2) * (f**2 + 12194**2))
    weight /= np.sqrt((f**2 + 107.7**2) * (f**2 + 737.9**2))
    return np.abs(np.fft.rfft(sound) * weight) ** 2


def test_level_changes_smoothly_as_vehicle_disappears_behind_building(world):
    """The sound has no click and no level jump when a vehicle goes out of sight."""
    scene = replace(world((20.0, 30.0, 10.0)), buildings=(BLOCK,))
    times = np.arange(0.0, 4.0, 0.05)
    levels = np.array([scene.truth(t).level_db[0] for t in times])
    visible = np.array(
        [sight(ONE_BUILDING, EAR, scene.vehicles[0].pose(t)[0][None])[0] for t in times]
    )
    assert visible[:5].all()
    assert not visible[-40:].any()
    assert np.abs(np.diff(levels)).max() < 4.0
    rate = scene.rig.sample_rate_hz
    sound = SoundRenderer(scene).read(0, 4 * rate)[0]
    peaks = np.abs(sound).reshape(-1, 441).max(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(peaks, 10, 'edge'), 21)
    assert np.max(peaks / np.median(around, axis=1)) < 3.0


def test_junctions_have_buildings_that_keep_roads_free():
    built = 0
    for seed in range(300_000, 300_040):
        scene = furnished(random_scene(seed, duration_s=6.0))
        if scene.setting != 'junction':
            assert scene.buildings == ()
            continue
        every = stacked(scene.buildings)
        built += len(every)
        spots = np.concatenate(
            [v.pose(np.arange(0.0, 6.0))[0] for v in (scene.ego, *scene.vehicles)]
        )
        for corners in every:
            edges = np.roll(corners, -1, axis=0) - corners
            inward = np.stack([-edges[:, 1], edges[:, 0]], -1)
            inside = ((spots[:, None, :2] - corners) * inward).sum(-1).min(axis=1)
            assert not (inside > 0).any()
    assert built > 10
