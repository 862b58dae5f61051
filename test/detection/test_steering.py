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


def test_azimuth_grid_covers_360_degrees_and_is_finer_ahead():
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
def test_steered_response_peaks_at_the_wave_azimuth_on_any_array(
    seed, azimuth_deg, scattered, plane_wave
):
    rig, front_end = scattered(seed), FrontEnd()
    found = response(steering(rig, front_end), front_end.compute(plane_wave(rig, azimuth_deg)))
    grid = azimuth_grid()
    assert abs(grid[np.argmax(found)] - azimuth_deg) <= 1.75 / 2 + 0.3


def test_columns_turn_with_the_camera_and_not_with_the_array_frame(scattered, plane_wave):
    rig, front_end = scattered(0), FrontEnd()
    features = front_end.compute(plane_wave(rig, 50))
    camera = looking(rig, yaw_deg=40.0, pitch_deg=12.0)
    assert np.degrees(heading_rad(camera.camera)) == pytest.approx(40)
    found = azimuth_grid()[np.argmax(response(steering(camera, front_end), features))]
    assert found == pytest.approx(10, abs=1.2)
    # The microphone positions already contain the array yaw: the value alone has no effect.
    turned = replace(rig, array_yaw_deg=90.0)
    np.testing.assert_array_equal(steering(turned, front_end), steering(rig, front_end))


def test_single_wave_has_a_response_of_at_most_one(plane_wave):
    rig, front_end = load_rig(), FrontEnd()
    features = front_end.compute(plane_wave(rig, 0.0))
    weights = steering(rig, front_end, np.array([0.0]))
    bands = np.einsum('bac,cbt->bat', weights, features[8:])[:, 0].mean(axis=1)
    assert weights.shape == (80, 1, 24)
    assert np.all(bands[:30] > 0.95)
    assert np.all(bands < 1.001)


@pytest.mark.parametrize('pairs', [PAIRS, EVERY_PAIR], ids=['twelve', 'all'])
def test_pairs_of_dead_microphones_are_zero_and_others_scaled_up(plane_wave, pairs):
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


def test_steering_is_computed_in_less_than_50_ms():
    rig, front_end = load_rig(), FrontEnd()
    steering(rig, front_end)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        steering(rig, front_end)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_bands_without_a_fourier_bin_stay_finite():
    weights = steering(load_rig(), FrontEnd(sample_rate_hz=96000, n_fft=256), np.array([0.0]))
    assert np.isfinite(weights).all()


def test_camera_that_looks_down_is_rejected():
    with pytest.raises(AvdetError, match=r'rig: camera: .* no heading'):
        steering(looking(load_rig(), pitch_deg=88.0), FrontEnd())


def test_microphones_without_pairs_give_zero_steering():
    alive = np.isin(np.arange(8), [0, 2, 5])
    assert live_pairs(alive).sum() == 0
    weights = steering(replace(load_rig(), alive=alive), FrontEnd())
    assert weights.shape == (80, 80, 24)
    assert not weights.any()


@pytest.mark.parametrize(('ahead_mps', 'of_usual'), [(0, 1.0), (30, 343 / 373), (-30, 343 / 313)])
def test_own_speed_changes_leads_ahead_and_not_across(ahead_mps, of_usual, scattered):
    """At 30 m/s, leads from ahead are 8 % shorter, those from behind longer, across unchanged."""
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


def test_leads_of_a_moving_array_match_the_wave_equation():
    """Arrival times of a front f(t + u.x / c) at two moving microphones, from its equation."""
    azimuth, c, v = np.radians(25.0), 331.0, 22.0
    towards = np.array([np.cos(azimuth), np.sin(azimuth)])
    places = np.array([[0.3, -0.2], [-0.1, 0.25]])
    # The front of phase 0 is at i when t + u . (p_i + v t e_x) / c = 0.
    times = -places @ towards / c / (1 + v * towards[0] / c)
    lead_s = times[1] - times[0]
    expected = (places[0] - places[1]) @ towards / wave_speed_mps(azimuth, v, c)
    assert lead_s == pytest.approx(expected, rel=1e-12)


def test_standing_array_in_usual_air_has_the_default_steering(scattered):
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
def test_invalid_speeds_are_rejected(speeds, words):
    with pytest.raises(AvdetError, match=words):
        steering(load_rig(), FrontEnd(), np.array([0.0]), *speeds)
