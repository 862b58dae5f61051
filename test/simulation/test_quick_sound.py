"""The quick renderer matches the exact one: delays, levels, coherences, and its parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.rig import load_rig
from avdet_ros.simulation import quick_audible
from avdet_ros.simulation.array_windows import (
    WindowPlan,
    array_of,
    array_windows,
    draw_world,
    place_array,
)
from avdet_ros.simulation.fleet import fleet_poses, only_near
from avdet_ros.simulation.path_spectra import density_db
from avdet_ros.simulation.path_ways import solve_way
from avdet_ros.simulation.propagation import emission
from avdet_ros.simulation.quick_check import ExactSignals, differences
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.signals import band_density_db
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.windows import quantise

pytestmark = pytest.mark.slow

RIG = load_rig()
FRONT_END = FrontEnd.of(RIG)
RATE = RIG.sample_rate_hz


def exact_and_quick(scene, start_s=1.0):
    """Spectra (8, 173, 513) of one window, exact and quick, from the same signals."""
    exact = SoundRenderer(scene)
    quick = QuickSound([scene], FRONT_END, ExactSignals(exact))
    wanted = FRONT_END._spectrum(exact.read(round(start_s * RATE), FRONT_END.samples))
    found = quick.spectra(start_s)[0].transpose(1, 0, 2)
    return wanted.transpose(1, 2, 0), found[:8] + 1j * found[8:]


def error_db(wanted, found, bins):
    part = slice(*bins)
    error = np.abs(found - wanted)[..., part] ** 2
    return 10 * np.log10(error.sum() / (np.abs(wanted)[..., part] ** 2).sum())


@pytest.fixture
def all_paths(monkeypatch):
    monkeypatch.setattr(quick_audible, 'LEFT_OUT', 0.0)


@pytest.mark.parametrize(
    ('cars', 'ego_speed', 'least_db'),
    [
        ([(15, 5, 0.0)], 0.0, -43),
        ([(40, 5, 20.0)], 0.0, -43),
        ([(80, 5, 20.0)], 0.0, -43),
        ([(10, 8, 12.0)], 12.0, -43),
        ([], 15.0, -43),
        ([(0, 10, 20.0)], 0.0, -30),  # the delay changes within a frame
    ],
)
def test_quick_spectra_match_exact_spectra(world, all_paths, cars, ego_speed, least_db):
    scene = world(*cars, ego_speed=ego_speed, ego_runs=ego_speed > 0)
    wanted, found = exact_and_quick(scene)
    assert error_db(wanted, found, (2, 100)) < least_db
    # the edges, where the front end pads by reflection
    assert error_db(wanted[:, [0, 1, 171, 172]], found[:, [0, 1, 171, 172]], (2, 100)) < least_db


def test_delays_of_moving_sources_match_exact_solution():
    """Each microphone's delay matches its own solution, for a car passing at 4 m and 30 m/s."""
    times = np.arange(0, 140) * 0.02
    zero = np.zeros_like(times)
    source = np.stack([30 * (times - 1.5), zero + 4, zero + 0.3], axis=-1)
    centre = np.stack([8 * times, zero, zero + 1.7], axis=-1)
    places = RIG.microphones_m - RIG.array_position_m
    microphones = np.ascontiguousarray((centre + places[:, None])[None])
    knots, step_s = 40, 512 / RATE
    te, slope = np.empty(knots), np.empty(knots)
    delay, gain = np.empty((1, knots, 8)), np.empty((1, knots, 8))
    solve_way(
        source,
        np.ones(len(times)),
        centre,
        microphones,
        np.zeros_like(microphones),
        np.zeros(1),
        0,
        0.02,
        1.3,
        step_s,
        343.0,
        te,
        slope,
        delay,
        gain,
    )
    for k in range(knots):
        for m in range(8):
            at, _, r, *_ = emission(source, microphones[0, m], 0, 0.02, 1.3 + k * step_s, 343.0)
            # in the signal at the array's centre, te(t - delay) is the microphone's te(t)
            assert abs((te[k] - at) / slope[k] - delay[0, k, m]) < 1e-6
            assert abs(te[k] - slope[k] * delay[0, k, m] - at) < 1e-6
            assert abs(20 * np.log10(gain[0, k, m] * r)) < 0.02


def test_leaving_out_inaudible_paths_barely_changes_features():
    scene = place_array(
        draw_world(25, RIG, WindowPlan('plain')), array_of(25, RIG, WindowPlan('plain'))
    )
    errors = replace(scene.corruption, dead=np.zeros(8, bool), gaps_s=np.zeros((0, 2)))
    scene = replace(scene, corruption=errors)
    exact = SoundRenderer(scene)
    features = {}
    for name, part in (('all', 0.0), ('less', quick_audible.LEFT_OUT)):
        quick_audible.LEFT_OUT, before = part, quick_audible.LEFT_OUT
        try:
            quick = QuickSound([scene], FRONT_END, ExactSignals(exact))
            features[name] = spectral_features(quick.spectra(2.0, 1)[0].copy(), FRONT_END)
        finally:
            quick_audible.LEFT_OUT = before
    difference = np.abs(features['all'] - features['less'])
    assert difference[:8].mean() < 0.1
    assert difference[8:].mean() < 0.02


