from __future__ import annotations

from dataclasses import replace
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import EVERY_PAIR, PAIRS
from avdet_ros.detection.steering import (
    AROUND,
    FRONT_COLUMNS,
    FRONT_DEG,
    azimuth_grid,
    expected_coherences,
    heading_rad,
    live_pairs,
    steering,
    wave_speed_mps,
)
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig

OPTICAL = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def looking(rig, yaw_deg=0.0, pitch_deg=0.0):
    body = Rotation.from_euler('ZYX', [yaw_deg, pitch_deg, 0], degrees=True).as_matrix()
    return replace(rig, camera=replace(rig.camera, rotation=OPTICAL @ body.T))


def response(weights, features):
    """(A,) mean steered response."""
    return np.einsum('bac,cbt->a', weights, features[8:]) / features.shape[1] / features.shape[2]


def test_the_grid_goes_once_around_and_is_fine_ahead():
    grid = azimuth_grid()
    assert grid.shape == (FRONT_COLUMNS + AROUND,)
    assert np.all(np.diff(grid) < 0)
    front = grid[:FRONT_COLUMNS]
    np.testing.assert_allclose(np.diff(front), -2 * FRONT_DEG / FRONT_COLUMNS)
    np.testing.assert_allclose(front, -front[::-1])
    assert grid[0] - grid[-1] < 360
    ends = grid[-1] + 360 - grid[0]
    assert ends == pytest.approx((360 - 2 * FRONT_DEG) / AROUND / 2 + FRONT_DEG / FRONT_COLUMNS)
    assert len(azimuth_grid(8, 40.0, 0)) == 8


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('azimuth_deg', [-43, -8, 0, 21, 50])
def test_a_plane_wave_is_found_where_it_comes_from_on_any_array(
    seed, azimuth_deg, scattered, plane_wave
):
    rig, front_end = scattered(seed), FrontEnd()
    found = response(steering(rig, front_end), front_end.compute(plane_wave(rig, azimuth_deg)))
    grid = azimuth_grid()
    assert abs(grid[np.argmax(found)] - azimuth_deg) <= 1.75 / 2 + 0.3


def test_columns_turn_with_the_camera_not_with_the_frame_of_the_array(scattered, plane_wave):
    rig, front_end = scattered(0), FrontEnd()
    features = front_end.compute(plane_wave(rig, 50))
    camera = looking(rig, yaw_deg=40.0, pitch_deg=12.0)
    assert np.degrees(heading_rad(camera.camera)) == pytest.approx(40)
    found = azimuth_grid()[np.argmax(response(steering(camera, front_end), features))]
    assert found == pytest.approx(10, abs=1.2)
    # The yaw of the array is in the microphones' places already: alone it changes nothing.
    turned = replace(rig, array_yaw_deg=90.0)
    np.testing.assert_array_equal(steering(turned, front_end), steering(rig, front_end))


def test_a_lone_wave_has_a_response_of_at_most_one(plane_wave):
    rig, front_end = load_rig(), FrontEnd()
    features = front_end.compute(plane_wave(rig, 0.0))
    weights = steering(rig, front_end, np.array([0.0]))
    bands = np.einsum('bac,cbt->bat', weights, features[8:])[:, 0].mean(axis=1)
    assert weights.shape == (80, 1, 24)
    assert np.all(bands[:30] > 0.95)
    assert np.all(bands < 1.001)


@pytest.mark.parametrize('pairs', [PAIRS, EVERY_PAIR], ids=['twelve', 'all'])
def test_pairs_of_dead_microphones_are_zero_and_the_others_make_up_for_them(plane_wave, pairs):
    rig, front_end = load_rig(), FrontEnd(pair_count=len(pairs))
    alive = np.ones(8, bool)
    alive[[2, 5]] = False
    whole, part = steering(rig, front_end), steering(replace(rig, alive=alive), front_end)
    live = live_pairs(alive, pairs)
    assert list(live) == [2 not in pair and 5 not in pair for pair in pairs]
    shape = (80, 80, len(pairs), 2)
    assert np.all(part.reshape(shape)[:, :, ~live] == 0)
    np.testing.assert_allclose(
        part.reshape(shape)[:, :, live],
        whole.reshape(shape)[:, :, live] * len(pairs) / live.sum(),
        rtol=1e-5,
        atol=1e-7,
    )
    sound = plane_wave(rig, 20)
    sound[~alive] = 0
    found = azimuth_grid()[np.argmax(response(part, front_end.compute(sound)))]
    assert found == pytest.approx(20, abs=1.2)


def test_made_in_less_than_fifty_milliseconds():
    rig, front_end = load_rig(), FrontEnd()
    steering(rig, front_end)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        steering(rig, front_end)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_bands_without_a_fourier_bin_are_zero():
    weights = steering(load_rig(), FrontEnd(sample_rate_hz=96000, n_fft=256), np.array([0.0]))
    assert np.isfinite(weights).all()


def test_a_camera_that_looks_down_has_no_heading():
    with pytest.raises(AvdetError, match=r'rig: camera: .* no heading'):
        steering(looking(load_rig(), pitch_deg=88.0), FrontEnd())


def test_three_microphones_of_no_pair_have_nothing_to_steer_with():
    alive = np.isin(np.arange(8), [0, 2, 5])
    assert live_pairs(alive).sum() == 0
    weights = steering(replace(load_rig(), alive=alive), FrontEnd())
    assert weights.shape == (80, 80, 24)
    assert not weights.any()


@pytest.mark.parametrize(('ahead_mps', 'of_usual'), [(0, 1.0), (30, 343 / 373), (-30, 343 / 313)])
def test_leads_of_what_is_ahead_of_a_moving_array_are_shorter(ahead_mps, of_usual, scattered):
    """30 m/s: by 8 %, and by as much from behind longer; across they are as ever."""
    rig, front_end = scattered(1), FrontEnd()
    azimuths = np.array([0.0, 90.0, 180.0])
    found = steering(rig, front_end, azimuths, ahead_mps)
    nearer = replace(
        rig,
        microphones_m=rig.array_position_m + (rig.microphones_m - rig.array_position_m) * of_usual,
    )
    np.testing.assert_allclose(found[:, 0], steering(nearer, front_end, azimuths)[:, 0], atol=1e-6)
    np.testing.assert_allclose(found[:, 1], steering(rig, front_end, azimuths)[:, 1], atol=1e-6)
    behind = wave_speed_mps(np.pi, ahead_mps)
    assert behind == pytest.approx(343.0 - ahead_mps)


def test_a_moving_arrays_leads_are_those_of_a_wave_that_meets_it():
    """When a front f(t + u.x / c) reaches two microphones that drive, by its equation alone."""
    azimuth, c, v = np.radians(25.0), 331.0, 22.0
    towards = np.array([np.cos(azimuth), np.sin(azimuth)])
    places = np.array([[0.3, -0.2], [-0.1, 0.25]])
    # The front of phase 0 is at i when t + u . (p_i + v t e_x) / c = 0.
    times = -places @ towards / c / (1 + v * towards[0] / c)
    lead_s = times[1] - times[0]
    expected = (places[0] - places[1]) @ towards / wave_speed_mps(azimuth, v, c)
    assert lead_s == pytest.approx(expected, rel=1e-12)


def test_a_standing_array_in_usual_air_is_steered_as_ever(scattered):
    rig, front_end = scattered(2), FrontEnd()
    usual = steering(rig, front_end)
    np.testing.assert_array_equal(steering(rig, front_end, None, 0.0, 343.0), usual)
    places_m = rig.microphones_m - rig.array_position_m
    azimuths = np.radians(azimuth_grid())
    directions = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=-1)
    np.testing.assert_array_equal(expected_coherences(front_end, places_m, directions), usual)
    cold = steering(rig, front_end, None, 0.0, 319.0)
    assert np.abs(cold - usual).max() > 1e-3


@pytest.mark.parametrize(
    ('speeds', 'words'),
    [
        ((np.nan, 343.0), 'expected a speed of at most 100 m/s, found nan'),
        ((-101.0, 343.0), 'found -101'),
        ((0.0, 20.0), 'expected a speed of sound of 280 to 400 m/s, found 20'),
        ((0.0, np.inf), 'found inf'),
    ],
)
def test_speeds_of_nothing_are_refused(speeds, words):
    with pytest.raises(AvdetError, match=words):
        steering(load_rig(), FrontEnd(), np.array([0.0]), *speeds)