def test_noise_matches_exact_level_and_is_incoherent(world):
    noise = random_scene(1).noise
    scene = world(ego_speed=0.0, noise=noise)
    sound = quantise(SoundRenderer(scene).read(0, FRONT_END.samples))
    wanted = FRONT_END.compute(sound)
    found = spectral_features(QuickSound([scene], FRONT_END).spectra(0.0)[0], FRONT_END)
    np.testing.assert_allclose(
        found[:8].mean(axis=(0, 2))[2:], wanted[:8].mean(axis=(0, 2))[2:], atol=0.7
    )
    assert abs(found[8:].mean(axis=-1)).mean() < 0.12


def test_spectral_features_match_front_end():
    rng = np.random.default_rng(0)
    sound = (0.01 * rng.standard_normal((8, FRONT_END.samples))).astype(np.float32)
    sound[4], sound[7] = sound[0], 0
    spectrum = FRONT_END._spectrum(sound).transpose(2, 1, 0)
    lanes = np.concatenate([spectrum.real, spectrum.imag], axis=1).astype(np.float32)
    found = spectral_features(np.ascontiguousarray(lanes), FRONT_END)
    np.testing.assert_allclose(found, pool_frames(FRONT_END.compute(sound)), atol=1e-4)


def test_spectral_density_matches_exact_signals():
    for bands in (np.linspace(90, 60, 8), np.array([50, 80, 70, 90, 60, 75, 40, -200.0])):
        np.testing.assert_allclose(
            density_db(bands, float(RATE)), band_density_db(bands, RATE), atol=1e-6
        )


def test_fleet_poses_match_poses_of_each_vehicle():
    scene = draw_world(104, RIG, WindowPlan('furnished'))
    times = np.array([0.3, 4.0])
    position, rotation = fleet_poses(scene.vehicles, times)
    for row, vehicle in enumerate(scene.vehicles):
        place, turn = vehicle.pose(times)
        np.testing.assert_allclose(position[row], place, atol=1e-9)
        np.testing.assert_allclose(rotation[row], turn, atol=1e-12)
    truth, near = scene.truth(4.0), only_near(scene, 4.0).truth(4.0)
    np.testing.assert_array_equal(truth.ids, near.ids)
    np.testing.assert_array_equal(truth.rest_db, near.rest_db)


def test_windows_are_repeatable_and_share_labels_between_arrays():
    plan = WindowPlan('plain', windows_a_drive=1, arrays_a_window=2, quick=True)
    first, second = (list(array_windows(33, RIG, FRONT_END, plan)) for _ in range(2))
    exact = next(iter(array_windows(33, RIG, FRONT_END, replace(plan, quick=False))))
    assert len(first) == 2
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one['features'], other['features'])
    np.testing.assert_array_equal(first[0]['azimuth_deg'], first[1]['azimuth_deg'])
    assert first[0]['rendered'] == first[1]['rendered']
    assert np.abs(first[0]['microphones_m'] - first[1]['microphones_m']).max() > 0.01
    for name in ('azimuth_deg', 'microphones_m', 'alive', 'range_m', 'delay_s'):
        np.testing.assert_array_equal(first[0][name], exact[name])
    alive = first[0]['alive']
    level = [row['features'][:8][alive].astype(float).mean(axis=-1) for row in (first[0], exact)]
    assert np.median(np.abs(level[0] - level[1])) < 1.0
    assert (first[0]['features'][:8][~alive] == -100).all()


def test_gap_is_silent_in_all_channels(world):
    scene = world((15, 5, 0.0), noise=random_scene(1).noise)
    gap = replace(scene.corruption, gaps_s=np.array([[1.4, 0.1]]))
    scene = replace(scene, corruption=gap)
    wanted = FRONT_END.compute(SoundRenderer(scene).read(RATE, FRONT_END.samples))
    found = spectral_features(QuickSound([scene], FRONT_END).spectra(1.0)[0], FRONT_END)
    silent = (pool_frames(wanted)[:8] < -99).all(axis=(0, 1))
    assert silent.any()
    assert (found[:8, :, silent] < -99).all()
    assert (found[:8, :, ~silent].mean(axis=1) > -99).all()


@pytest.mark.parametrize('world_name', ['plain', 'furnished'])
def test_quick_windows_differ_little_from_exact_ones(world_name):
    found = differences(world_name, RIG, range(100_300, 100_304))
    assert np.median([each.level_db for each in found]) < 0.15
    assert np.abs([each.bias_db for each in found]).max() < 0.1
    assert np.median([each.coherence for each in found]) < 0.02
    assert np.median([each.phase_us for each in found]) < 1.0
